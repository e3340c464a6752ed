"""The rules of evidence: what one part of a picture may hold where it is written.

See `record_rules` beside this; `evidence_parts` makes parts that keep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from huying.common.limits import (
    EVIDENCE_BYTES_MAX,
    EVIDENCE_PART_BYTES_MAX,
    EVIDENCE_PARTS_MAX,
)
from huying.common.records.field_checks import (
    Rule,
    bytes_upto,
    masked_text,
    micros,
    of_bytes,
    one_line,
    one_of,
    record_id,
    refuse,
    required,
    short_text,
    upto,
)
from huying.wire.v1 import evidence_pb2, feed_pb2

__all__ = ["EVIDENCE_RULES", "MEDIA_TYPES", "SUBJECT_TYPES", "check_evidence"]

# What evidence may be of.
SUBJECT_TYPES: Final = (int(feed_pb2.RECORD_TYPE_EVENT), int(feed_pb2.RECORD_TYPE_CALL))
# A picture is made anew before it travels, so it is always a JPEG. A document is as it came.
MEDIA_TYPES: Final = ("image/jpeg", "application/pdf")
_SHA256_BYTES: Final = 32


def _name(field: str, value: str, code: str) -> None:
    """One line without a phone or ID number: a file's name travels where its bytes may not."""
    one_line(field, value, code)
    masked_text(field, value, code)


def _subject_type(field: str, value: int, _code: str) -> None:
    if value not in SUBJECT_TYPES:
        known = ", ".join(map(str, SUBJECT_TYPES))
        raise refuse(field, f"evidence is of an event or a call, one of {known}")


EVIDENCE_RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "Evidence": {
        "of": required(record_id),
        "of_type": required(_subject_type),
        "sha256": required(of_bytes(_SHA256_BYTES)),
        "name": required(_name),
        "media_type": required(one_of(*MEDIA_TYPES)),
        "size_bytes": required(upto(EVIDENCE_BYTES_MAX)),
        "part": Rule(upto(EVIDENCE_PARTS_MAX - 1)),
        "parts": required(upto(EVIDENCE_PARTS_MAX)),
        "taken_micros": Rule(micros),
        "actor": Rule(short_text),
        "data": Rule(bytes_upto(EVIDENCE_PART_BYTES_MAX)),
        "data_home": Rule(bytes_upto(EVIDENCE_PART_BYTES_MAX)),
    },
}


def check_evidence(message: evidence_pb2.Evidence) -> None:
    """The fields beside each other. Raises HuyingError(INVALID_ARGUMENT) naming the field."""
    if message.part >= message.parts:
        raise refuse("part", f"{message.part} of {message.parts}; parts are counted from 0")
    if bool(message.data) == bool(message.data_home):
        raise refuse("data", "give the bytes in data, or in data_home, and not in both")
    if message.size_bytes > message.parts * EVIDENCE_PART_BYTES_MAX:
        raise refuse("parts", "too few for size_bytes")
