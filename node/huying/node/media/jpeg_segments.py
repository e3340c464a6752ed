"""The marker segments of a JPEG file (ITU-T T.81, B.1): its size, and whether it is just a picture.

Nothing is decoded here. Whoever sent the file chose every byte of it, so each length is checked
before it is used, and the number of segments is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["frame_size", "is_just_a_picture"]

_START: Final = 0xD8
_END: Final = 0xD9
_SCAN: Final = 0xDA
_RESTARTS: Final = range(0xD0, 0xD8)
# Baseline, extended and progressive; what is left out, no camera writes and few programs read.
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES: Final = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_JFIF: Final = 0xE0
# Quantisation and Huffman tables, the restart interval.
_TABLES: Final = frozenset({0xDB, 0xC4, 0xDD})
_JFIF_NAME: Final = b"JFIF\0"
_JFIF_BYTES: Final = 14  # of the segment without a thumbnail
_SEGMENTS_MAX: Final = 4096


class _Segment(NamedTuple):
    marker: int
    start: int  # of its content
    stop: int


def frame_size(data: bytes) -> tuple[int, int] | None:
    """Width and height as the first frame says; None where there is none that is decoded here."""
    for segment in _segments(data):
        if segment.marker in _OTHER_FRAMES or segment.marker in (_SCAN, _END):
            return None
        if segment.marker in _FRAMES:
            content = data[segment.start : segment.stop]
            if len(content) < 6:
                return None
            height, width = (int.from_bytes(content[at : at + 2], "big") for at in (1, 3))
            return (width, height) if width and height else None
    return None


def is_just_a_picture(data: bytes) -> bool:
    """Whether the file has tables, one frame, scans and its end, and nothing besides.

    No Exif, XMP, ICC profile, comment or thumbnail, and no byte after the end.
    """
    frames = 0
    last = 0
    for segment in _segments(data):
        content = data[segment.start : segment.stop]
        if segment.marker in _FRAMES:
            frames += 1
        elif segment.marker == _JFIF:
            if len(content) != _JFIF_BYTES or not content.startswith(_JFIF_NAME):
                return False
        elif segment.marker not in (*_TABLES, _SCAN, _END):
            return False
        last = segment.marker
        if last == _END and segment.stop != len(data):
            return False
    return frames == 1 and last == _END


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments one after another, as far as they make sense; a scan's data is passed over."""
    at = 2 if data[:2] == bytes((0xFF, _START)) else len(data)
    for _ in range(_SEGMENTS_MAX):
        if data[at : at + 1] != b"\xff":
            return
        while data[at : at + 1] == b"\xff":  # a marker may be padded
            at += 1
        if at >= len(data):
            return
        marker, at = data[at], at + 1
        if marker == _END:
            yield _Segment(marker, at, at)
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return
        yield _Segment(marker, at + 2, at + length)
        at = _after_scan(data, at + length) if marker == _SCAN else at + length


def _after_scan(data: bytes, at: int) -> int:
    """Where the entropy-coded data that begins at `at` ends: at a marker that is no restart."""
    while (at := data.find(b"\xff", at)) >= 0:
        follows = data[at + 1 : at + 2]
        if not follows:
            break
        if follows[0] != 0 and follows[0] not in _RESTARTS:
            return at
        at += 2
    return len(data)
