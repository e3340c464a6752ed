"""Pictures and documents, each by its digest, for whoever may see what it is evidence of.

What is answered is never a page: a picture has its type and is put in no frame of ours, a document
is downloaded, and a browser that would run either is told to run nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from starlette.responses import FileResponse, Response

from huying.common.codes import ancestors
from huying.common.errors import Code, HuyingError
from huying.common.records.evidence_parts import JPEG, PDF
from huying.node.media.showing import served_type
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import load_call
from huying.node.web.originals import original_type
from huying.node.web.page import Ask, Page
from huying.wire.v1 import feed_pb2

__all__ = ["HEADERS", "PAGES", "evidence_may_see"]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
# Of a file that somebody handed in: a browser runs nothing of it, and keeps it for nobody else.
HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # Kept by the browser, and asked for again each time: who signed out sees nothing from it.
    "Cache-Control": "private, no-cache",
}


async def media(ask: Ask) -> Response:
    """The bytes of a preview, by its digest.

    `of=picture` is the larger picture where there is one, `of=original` the file as it was handed
    in; both are just where it was handed in.
    """
    text = ask.path("sha256")
    if not _DIGEST.fullmatch(text):
        raise _nothing()
    digest, wish = bytes.fromhex(text), ask.query("of")
    rows = await ask.node.read(lambda reader: reader.evidence_by_digest(digest))
    seen = await evidence_may_see(ask, rows)
    here = [row for row in seen if row.data is not None]
    if wish == "original":
        return await _original(ask, here)
    row = next(iter(here), None)
    if row is None or row.data is None:
        raise _nothing()
    if wish == "picture" and (kept := await _picture(ask, row)) is not None:
        return kept
    etag = f'"{text}"'
    media_type = served_type(row.media_type, row.data)
    disposition = _disposition(row.sha256, media_type)
    headers = {**HEADERS, "ETag": etag, "Content-Disposition": disposition}
    if ask.request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(row.data, media_type=media_type, headers=headers)


async def evidence_may_see(ask: Ask, rows: Sequence[EvidenceRow]) -> list[EvidenceRow]:
    """Those of these that are of an event or a call that the person may see."""
    return [row for row in rows if await _may_see(ask, row)]


async def _may_see(ask: Ask, row: EvidenceRow) -> bool:
    try:
        if row.of_type == feed_pb2.RECORD_TYPE_CALL:
            if not ask.may(Permission.CALLS_READ):
                return False
            await load_call(ask, row.of.hex())
        elif await _by_its_call(ask, row):
            return True
        else:
            if not ask.may(Permission.EVENTS_READ):
                return False
            own = ask.node.code
            home, grid = await ask.node.read(lambda reader: _place(reader, row, own))
            ask.scope.record(home, grid)
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return False
    return True


async def _by_its_call(ask: Ask, row: EvidenceRow) -> bool:
    """Whether `call=` names a call of the person's that refers to that event.

    A department reads no events but those that its calls bring.
    """
    call = ask.query("call")
    if not call or not ask.may(Permission.CALLS_READ):
        return False
    event = (await load_call(ask, call)).view.event
    return (event.home, event.record) == (row.home, row.of)


def _place(reader: Reader, row: EvidenceRow, own: str) -> tuple[str, str]:
    """Home and grid of the event; of one that is not here, the node that wrote the evidence."""
    for home in (row.home, *ancestors(row.home), own):
        if (event := reader.get_event(home, row.of)) is not None:
            return home, event.event.grid
    return row.home, ""


async def _picture(ask: Ask, row: EvidenceRow) -> Response | None:
    """The larger picture of this console, if it has one. That somebody fetched it is noted."""
    path = await ask.site.on_thread(lambda: ask.site.uploads.picture(row.sha256))
    # What another node wrote under the same digest was not handed in here.
    if path is None or row.home != ask.node.code:
        return None
    await ask.audit("media-picture", row.sha256.hex(), detail=row.of.hex())
    return _file(path, row, row.media_type, attached=row.media_type != JPEG)


async def _original(ask: Ask, rows: Sequence[EvidenceRow]) -> Response:
    """The file as it was handed in, where somebody kept it of a thing that the person may see.

    Raises HuyingError(NOT_FOUND).
    """
    originals = ask.site.uploads.originals
    for row in rows:
        if row.home != ask.node.code:
            continue
        path = await ask.site.on_thread(partial(originals.find, row.sha256, row.of))
        if path is not None:
            await ask.audit("media-original", row.sha256.hex(), detail=row.of.hex())
            # It may hold anything beside its picture: it is downloaded.
            return _file(path, row, original_type(path), attached=True)
    raise _nothing()


def _file(path: Path, row: EvidenceRow, media_type: str, *, attached: bool) -> Response:
    return FileResponse(
        path,
        media_type=media_type,
        headers=HEADERS,
        filename=f"{row.name.rpartition('.')[0]}{path.suffix}",
        content_disposition_type="attachment" if attached else "inline",
    )


def _disposition(digest: bytes, media_type: str) -> str:
    """A picture may be shown in a page; anything else is downloaded, under a neutral name."""
    if media_type == JPEG:
        return "inline"
    suffix = "pdf" if media_type == PDF else "bin"
    return f'attachment; filename="{digest.hex()[:12]}.{suffix}"'


def _nothing() -> HuyingError:
    return HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")


PAGES: Final[tuple[Page, ...]] = (
    Page(
        "/media/{sha256}",
        "media",
        media,
        needs=Permission.EVENTS_READ,
        also=Permission.CALLS_READ,
    ),
)
