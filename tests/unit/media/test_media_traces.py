"""What a file tells beside what it shows: metadata, names, and segments within a JPEG."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from huying.common import limits
from huying.common.masking import mask
from huying.node.media.jpeg_segments import frame_size, is_just_a_picture
from tests.unit.media.picture_cases import (
    CANARY,
    GPS,
    PDF,
    encoded,
    jpeg,
    picture,
    refused,
    taken,
    with_everything,
    zipped,
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_nothing_is_left_but_what_the_eye_sees(out: Path, kind: str) -> None:
    """The place of a photo is often a home, and a device follows its owner about."""
    exif = Image.Exif()
    exif[0x010F] = CANARY.decode()
    exif.get_ifd(GPS)[2] = (35.0, 7.0, 11.0)
    if kind == "jpeg":
        data = with_everything()
    elif kind == "png":
        about = PngImagePlugin.PngInfo()
        about.add_text("Author", CANARY.decode())
        about.add_itxt("XML:com.adobe.xmp", CANARY.decode())
        data = encoded(picture(), "PNG", pnginfo=about, exif=exif.tobytes()) + zipped() + CANARY
    else:
        data = encoded(picture(), "WEBP", exif=exif.tobytes(), xmp=CANARY) + CANARY
    assert CANARY in data
    made = taken(out, data)
    files = [path.read_bytes() for path in out.iterdir()]
    assert len(files) == 2
    for file in files:
        assert is_just_a_picture(file)
        assert CANARY not in file
        assert file.endswith(b"\xff\xd9")
        again = Image.open(io.BytesIO(file))
        assert not again.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & again.info.keys()
    assert made.original_path is None
    assert zipfile.is_zipfile(made.picture_path) is False


def test_metadata_is_kept_where_that_is_asked_for_and_only_beside(out: Path) -> None:
    """A dispute over a boundary may need the place; what travels never has it."""
    data = with_everything()
    made = taken(out, data, keep_metadata=True)
    assert made.original_path is not None
    assert made.original_path.read_bytes() == data
    assert made.original_path.stem == sha256(data).hexdigest() == made.sha256_original.hex()
    assert CANARY not in made.preview_path.read_bytes() + made.picture_path.read_bytes()


@pytest.mark.parametrize("called", ["", "13800000000.pdf", "370830199001011234 证明.pdf", "..pdf"])
def test_a_name_that_tells_too_much_is_replaced(out: Path, called: str) -> None:
    """It is readable where the bytes may not be."""
    made = taken(out, PDF, name=called)
    assert made.name.startswith("附件-")
    assert not mask(made.name).hits
    assert not mask(taken(out, jpeg()).name).hits


def test_a_document_that_does_not_travel_is_refused(out: Path) -> None:
    """With words that say what to do instead."""
    assert "photograph" in refused(out, PDF[:-6] + bytes(limits.EVIDENCE_BYTES_MAX) + PDF[-6:])
    assert "cut short" in refused(out, PDF[:-8])


# The segments of a JPEG.


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\0",
        lambda data: data + data,
        lambda data: data[:-2],
        lambda data: data[:2] + b"\xff\xfe\0\x08" + CANARY + data[2:],
        lambda data: data[:2] + b"\xff\xe1\0\x08" + CANARY + data[2:],
        lambda data: data.replace(b"JFIF\0", b"JFXX\0"),
        lambda data: b"",
        lambda data: b"\xff\xd8\xff\xd9",
    ],
)
def test_a_jpeg_with_anything_beside_its_picture_is_told_from_one_without(
    spoil: Callable[[bytes], bytes],
) -> None:
    """This is the last look at what becomes evidence."""
    assert is_just_a_picture(jpeg())
    assert is_just_a_picture(jpeg(progressive=True, restart_marker_rows=1))
    assert not is_just_a_picture(spoil(jpeg()))


@given(st.binary(max_size=400))
def test_segments_of_any_bytes_raise_nothing(data: bytes) -> None:
    """They run over what other nodes wrote."""
    for start in (b"", b"\xff\xd8"):
        frame_size(start + data)
        is_just_a_picture(start + data)
