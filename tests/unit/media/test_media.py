"""Pictures from strangers: recognised by content, made anew, with nothing of the file left."""

from __future__ import annotations

import io
import os
import struct
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.media import (
    Kind,
    MediaError,
    Prepared,
    examine,
    picture_child,
    prepare,
    preparing,
)
from huying.node.media.jpeg_segments import frame_size, is_just_a_picture
from huying.node.media.showing import OTHER, data_uri, served_type
from huying.wire.v1 import feed_pb2
from tests.unit.media.picture_cases import (
    BLUE,
    CANARY,
    PDF,
    RED,
    encoded,
    jpeg,
    picture,
    refused,
    taken,
    with_everything,
    zipped,
)

ORIENTATION = 0x0112


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8) -> bytes:
    """A PNG whose header says what it says, with these chunks after it."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    return data


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def shown(prepared: Prepared) -> Image.Image:
    return Image.open(prepared.preview_path).convert("RGB")


def is_like(colour: Any, wanted: tuple[int, int, int], by: int = 30) -> bool:
    return all(abs(a - b) <= by for a, b in zip(colour, wanted, strict=True))


# What a file is.


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\0" * 100, "just JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "just JPEG"),
        (b"<?xml version='1.0'?><svg/>", "just JPEG"),
        (b"<html><script>alert(1)</script></html>", "just JPEG"),
        (b" " + jpeg(), "just JPEG"),
        (encoded(picture(), "GIF"), "just JPEG"),
        (encoded(picture(), "GIF") + zipped(), "just JPEG"),  # GIFAR
        (encoded(picture(), "BMP"), "just JPEG"),
        (encoded(picture(), "TIFF"), "just JPEG"),
        (zipped() + jpeg(), "just JPEG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\x7fELF" + bytes(100), "just JPEG"),
    ],
)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.pdf"])
def test_what_is_no_picture_is_refused_whatever_it_is_called(
    out: Path, data: bytes, said: str, name: str
) -> None:
    """The name and the type that a browser gives are the sender's to choose."""
    assert said in refused(out, data, name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_taken_whatever_it_is_called(out: Path, kind: str) -> None:
    """A handset's name for it says nothing, nor does a wrong one."""
    made = taken(out, encoded(picture(), kind), "invoice.exe")
    assert made.kind is Kind[kind]
    assert (made.media_type, made.width, made.height) == ("image/jpeg", 320, 240)
    assert is_like(shown(made).getpixel((20, 100)), RED)
    assert is_like(shown(made).getpixel((300, 100)), BLUE)


def test_examining_tells_size_and_kind_without_decoding(tmp_path: Path) -> None:
    """Everything after it relies on these numbers."""
    for kind, mode, more in (
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "CMYK", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {"quality": 60}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": False, "exif": b"Exif\0\0II*\0"}),
    ):
        path = tmp_path / "a"
        path.write_bytes(encoded(picture(333, 77, mode), kind, **more))
        found = examine(path)
        assert (found.kind.name, found.width, found.height) == (kind, 333, 77), (kind, more)
        assert found.size_bytes == path.stat().st_size


# What is refused before it is decoded, or ends the process that decodes it.


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(100_000, 100_000), "megapixels"),
        (png(2**31 - 1, 2**31 - 1), "megapixels"),
        (png(2**31 - 1, 1), "megapixels"),
        (png(0, 10), "damaged"),
        (jpeg().replace(struct.pack(">HH", 240, 320), b"\xff\xf0\xff\xf0"), "megapixels"),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff" * 6 + bytes(20), "megapixels"),
    ],
)
def test_a_picture_that_claims_to_be_huge_meets_no_decoder(
    out: Path, data: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty bytes must not make a machine set aside forty gigabytes."""
    monkeypatch.setattr(preparing, "confined", None)  # nothing may be started
    assert said in refused(out, data)


def test_a_file_that_is_too_large_is_not_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is known before its first byte."""
    path = out.parent / "large.jpg"
    with path.open("wb") as file:
        file.truncate(limits.PHOTO_BYTES_MAX + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _self: pytest.fail("it was read"))
    with pytest.raises(MediaError, match="20 MiB"):
        prepare(path, out)


def test_a_picture_that_unpacks_to_more_than_it_says_costs_nothing(out: Path) -> None:
    """A zlib bomb behind an honest header: the decoder unpacks what the header says, no more."""
    bomb = zlib.compress(bytes(128 * limits.MIB), 6)
    assert len(bomb) < 200_000
    started = os.times().children_user
    # In a text, which is unpacked to be thrown away; then in place of the picture.
    text = png(10, 10, (b"zTXt", b"k\0\0" + bomb), (b"IDAT", zlib.compress(bytes(31 * 10))))
    assert "damaged" in refused(out, text)
    made = taken(out, png(10, 10, (b"IDAT", bomb)))
    assert (made.width, made.height) == (10, 10)
    assert os.times().children_user - started < 5


def test_what_needs_more_memory_than_allowed_ends_its_own_process(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console goes on, and says what to do."""
    little = (96 * limits.MIB, *preparing.LIMITS[1:])
    monkeypatch.setattr(preparing, "LIMITS", little)
    data = encoded(Image.new("RGB", (6000, 6000), RED), "PNG")
    assert "memory or time" in refused(out, data)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_is_cut_short_is_refused(out: Path, kind: str, cut: float) -> None:
    """Half a photo of a broken road shows half of a whole one."""
    noisy = Image.effect_noise((400, 300), 90).convert("RGB")
    data = encoded(noisy, kind)
    assert "damaged" in refused(out, data[: int(len(data) * cut)])


@given(data=st.data())
def test_a_header_of_any_bytes_is_answered_and_raises_nothing_else(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The parsers of headers run in the console itself."""
    start = data.draw(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF1234WEBPVP8 "]))
    bytes_ = start + data.draw(st.binary(max_size=300))
    path = tmp_path_factory.getbasetemp() / "header"
    path.write_bytes(bytes_)
    try:
        found = examine(path)
    except MediaError:
        return
    assert 0 < found.width * found.height <= limits.PHOTO_PIXELS_MAX


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not json\n",
        b"[]\n",
        b'{"refused": "__class__"}\n',
        b'{"picture": 1, "preview": "x", "width": 1, "height": 1}\n',
        b'{"picture": 3, "preview": 3, "width": 1, "height": 1}\nabc',
        b'{"picture": 3, "preview": 3, "width": 1, "height": 1}\nabcdef',
        b'{"picture": -1, "preview": 4, "width": 1, "height": 1}\nabc',
    ],
)
def test_the_process_that_decodes_is_not_believed(
    out: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A picture that took it over could answer anything, a script for instance."""
    liar = tmp_path / "liar.py"
    liar.write_text(f"import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write({answer!r})")
    monkeypatch.setattr(picture_child, "__file__", str(liar))
    refused(out, jpeg())


def test_a_taken_over_process_can_not_pass_on_what_the_file_held(
    out: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever comes back is looked at again: a JPEG with a comment is none of ours."""
    dirty = jpeg(comment=CANARY)
    liar = tmp_path / "liar.py"
    about = f'{{"picture": {len(dirty)}, "preview": {len(dirty)}, "width": 320, "height": 240}}\n'
    answer = about.encode() + dirty * 2
    liar.write_text(f"import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write({answer!r})")
    monkeypatch.setattr(picture_child, "__file__", str(liar))
    assert "damaged" in refused(out, jpeg())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_without_its_orientation(out: Path, orientation: int) -> None:
    """With the Exif gone, nothing else would turn it."""
    turns = Image.Transpose
    undone = {
        1: None, 2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE, 6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270,
    }[orientation]  # fmt: skip
    upright = picture(320, 240)
    upright.paste((20, 200, 20), (0, 0, 40, 40))  # the top left corner
    lying = upright if undone is None else upright.transpose(undone)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    made = taken(out, encoded(lying, quality=92, exif=exif.tobytes()))
    seen = shown(made)
    assert seen.size == (320, 240)
    assert is_like(seen.getpixel((15, 15)), (20, 200, 20), by=50)
    assert is_like(seen.getpixel((100, 200)), RED)
    assert is_like(seen.getpixel((300, 200)), BLUE)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG"), ("I;16", "PNG"),
     ("RGBA", "PNG"), ("RGBA", "WEBP")],
)  # fmt: skip
def test_colours_of_every_kind_come_out_as_they_look(out: Path, mode: str, kind: str) -> None:
    """A scanner writes CMYK and 16 bits, a drawing program palettes."""
    if mode == "I;16":
        grey = Image.new("I;16", (320, 240), 40_000)
        made = taken(out, encoded(grey, kind))
        assert is_like(shown(made).getpixel((9, 9)), (156, 156, 156), by=4)
        return
    made = taken(out, encoded(picture(mode=mode), kind))
    # Of black and white alone, the mixture is the colour.
    small = shown(made).reduce(40)
    left, right = small.getpixel((1, 2)), small.getpixel((6, 2))
    if mode in ("RGBA", "P", "CMYK"):
        assert is_like(left, RED, by=60)
        assert is_like(right, BLUE, by=60)
    else:
        assert sum(left) > sum(right)  # type: ignore[arg-type]


