"""What goes along with an answer or a supplement: named and digested in the step, and as evidence.

The step comes first, so that one that is refused hands nothing out. What goes along with an answer
under review is addressed to nobody until the review sends it: then the same entries are written
again, for the parties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from huying.common.codes import is_within
from huying.common.errors import Code, HuyingError
from huying.common.evidence_parts import Picture, parts_of
from huying.common.limits import PHOTO_BYTES_MAX, SELECTORS_MAX
from huying.node.media import Prepared
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.node.web.forms import Form
from huying.node.web.page import Ask
from huying.node.web.uploads import upload_drafts
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2

__all__ = ["BODY_BYTES_MAX", "FILES_MAX", "TAKES_FILES", "attach", "send_along", "take_files"]

FILES_MAX: Final = 3
BODY_BYTES_MAX: Final = FILES_MAX * PHOTO_BYTES_MAX + 256 * 1024
TAKES_FILES: Final = frozenset({"answer", "supplement"})
_FIELD: Final = "attachment"
_CALL: Final = feed_pb2.RECORD_TYPE_CALL


async def take_files(ask: Ask, form: Form, kind: str) -> list[Prepared]:
    """The files of a form, made anew. Raises HuyingError; MediaError for one that is refused."""
    if kind not in TAKES_FILES:
        return []
    files = form.files(_FIELD)
    if len(files) > FILES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"attachment: at most {FILES_MAX} files; leave some out"
        )
    taken = [await ask.site.uploads.take(ask, file) for file in files]
    return list({one.sha256_preview: one for one in taken}.values())


def attach(step: calls_pb2.CallStep, kind: str, files: Sequence[Prepared]) -> None:
    """Name the files in the step, by the digests of what travels."""
    for one in files:
        content: Any = getattr(step, kind)
        content.attachments.add(name=one.name, sha256=one.sha256_preview, size_bytes=one.size_bytes)


async def send_along(
    ask: Ask,
    view: api_pb2.CallView,
    step: calls_pb2.CallStep,
    files: Sequence[Prepared],
    request_id: bytes,
) -> None:
    """Write the evidence that belongs to a step which was taken. Raises what the node says."""
    held_back = step.HasField("answer") and view.terms.review_required
    to = () if held_back else _parties(view, ask.node.code)
    for one in files:
        drafts = upload_drafts(
            view.call,
            _CALL,
            one,
            to=to,
            actor=step.actor,
            taken_micros=int(ask.now() * 1e6),
            request_id=request_id,
        )
        await ask.node.ask("Append", api_pb2.AppendRequest(drafts=drafts))
    if step.HasField("review") and step.review.sent:
        await _release(ask, view, request_id)


async def _release(ask: Ask, view: api_pb2.CallView, request_id: bytes) -> None:
    """Write what goes along with the answer that is sent now, for the parties."""
    answers = [each.step.answer for each in view.steps if each.step.HasField("answer")]
    wanted = {each.sha256 for each in answers[-1].attachments} if answers else set()
    if not wanted:
        return
    own = ask.node.code
    rows: list[EvidenceRow] = await ask.node.read(
        lambda reader: reader.evidence_of(view.call, home=own)
    )
    for row in rows:
        if row.sha256 not in wanted or row.state is not EvidenceState.WHOLE or row.data is None:
            continue
        picture = Picture(
            row.of, row.of_type, row.name, row.media_type, row.taken_micros, row.actor
        )
        drafts = parts_of(picture, row.data, to=_parties(view, own), request_id=request_id)
        await ask.node.ask(
            "Append",
            api_pb2.AppendRequest(
                drafts=[
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
            ),
        )


def _parties(view: api_pb2.CallView, own: str) -> tuple[str, ...]:
    """Selectors of the parties below this node; upward it travels by its level."""
    codes = dict.fromkeys(filter(None, (view.caller, view.content.village, *view.joined)))
    below = [code for code in codes if code != own and is_within(code, own)]
    return tuple(f"={code}" for code in below)[:SELECTORS_MAX]
