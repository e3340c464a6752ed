"""A picture as entries, and entries as a picture: how the bytes of evidence travel in a feed.

A picture is cut into parts that fit an entry each. Every part names the digest of the whole, so
parts may come in any order, from anybody who holds them, and what is put together is either the
picture or nothing: `join` gives no bytes whose digest is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    EVIDENCE_BYTES_MAX,
    EVIDENCE_PART_BYTES_MAX,
    EVIDENCE_PARTS_MAX,
)
from huying.common.records.evidence_field_rules import MEDIA_TYPES
from huying.common.records.record_keys import keyed
from huying.wire.v1 import evidence_pb2, feed_pb2

__all__ = ["JPEG", "PDF", "Picture", "evidence_record", "join", "parts_of"]

JPEG, PDF = MEDIA_TYPES
_REQUEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """What is told of every part alike."""

    of: bytes  # the event's or call's record id
    of_type: int  # feed_pb2.RecordType
    name: str
    media_type: str
    taken_micros: int = 0  # unix; 0: unknown
    actor: str = ""


def evidence_record(of: bytes, digest: bytes, part: int) -> bytes:
    """The record id of one part: the same picture of the same thing is written once."""
    return keyed("evidence", of, digest, part)


def parts_of(
    picture: Picture,
    data: bytes,
    *,
    to: tuple[str, ...] = (),
    stays_home: bool = False,
    request_id: bytes = b"",
) -> list[DraftEntry]:
    """The drafts that carry a picture, to be appended together.

    `to` are selectors; a village has none. With `stays_home` the bytes are readable by the writer
    alone, until it provides them on request. `request_id` (16 bytes) makes a repeat write nothing.
    Raises HuyingError(INVALID_ARGUMENT) for no bytes, or more than EVIDENCE_BYTES_MAX.
    """
    if not 0 < len(data) <= EVIDENCE_BYTES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"data: {len(data)} bytes, from 1 to {EVIDENCE_BYTES_MAX} travel; make it smaller",
        )
    digest = sha256(data).digest()
    starts = range(0, len(data), EVIDENCE_PART_BYTES_MAX)
    drafts = []
    for part, start in enumerate(starts):
        some = data[start : start + EVIDENCE_PART_BYTES_MAX]
        message = evidence_pb2.Evidence(
            of=picture.of,
            of_type=picture.of_type,
            sha256=digest,
            name=picture.name,
            media_type=picture.media_type,
            size_bytes=len(data),
            part=part,
            parts=len(starts),
            taken_micros=picture.taken_micros,
            actor=picture.actor,
            data=b"" if stays_home else some,
            data_home=some if stays_home else b"",
        )
        drafts.append(
            DraftEntry(
                kind=feed_pb2.KIND_PUT,
                type=feed_pb2.RECORD_TYPE_EVIDENCE,
                message=message,
                record=evidence_record(picture.of, digest, part),
                to=to,
                request_id=_request(request_id, digest, part),
            )
        )
    return drafts


def _request(request_id: bytes, digest: bytes, part: int) -> bytes:
    """A request id for each part of what one request asked for."""
    if not request_id:
        return b""
    return sha256(request_id + digest + bytes((part,))).digest()[:_REQUEST_BYTES]


def join(parts: Mapping[int, bytes], count: int, digest: bytes) -> bytes | None:
    """The picture from its parts by number; None while one is missing, or where they lie."""
    if not 0 < count <= EVIDENCE_PARTS_MAX or not _covers(parts, count):
        return None
    data = b"".join(parts[part] for part in range(count))
    return data if sha256(data).digest() == digest else None


def _covers(parts: Iterable[int], count: int) -> bool:
    return set(range(count)) <= set(parts)