def test_what_is_transparent_becomes_white(out: Path) -> None:
    """A JPEG knows no transparency, and black would hide a drawing."""
    clear = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    assert is_like(shown(taken(out, encoded(clear, "PNG"))).getpixel((50, 50)), (255, 255, 255), 5)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_kept(out: Path, kind: str) -> None:
    """Evidence stands still; what else it holds is dropped, not carried along unseen."""
    first, second = Image.new("RGB", (100, 80), RED), Image.new("RGB", (100, 80), BLUE)
    data = io.BytesIO()
    first.save(data, kind, save_all=True, append_images=[second] * 5, duration=100)
    made = taken(out, data.getvalue())
    assert is_like(shown(made).getpixel((50, 40)), RED)


def test_a_profile_is_applied_before_it_is_dropped(out: Path) -> None:
    """A handset of wide colours would look pale, or a swapped profile would make red of blue."""
    broken = taken(out, jpeg(icc_profile=b"no profile at all"))
    assert is_like(shown(broken).getpixel((20, 100)), RED)
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert taken(out, jpeg(icc_profile=linear)).size_bytes


# How large it is.


def test_a_photo_of_50_megapixels_is_taken(out: Path) -> None:
    """The newest handsets take them, and their owners don't know."""
    large = Image.linear_gradient("L").resize((8192, 6120), Image.Resampling.NEAREST)
    made = taken(out, encoded(large.convert("RGB"), quality=60))
    size = frame_size(made.picture_path.read_bytes())
    assert size == (limits.PHOTO_KEPT_SIDE_PIXELS_MAX, 1913)
    assert made.size_bytes <= limits.EVIDENCE_BYTES_MAX
    assert made.width == 1280


