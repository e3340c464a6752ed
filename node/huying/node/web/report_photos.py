"""The photos of a report as entries: checked and made anew by `huying.node.media`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.datastructures import UploadFile

from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.node.media import Kind, Prepared, evidence_drafts, prepare
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.store.reader import Reader
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2, evidence_pb2, feed_pb2

__all__ = ["PHOTOS_MAX", "photo_drafts", "stays_here", "to_draft"]

PHOTOS_MAX: Final = 3
_MICROS: Final = 1_000_000


async def photo_drafts(
    ask: Ask, files: Sequence[UploadFile], event: bytes, *, stay: bool
) -> list[api_pb2.Draft]:
    """The drafts of all photos of one event, to be appended with it.

    Raises HuyingError(INVALID_ARGUMENT) for too many, or one that is no picture.
    """
    if len(files) > PHOTOS_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"photo: 最多 {PHOTOS_MAX} 张,请去掉多的 · at most {PHOTOS_MAX}; leave some out",
        )
    drafts: dict[bytes, DraftEntry] = {}
    for file in files:
        prepared = await _prepared(ask, file)
        if prepared.kind is Kind.PDF:
            raise HuyingError(Code.INVALID_ARGUMENT, "photo: 请选照片 · a picture, no document")
        for draft in evidence_drafts(
            event,
            feed_pb2.RECORD_TYPE_EVENT,
            prepared,
            stays_home=stay,
            actor=ask.person.actor,
            taken_micros=int(ask.now() * _MICROS),
            request_id=event,
        ):
            drafts[draft.record] = draft  # the same photo twice is one
    return [to_draft(draft) for draft in drafts.values()]


async def _prepared(ask: Ask, file: UploadFile) -> Prepared:
    folder = ask.site.config.console_dir / "files"

    def work() -> Prepared:
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".") as copy:
            file.file.seek(0)
            shutil.copyfileobj(file.file, copy)
            copy.flush()
            return prepare(Path(copy.name), folder)

    return await ask.site.on_thread(work)


def to_draft(draft: DraftEntry) -> api_pb2.Draft:
    """The API's form of a draft."""
    return api_pb2.Draft(
        kind=draft.kind,  # type: ignore[arg-type]  # an open enum
        type=draft.type,  # type: ignore[arg-type]  # an open enum
        record=draft.record,
        message=draft.message.SerializeToString(),
        to=draft.to,
        request_id=draft.request_id,
    )


def stays_here(reader: Reader, photo: EvidenceRow) -> bool:
    """Whether a photo of this node is one that stays here (只留本村)."""
    row = reader.get_record(feed_pb2.RECORD_TYPE_EVIDENCE, photo.home, photo.places[0].record)
    return row is not None and bool(evidence_pb2.Evidence.FromString(row.message).data_home)
