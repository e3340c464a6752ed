"""The photos of a report, and of its end, as entries that are appended together with the event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import UploadFile

from huying.common.errors import Code, HuyingError
from huying.node.media import Kind
from huying.node.web.page import Ask
from huying.node.web.uploads import upload_drafts
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["PHOTOS_MAX", "photo_drafts"]

PHOTOS_MAX: Final = 3
_MICROS: Final = 1_000_000


async def photo_drafts(
    ask: Ask, files: Sequence[UploadFile], event: bytes, *, stay: bool, keep_metadata: bool
) -> list[api_pb2.Draft]:
    """The drafts of all photos of one event.

    `stay`: their bytes travel nowhere; `keep_metadata`: the files themselves are kept here, too.
    Raises HuyingError(INVALID_ARGUMENT) for too many, or one that is no picture; DISK_FULL, BUSY.
    """
    if len(files) > PHOTOS_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"photo: 最多 {PHOTOS_MAX} 张,请去掉多的 · at most {PHOTOS_MAX}; leave some out",
        )
    drafts: dict[bytes, api_pb2.Draft] = {}
    for file in files:
        prepared = await ask.site.uploads.take(
            ask, file, stays_home=stay, keep_metadata=keep_metadata, subject=event
        )
        if prepared.kind is Kind.PDF:
            raise HuyingError(Code.INVALID_ARGUMENT, "photo: 请选照片 · a picture, no document")
        for draft in upload_drafts(
            event,
            feed_pb2.RECORD_TYPE_EVENT,
            prepared,
            stays_home=stay,
            actor=ask.person.actor,
            taken_micros=int(ask.now() * _MICROS),
            request_id=event,
        ):
            drafts[draft.record] = draft  # the same photo twice is one
    return list(drafts.values())
