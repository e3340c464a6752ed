"""What the principal looks at beside a draft's words: its files, the event behind it, what waits.

A draft's own files are no evidence yet, so they are shown from what this console keeps, to whoever
sees the draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import FileResponse, Response

from huying.common.errors import Code, HuyingError
from huying.common.records.evidence_parts import JPEG, PDF
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calling.calling_reads import DraftRow, drafts
from huying.node.web.calling.calling_reads import draft as read_draft
from huying.node.web.events.event_pages import LoadedEvent, load_event, record_id
from huying.node.web.media_pages import HEADERS
from huying.node.web.page import Ask, Page
from huying.wire.v1 import calls_pb2

__all__ = [
    "PAGES",
    "DraftFile",
    "event_of",
    "files_of",
    "load_draft",
    "sees_draft",
    "waiting_beside",
]

_DIGEST_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A file that goes along, and where it can be looked at."""

    attachment: calls_pb2.Attachment
    url: str  # empty where its bytes are not here
    is_picture: bool
    has_original: bool  # the file itself is kept here on purpose, with what the camera wrote


async def load_draft(ask: Ask) -> DraftRow:
    """The draft of the page's address.

    Raises HuyingError(NOT_FOUND) for one that is not here, or is not the person's to see.
    """
    own, record = ask.node.code, record_id(ask.path("draft"))
    row = await ask.node.read(lambda reader: read_draft(reader, own, record))
    message = row.message
    ask.scope.call(caller=own, village=message.village, grid=message.grid, department="")
    return row


def sees_draft(ask: Ask, row: DraftRow) -> bool:
    """Whether the draft is the person's to see."""
    message = row.message
    return ask.scope.sees_call(
        caller=ask.node.code, village=message.village, grid=message.grid, department=""
    )


async def event_of(ask: Ask, draft: calls_pb2.CallDraft) -> LoadedEvent | None:
    """The event that the draft came of, where it is here and the person's to see."""
    if not draft.event or not ask.may(Permission.EVENTS_READ):
        return None
    try:
        return await load_event(ask, draft.village or ask.node.code, draft.event)
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None


async def files_of(ask: Ask, row: DraftRow, event: LoadedEvent | None) -> list[DraftFile]:
    """What the draft names, each with the way to it: the event's picture, or the draft's own."""
    here = {one.sha256: one for one in (event.evidence if event else ()) if one.data is not None}
    kept = await _originals_of(ask, row)
    found = []
    for one in row.message.attachments:
        digest = one.sha256
        if digest in here:
            url = ask.url("media", sha256=digest.hex())
            found.append(DraftFile(one, url, here[digest].media_type == JPEG, digest in kept))
            continue
        path = await ask.site.on_thread(partial(ask.site.uploads.preview, digest))
        url = ask.url("draft-file", draft=row.record.hex(), sha256=digest.hex()) if path else ""
        found.append(
            DraftFile(one, url, path is not None and path.suffix != ".pdf", digest in kept)
        )
    return found


async def _originals_of(ask: Ask, row: DraftRow) -> frozenset[bytes]:
    """The digests of those of its files that were kept as they were handed in, for this draft."""
    keys = [(one.sha256, row.record) for one in row.message.attachments]
    if not keys:
        return frozenset()
    found = await ask.site.on_thread(lambda: ask.site.uploads.originals.among(keys))
    return frozenset(digest for digest, _ in found)


async def waiting_beside(ask: Ask, row: DraftRow) -> Sequence[DraftRow]:
    """The other drafts that wait for the principal, the oldest first."""
    own, state = ask.node.code, calls_pb2.DRAFT_STATE_WAITING

    def read(reader: Reader) -> list[DraftRow]:
        return drafts(reader, own, state=state)

    found = await ask.node.read(read)
    return [one for one in reversed(found) if one.record != row.record and sees_draft(ask, one)]


async def show_file(ask: Ask) -> Response:
    """One of the draft's own files: a picture to look at, a document to take."""
    row = await load_draft(ask)
    text = ask.path("sha256")
    named = {one.sha256.hex(): one for one in row.message.attachments}
    one = named.get(text) if len(text) == _DIGEST_DIGITS else None
    path = None
    if one is not None:
        digest = one.sha256
        path = await ask.site.on_thread(lambda: ask.site.uploads.preview(digest))
    if path is None:
        raise HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")
    is_document = path.suffix == ".pdf"
    return FileResponse(
        path,
        media_type=PDF if is_document else JPEG,
        headers=HEADERS,
        filename=f"{text[:12]}{path.suffix}",
        content_disposition_type="attachment" if is_document else "inline",
    )


PAGES: Final = (
    Page("/call-drafts/{draft}/files/{sha256}", "draft-file", show_file, Permission.CALLS_CALLER),
)
