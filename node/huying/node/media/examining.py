"""What a file is, by its content: never by its name, nor by what the browser says of it.

Just the header is read, and nothing is decoded: the size in pixels is known, and bounded, before
any decoder sees the file.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huying.common import limits
from huying.node.media.errors import MediaError
from huying.node.media.jpeg_segments import frame_size

__all__ = ["Examined", "Kind", "examine"]


class Kind(enum.Enum):
    """What is taken; the value is the media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    PDF = "application/pdf"


@dataclass(frozen=True, slots=True)
class Examined:
    """A file of a kind that is taken."""

    kind: Kind
    width: int  # in pixels, as the header says; 0 for a document
    height: int
    size_bytes: int


_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER: Final = _PNG_SIGNATURE + b"\0\0\0\rIHDR"
_VP8_START: Final = b"\x9d\x01\x2a"
_VP8L_SIGNATURE: Final = 0x2F

_EMPTY: Final = "文件是空的,请重新选择 · the file is empty: choose it again"
_TOO_LARGE: Final = (
    f"文件超过 {limits.PHOTO_BYTES_MAX >> 20} MiB,请换小一些的照片"
    f" · over {limits.PHOTO_BYTES_MAX >> 20} MiB: choose a smaller photo"
)
_TOO_MANY_PIXELS: Final = (
    f"照片超过 {limits.PHOTO_PIXELS_MAX // 1_000_000} 百万像素,请调低相机分辨率"
    f" · over {limits.PHOTO_PIXELS_MAX // 1_000_000} megapixels: choose a lower resolution"
)
_DAMAGED: Final = (
    "照片已损坏或不完整,请重新拍摄 · the picture is damaged or cut short: take it again"
)
_UNKNOWN: Final = (
    "只接受 JPEG、PNG、WebP 照片和 PDF 文件 · just JPEG, PNG and WebP pictures and PDF are taken"
)
_HEIC: Final = (
    "这是 HEIC 照片,请在手机相机设置里选“兼容性最佳”(JPEG)后重拍,或截图上传"
    " · a HEIC photo: set the camera to JPEG, or send a screenshot"
)
_HEIC_BRANDS: Final = (b"heic", b"heix", b"heif", b"mif1", b"hevc", b"avif")


def examine(path: Path) -> Examined:
    """The kind and size of a file. Raises MediaError for one that is not taken, OSError."""
    size = path.stat().st_size
    if size == 0:
        raise MediaError(_EMPTY)
    if size > limits.PHOTO_BYTES_MAX:
        raise MediaError(_TOO_LARGE)
    data = path.read_bytes()
    kind = _kind(data)
    if kind is Kind.PDF:
        return Examined(kind, 0, 0, size)
    dimensions = _DIMENSIONS[kind](data)
    if dimensions is None:
        raise MediaError(_DAMAGED)
    width, height = dimensions
    if width * height > limits.PHOTO_PIXELS_MAX:
        raise MediaError(_TOO_MANY_PIXELS)
    return Examined(kind, width, height, size)


def _kind(data: bytes) -> Kind:
    """The kind whose signature stands at the very beginning. Raises MediaError."""
    if data.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if data.startswith(_PNG_SIGNATURE):
        return Kind.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Kind.WEBP
    if data.startswith(b"%PDF-"):
        return Kind.PDF
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise MediaError(_HEIC)
    raise MediaError(_UNKNOWN)


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG_HEADER) or len(data) < 24:
        return None
    return _filled(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """As the first chunk says (RFC 9649, 2.5 to 2.7)."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8 " and body[3:6] == _VP8_START:
        sides = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    elif chunk == b"VP8L" and body[0] == _VP8L_SIGNATURE:
        bits = int.from_bytes(body[1:5], "little")
        sides = ((bits >> shift & 0x3FFF) + 1 for shift in (0, 14))
    elif chunk == b"VP8X":
        sides = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
    else:
        return None
    return _filled(*sides)


def _filled(width: int, height: int) -> tuple[int, int] | None:
    return (width, height) if width and height else None


_DIMENSIONS: Final = {Kind.JPEG: frame_size, Kind.PNG: _png_size, Kind.WEBP: _webp_size}
