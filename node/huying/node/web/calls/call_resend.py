"""Files that a step of this node names and that did not follow it: found, and sent again.

A step is written first and its files follow, so a node that ends in between leaves a name without
its file. Nothing is remembered of that: what is owed follows from the feed and from the files that
the console still keeps. So it shows to whoever opens the call, one press sends it, and what was
sent meanwhile is owed no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from huying.common.calls.call_rules import Role
from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import LoadedCall, load_call
from huying.node.web.calls.call_files import (
    TAKES_FILES,
    CallFile,
    parties,
    release,
    write_file,
)
from huying.node.web.calls.call_matter import read_matter
from huying.node.web.page import Ask, Page
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["PAGES", "OwedFile", "owed_files", "sendable", "shown_owed"]

SETTLED_SECONDS: Final = 30.0  # between a step and its files: longer is no longer on its way


@dataclass(frozen=True, slots=True)
class OwedFile:
    """A file that a step names, and that the other parties can't have yet."""

    kind: str  # of the step, or raise
    attachment: calls_pb2.Attachment
    actor: str  # who took the step
    since_micros: int  # unix; when the step that should have sent it was written
    is_held_back: bool = False  # an answer's, before the centre's review sends it
    # It is written, and the review that sends the answer did not address it to anybody.
    is_written: bool = False


def owed_files(
    view: api_pb2.CallView, pictures: Iterable[EvidenceRow], own: str
) -> tuple[OwedFile, ...]:
    """What the node `own` owes in this call, in the order of its steps."""
    found = list(pictures)
    ours = {row.sha256: row for row in found if row.home == own and row.of == view.call}
    owed = {one.attachment.sha256: one for one in _of_raise(view, found, own)}
    held: dict[bytes, OwedFile] = {}  # of the answer under review
    for each in sorted(view.steps, key=_place):
        kind = each.step.WhichOneof("step") or ""
        if each.home != own or each.void:
            continue
        if kind in TAKES_FILES:
            held_back = kind == "answer" and view.terms.review_required
            made = [
                OwedFile(kind, one, each.step.actor, each.time_micros, held_back)
                for one in getattr(each.step, kind).attachments
            ]
            owed |= {one.attachment.sha256: one for one in made}
            held = {one.attachment.sha256: one for one in made} if held_back else held
        elif kind == "review" and each.step.review.sent:
            for sha256, one in held.items():
                row = ours.get(sha256)
                late = (
                    row is not None
                    and row.state is EvidenceState.WHOLE
                    and all(_entry(p.origin, p.index) < _place(each) for p in row.places)
                )
                owed[sha256] = OwedFile(
                    one.kind, one.attachment, one.actor, each.time_micros, is_written=late
                )
            held = {}
    return tuple(
        one for one in owed.values() if one.attachment.sha256 not in ours or one.is_written
    )


def _of_raise(
    view: api_pb2.CallView, pictures: Iterable[EvidenceRow], own: str
) -> Iterator[OwedFile]:
    """What the call itself names, and neither its event nor the call has."""
    if view.caller == own:
        known = {row.sha256 for row in pictures}
        for one in view.content.attachments:
            if one.sha256 not in known:
                yield OwedFile("raise", one, view.content.actor, view.raised_micros)


def _entry(origin: str, index: int) -> tuple[int, int]:
    return parse_origin(origin).epoch, index


def _place(step: api_pb2.CallStepView) -> tuple[int, int]:
    return _entry(step.origin, step.index)


async def sendable(
    ask: Ask, loaded: LoadedCall, pictures: Iterable[EvidenceRow], *, settled_seconds: float = 0.0
) -> list[tuple[OwedFile, CallFile | None]]:
    """What is owed and can still be sent by this person, each with its file.

    None stands for the file of what is written already. Left out is what was owed for less than
    `settled_seconds`: it may be on its way right now.
    """
    found: list[tuple[OwedFile, CallFile | None]] = []
    until = (ask.now() - settled_seconds) * 1e6
    for one in owed_files(loaded.view, pictures, ask.node.code):
        if not _may_send(loaded, one) or one.since_micros > until:
            continue
        if one.is_written:
            found.append((one, None))
            continue
        named = one.attachment
        path = await ask.site.on_thread(partial(ask.site.uploads.preview, named.sha256))
        if path is not None:
            found.append((one, CallFile(named.name, named.sha256, path)))
    return found


async def shown_owed(
    ask: Ask, loaded: LoadedCall, pictures: Iterable[EvidenceRow]
) -> list[OwedFile]:
    """What the call's page offers to send again; at once where sending just failed."""
    failed = ask.query("notice").startswith("files-")
    seconds = 0.0 if failed else SETTLED_SECONDS
    return [one for one, _ in await sendable(ask, loaded, pictures, settled_seconds=seconds)]


def _may_send(loaded: LoadedCall, one: OwedFile) -> bool:
    """Who could have taken the step may, and the centre for a department."""
    wanted = "withdraw" if one.kind == "raise" else one.kind  # a caller's, as the call is
    return any(wanted in part.steps or part.role is Role.CENTRE for part in loaded.parts)


async def resend(ask: Ask) -> Response:
    """Send what is owed; what the node refuses stays owed, and the page says so."""
    loaded = await load_call(ask, ask.path("call"))
    await ask.form()
    view, own = loaded.view, ask.node.code
    matter = await read_matter(ask, view)
    owed = await sendable(ask, loaded, matter.pictures)
    if not owed:
        return ask.redirect("call", call=loaded.hex, notice="unchanged")
    try:
        for one, file in owed:
            request_id = _request_id(view.call, one)
            if file is None:
                await release(ask, view, {one.attachment.sha256}, request_id)
                continue
            to = () if one.is_held_back else parties(view, own)
            await write_file(ask, view.call, file, to=to, actor=one.actor, request_id=request_id)
    except HuyingError as error:
        await ask.audit("call-files", loaded.hex, outcome="failed", detail=error.code.name.lower())
        return ask.redirect("call", call=loaded.hex, notice="files-lost")
    await ask.audit("call-files", loaded.hex)
    return ask.redirect("call", call=loaded.hex, notice="sent")


def _request_id(call: bytes, one: OwedFile) -> bytes:
    """The same for the same deed, so two who press at once write it once."""
    deed = b"release" if one.is_written else b"hold" if one.is_held_back else b"send"
    return hashlib.sha256(b"owed" + deed + call + one.attachment.sha256).digest()[:RECORD_ID_BYTES]


PAGES: Final[tuple[Page, ...]] = (
    Page("/calls/{call}/files", "call-files", resend, Permission.CALLS_READ, ("POST",)),
)
