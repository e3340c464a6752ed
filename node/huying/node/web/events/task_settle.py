"""办结 in the village: an event's end, with what was done in words and in photos.

The words are added to the event's own text, masked in the part that travels, and the photos are
written with it in one append.
"""

from __future__ import annotations

from typing import Final

from huying.node.events.event_ends import settled_event
from huying.node.web.events.event_pages import check_settles, load_event
from huying.node.web.events.report_photos import photo_drafts
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["DONE_CHARACTERS_MAX", "settle"]

DONE_CHARACTERS_MAX: Final = 500


async def settle(ask: Ask, record: bytes) -> None:
    """Write the end of an event of this node, as the form says; once.

    Raises HuyingError: NOT_FOUND for one that is not the person's to see; WRONG_STAGE where it was
    settled or changed meanwhile; as the photos; as `NodeLink.ask`.
    """
    form = await ask.form()
    request_id, seen = form.id(), form.text("version", 300)
    done = form.text("done", DONE_CHARACTERS_MAX)
    loaded = await load_event(ask, ask.node.code, record)
    if await _is_written(ask, request_id):
        return
    check_settles(loaded, seen)
    photos = await photo_drafts(
        ask,
        form.files("photo"),
        record,
        stay=form.flag("photos_stay"),
        keep_metadata=form.flag("keep_metadata"),
    )
    async with ask.site.turns.of(f"event:{record.hex()}"):
        loaded = await load_event(ask, ask.node.code, record)  # as it is by now
        if await _is_written(ask, request_id):
            return
        check_settles(loaded, seen)
        event = settled_event(loaded.event, done, ask.now())
        drafts = [
            api_pb2.Draft(
                kind=feed_pb2.KIND_PUT,
                type=feed_pb2.RECORD_TYPE_EVENT,
                record=record,
                message=event.SerializeToString(),
                request_id=request_id,
            ),
            *photos,
        ]
        await ask.node.ask("Append", api_pb2.AppendRequest(drafts=drafts))
    await ask.audit("event-settled", record.hex())


async def _is_written(ask: Ask, request_id: bytes) -> bool:
    """Whether the first press of the same form has written it."""
    return await ask.node.read(lambda reader: reader.request(request_id)) is not None
