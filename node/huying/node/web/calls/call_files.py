"""What goes along with an answer or a supplement: named and digested in the step, and as evidence.

The step comes first, so that one that is refused hands nothing out. What goes along with an answer
under review is addressed to nobody until the review sends it: then the same entries are written
again, for the parties. A file that came with a refused step is kept beside the console's other
uploads, and the form names it, so nobody has to choose it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from huying.common.codes import is_within
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, PHOTO_BYTES_MAX, SELECTORS_MAX
from huying.common.masking import mask
from huying.common.records.evidence_parts import JPEG, PDF, Picture, parts_of
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.node.web.forms import Form
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2

__all__ = [
    "BODY_BYTES_MAX",
    "FILES_MAX",
    "TAKES_FILES",
    "CallFile",
    "attach",
    "kept_fields",
    "parties",
    "release",
    "send_along",
    "take_files",
    "write_file",
]

FILES_MAX: Final = 3
BODY_BYTES_MAX: Final = FILES_MAX * PHOTO_BYTES_MAX + 256 * 1024
TAKES_FILES: Final = frozenset({"answer", "supplement"})
AGAIN_SECONDS: Final = 0.5  # a node that starts anew is back by then, or away for longer
_FIELD: Final = "attachment"
_KEPT: Final = "file."  # and a digest in hex: a file that was taken before; its name is the value
_CALL: Final = feed_pb2.RECORD_TYPE_CALL
# What passes by itself: worth a second try before anybody is told.
_PASSING: Final = frozenset({Code.BUSY, Code.DRAINING, Code.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class CallFile:
    """A file as it travels: what a step names, and where its bytes are."""

    name: str
    sha256: bytes
    path: Path

    @property
    def media_type(self) -> str:
        """By its name here: what was made anew is a JPEG, and what was not is a document."""
        return PDF if self.path.suffix == ".pdf" else JPEG


async def take_files(ask: Ask, form: Form, kind: str, call: bytes) -> list[CallFile]:
    """The files of a form: those taken before that are still ticked, and new ones, made anew.

    Raises HuyingError; MediaError for one that is refused.
    """
    if kind not in TAKES_FILES:
        return []
    kept, files = await _kept(ask, form.values()), form.files(_FIELD)
    if len(kept) + len(files) > FILES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"attachment: at most {FILES_MAX} files; leave some out"
        )
    found = {one.sha256: one for one in kept}
    for file in files:
        one = await ask.site.uploads.take(
            ask, file, keep_metadata=form.flag("keep_metadata"), subject=call
        )
        found[one.sha256_preview] = CallFile(one.name, one.sha256_preview, one.preview_path)
    return list(found.values())


async def _kept(ask: Ask, fields: Mapping[str, str]) -> list[CallFile]:
    """The person's own uploads that a form names; one that is no longer here is left out."""
    found, person = [], ask.person.id
    for field, name in fields.items():
        digest = field.removeprefix(_KEPT)
        if digest == field or len(digest) != 64 or not name:
            continue
        try:
            sha256 = bytes.fromhex(digest)
        except ValueError:
            continue
        path = await ask.site.on_thread(partial(ask.site.uploads.preview, sha256, person))
        if path is not None:
            safe = mask(" ".join(name.split())).text[:NAME_CHARACTERS_MAX]
            found.append(CallFile(safe, sha256, path))
    return found


def kept_fields(files: Iterable[CallFile]) -> dict[str, str]:
    """The fields by which a form, and a draft of it, names files that were taken already."""
    return {f"{_KEPT}{one.sha256.hex()}": one.name for one in files}


def attach(step: calls_pb2.CallStep, kind: str, files: Sequence[CallFile]) -> None:
    """Name the files in the step, by the digests of what travels."""
    for one in files:
        content: Any = getattr(step, kind)
        size = one.path.stat().st_size
        content.attachments.add(name=one.name, sha256=one.sha256, size_bytes=size)


async def send_along(
    ask: Ask,
    view: api_pb2.CallView,
    step: calls_pb2.CallStep,
    files: Sequence[CallFile],
    request_id: bytes,
) -> None:
    """Write the evidence that belongs to a step which was taken. Raises what the node says."""
    held_back = step.HasField("answer") and view.terms.review_required
    to = () if held_back else parties(view, ask.node.code)
    for one in files:
        await _twice(
            partial(write_file, ask, view.call, one, to=to, actor=step.actor, request_id=request_id)
        )
    if step.HasField("review") and step.review.sent:
        answers = [each.step.answer for each in view.steps if each.step.HasField("answer")]
        wanted = {each.sha256 for each in answers[-1].attachments} if answers else set()
        await _twice(lambda: release(ask, view, wanted, request_id))


async def _twice(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except HuyingError as error:
        if error.code not in _PASSING:
            raise
        await asyncio.sleep(AGAIN_SECONDS)
        await work()


async def write_file(
    ask: Ask, call: bytes, one: CallFile, *, to: tuple[str, ...], actor: str, request_id: bytes
) -> None:
    """Write a file as evidence of a call; the same request writes it once.

    Raises HuyingError(NOT_FOUND) where the file has gone meanwhile, and what the node says.
    """
    picture = Picture(call, _CALL, one.name, one.media_type, int(ask.now() * 1e6), actor)
    try:
        data = await ask.site.on_thread(one.path.read_bytes)
    except FileNotFoundError:
        raise HuyingError(
            Code.NOT_FOUND, "the picture is no longer here: choose it again"
        ) from None
    await _append(ask, parts_of(picture, data, to=to, request_id=request_id))


async def release(
    ask: Ask, view: api_pb2.CallView, wanted: Iterable[bytes], request_id: bytes
) -> None:
    """Write what goes along with the answer that was sent, for the parties. `wanted`: digests."""
    own, digests = ask.node.code, frozenset(wanted)
    if not digests:
        return
    rows: list[EvidenceRow] = await ask.node.read(
        lambda reader: reader.evidence_of(view.call, home=own)
    )
    for row in rows:
        if row.sha256 not in digests or row.state is not EvidenceState.WHOLE or row.data is None:
            continue
        picture = Picture(
            row.of, row.of_type, row.name, row.media_type, row.taken_micros, row.actor
        )
        drafts = parts_of(picture, row.data, to=parties(view, own), request_id=request_id)
        await _append(ask, drafts)


async def _append(ask: Ask, drafts: Iterable[DraftEntry]) -> None:
    sent = [
        api_pb2.Draft(
            kind=one.kind,  # type: ignore[arg-type]  # an open enum
            type=one.type,  # type: ignore[arg-type]  # an open enum
            record=one.record,
            message=one.message.SerializeToString(),
            to=one.to,
            request_id=one.request_id,
        )
        for one in drafts
    ]
    await ask.node.ask("Append", api_pb2.AppendRequest(drafts=sent))


def parties(view: api_pb2.CallView, own: str) -> tuple[str, ...]:
    """Selectors of the parties below this node; upward it travels by its level."""
    codes = dict.fromkeys(filter(None, (view.caller, view.content.village, *view.joined)))
    below = [code for code in codes if code != own and is_within(code, own)]
    return tuple(f"={code}" for code in below)[:SELECTORS_MAX]