@pytest.mark.parametrize("bytes_max", [limits.EVIDENCE_BYTES_MAX, limits.EVIDENCE_HOME_BYTES_MAX])
@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (4000, 3), (1300, 1300)])
def test_every_preview_fits_even_of_noise(out: Path, size: tuple[int, int], bytes_max: int) -> None:
    """A preview that does not fit would be refused by the node after all the work."""
    noise = Image.frombytes("RGB", size, os.urandom(3 * size[0] * size[1]))
    made = taken(out, encoded(noise, "PNG"), bytes_max=bytes_max)
    assert 0 < made.size_bytes == made.preview_path.stat().st_size <= bytes_max
    assert is_just_a_picture(made.preview_path.read_bytes())


# What is kept.


def test_files_are_named_by_their_digest_and_are_their_owners_alone(out: Path) -> None:
    """Others on the machine are strangers; and nobody can put one in another's place unseen."""
    made = taken(out, jpeg(), keep_metadata=True)
    for path in out.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.stem == sha256(path.read_bytes()).hexdigest()
    again = taken(out, jpeg(), keep_metadata=True)
    assert again == made
    assert len(list(out.iterdir())) == 3


def test_a_full_disk_leaves_nothing_behind(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-written picture under a digest's name would be shown as the whole."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HuyingError) as caught:
        taken(out, jpeg())
    assert caught.value.code is Code.DISK_FULL
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("鉴定报告.pdf", "鉴定报告.pdf"),
        ("C:\\folder\\report.PDF", "report.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ('a"b<script>.pdf', "abscript.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie x.pdf"),
    ],
)
def test_a_document_is_kept_as_it_is_under_a_name_that_may_travel(
    out: Path, called: str, name: str
) -> None:
    """It can't be made anew, so it is never shown in a page; its name stands in headers."""
    made = taken(out, PDF, name=called)
    assert (made.kind, made.media_type, made.name) == (Kind.PDF, "application/pdf", name)
    assert made.preview_path.read_bytes() == PDF


# What may be shown of what others wrote.


def test_only_a_jpeg_is_shown_whatever_an_entry_calls_it() -> None:
    """Another node's entry may call a script a picture."""
    assert served_type("image/jpeg", jpeg()) == "image/jpeg"
    assert served_type("application/pdf", PDF) == "application/pdf"
    for media_type, data in (
        ("image/jpeg", b"<script>"),
        ("image/jpeg", jpeg().replace(struct.pack(">HH", 240, 320), b"\x40\0\x40\0")),
        ("image/jpeg", PDF),
        ("application/pdf", b"<html>"),
        ("text/html", b"<html>"),
        ("text/html", jpeg()),
        ("image/svg+xml", b"<svg/>"),
    ):
        assert served_type(media_type, data) == OTHER
    assert data_uri(jpeg()).startswith("data:image/jpeg;base64,/9j/")
    assert data_uri(PDF).startswith("data:application/pdf;base64,")
    assert data_uri(b"<svg/>") == ""


def test_evidence_drafts_carry_the_preview_and_nothing_else(out: Path) -> None:
    """The larger picture stays where it was handed in."""
    made = taken(out, with_everything())
    drafts: list[Any] = preparing.evidence_drafts(
        b"e" * 16, feed_pb2.RECORD_TYPE_EVENT, made, actor="村-01", stays_home=True
    )
    assert b"".join(draft.message.data_home for draft in drafts) == made.preview_path.read_bytes()
    assert all(draft.message.sha256 == made.sha256_preview for draft in drafts)
    made.preview_path.unlink()
    with pytest.raises(HuyingError) as caught:
        preparing.evidence_drafts(b"e" * 16, feed_pb2.RECORD_TYPE_EVENT, made)
    assert caught.value.code is Code.NOT_FOUND
