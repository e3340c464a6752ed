"""Pictures and files for the tests of media, and the child that takes them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from huying.common.errors import Code
from huying.node.media import (
    MediaError,
    Prepared,
    prepare,
)

__all__ = [
    "BLUE",
    "CANARY",
    "GPS",
    "PDF",
    "RED",
    "encoded",
    "jpeg",
    "picture",
    "refused",
    "taken",
    "with_everything",
    "zipped",
]


CANARY = b"KANARI"


GPS = 0x8825


RED, BLUE = (220, 20, 20), (20, 20, 220)


def encoded(image: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **more)
    return data.getvalue()


def picture(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """The left half red, the right half blue; the top darker than the bottom would hide turns."""
    image = Image.new("RGB", (width, height), BLUE)
    image.paste(RED, (0, 0, width // 2, height))
    return image if mode == "RGB" else image.convert(mode)


def jpeg(**more: Any) -> bytes:
    return encoded(picture(), "JPEG", quality=90, **more)


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", CANARY * 50)
    return data.getvalue()


def taken(out: Path, data: bytes, at: str = "a.bin", **more: Any) -> Prepared:
    path = out.parent / at
    path.write_bytes(data)
    return prepare(path, out, **more)


def refused(out: Path, data: bytes, at: str = "a.bin", **more: Any) -> str:
    """Why a file is not taken; nothing of it is kept."""
    with pytest.raises(MediaError) as caught:
        taken(out, data, at, **more)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.zh
    assert caught.value.advice.zh == caught.value.zh
    assert list(out.iterdir()) == []
    return caught.value.detail


# What is left in a picture.


def with_everything() -> bytes:
    """A JPEG with GPS, device, thumbnail, XMP, a profile, a comment, and more behind its end."""
    exif = Image.Exif()
    exif[0x010F] = CANARY.decode()  # the maker
    exif[0x9286] = b"ASCII\0\0\0" + CANARY
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (35.0, 7.0, 11.0)
    exif.get_ifd(GPS)[29] = CANARY.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        jpeg(
            exif=exif.tobytes(),
            comment=CANARY + b"<script>alert(1)</script>",
            icc_profile=profile + CANARY,
            xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + CANARY + b"</x:xmpmeta>",
        )
        + zipped()
        + b"<html><script>"
        + CANARY
    )


# Documents.


PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
