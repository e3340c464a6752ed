"""Files that go with a new call: kept by the console until the call is raised, then its evidence.

Evidence travels to the county as it is written, and a draft stays in the town; so the files of a
draft stay beside the console's other uploads, and nothing of them is in the feed before the
principal approves. The call names them by their digests, so what comes later can't be another file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from starlette.responses import Response

from huying.common.codes import is_within
from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.common.masking import mask
from huying.node.store.reader import Reader
from huying.node.web.calling.draft_form import Attachable
from huying.node.web.calls.call_files import BODY_BYTES_MAX, FILES_MAX, CallFile, write_file
from huying.node.web.forms import Form
from huying.node.web.page import Ask
from huying.wire.v1 import calls_pb2

__all__ = ["BODY_BYTES_MAX", "FILES_MAX", "hand_over", "kept_files", "raised", "take_files"]

_FIELD: Final = "file"
_NAME: Final = "file-"  # and a digest: a file that was taken before, and what it is called
_DIGEST_DIGITS: Final = 64


async def take_files(ask: Ask, form: Form) -> list[Attachable]:
    """The files of a form: those that come with it, and those that were taken before.

    Raises HuyingError(INVALID_ARGUMENT) for too many; MediaError for one that is refused.
    """
    kept = await kept_files(ask, form.values())
    files = form.files(_FIELD)
    if len(files) + len(kept) > FILES_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"file: at most {FILES_MAX} files; leave some out")
    found = {one.attachment.sha256: one for one in kept}
    for file in files:
        taken = await ask.site.uploads.take(ask, file, keep_metadata=form.flag("keep_metadata"))
        found[taken.sha256_preview] = Attachable(
            calls_pb2.Attachment(
                name=_name(taken.name), sha256=taken.sha256_preview, size_bytes=taken.size_bytes
            ),
            is_upload=True,
        )
    return list(found.values())


async def kept_files(ask: Ask, fields: Mapping[str, str]) -> list[Attachable]:
    """The person's own uploads that a form, or what was kept of it, names and ticks."""
    person = ask.person.id
    found = []
    for name, text in fields.items():
        digest = _digest(name.removeprefix(_NAME)) if name.startswith(_NAME) else b""
        if not digest:
            continue
        one = Attachable(calls_pb2.Attachment(name=_name(text), sha256=digest), is_upload=True)
        path = await ask.site.on_thread(partial(ask.site.uploads.preview, digest, person))
        if path is None or one.field not in fields:
            continue
        one.attachment.size_bytes = path.stat().st_size
        found.append(one)
    return found[:FILES_MAX]


async def raised(
    ask: Ask, call: bytes, content: calls_pb2.CallDraft, request_id: bytes
) -> Response:
    """Where the page of a call goes that was raised just now, once its files are handed over."""
    notice = "proposed"
    try:
        await hand_over(ask, call, content, request_id)
    except HuyingError as error:
        # The call stands, and nothing claims that its files do.
        notice = "files-late"
        await ask.audit("call-files", call.hex(), outcome="failed", detail=error.code.name)
    if "call" in ask.site.pages:
        return ask.redirect("call", call=call.hex(), notice=notice)
    return ask.redirect("events", notice=notice)


async def hand_over(
    ask: Ask,
    call: bytes,
    content: calls_pb2.CallDraft,
    request_id: bytes,
) -> None:
    """Write the files that a raised call names as evidence of it, for the county and the village.

    The same request writes them once. Passed over is what is evidence of the call's event, and
    what this console does not have. Raises what the node says.
    """
    own, event = ask.node.code, content.event
    village = content.village
    to = (f"={village}",) if village and village != own and is_within(village, own) else ()
    for one in content.attachments:
        if await ask.node.read(partial(_is_of, event, one.sha256)):
            continue
        path = await ask.site.on_thread(partial(ask.site.uploads.preview, one.sha256))
        if path is None:
            continue
        file = CallFile(one.name, one.sha256, path)
        await write_file(ask, call, file, to=to, actor=content.actor, request_id=request_id)


def _is_of(event: bytes, digest: bytes, reader: Reader) -> bool:
    return bool(event) and any(row.of == event for row in reader.evidence_by_digest(digest))


def _name(text: str) -> str:
    return mask(" ".join(text.split())).text[:NAME_CHARACTERS_MAX] or "附件"


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text) if len(text) == _DIGEST_DIGITS else b""
    except ValueError:
        return b""
