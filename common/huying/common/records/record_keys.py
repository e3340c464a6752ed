"""Record ids that follow from what a record is about, so that writing it again replaces it."""

from __future__ import annotations

from hashlib import sha256

from huying.common.limits import RECORD_ID_BYTES

__all__ = ["keyed"]


def keyed(label: str, *parts: str | int | bytes) -> bytes:
    """The record id of the one record of a kind that `parts` name at its home: 16 bytes.

    SHA-256 over "huying/LABEL/v1" and, for each part, a newline, its length in bytes in decimal, a
    colon and the part; numbers in decimal, text in UTF-8. The first 16 bytes of it.
    """
    data = b"huying/" + label.encode() + b"/v1"
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        data += b"\n" + str(len(raw)).encode() + b":" + raw
    return sha256(data).digest()[:RECORD_ID_BYTES]
