"""From a file that a person chose to a picture that is kept, and a preview that travels.

What the process that decodes it (`picture_child`) gives back is not believed either: both pictures
must be plain JPEGs of the promised size, with nothing besides (`jpeg_segments`). Files are named by
their digest, and are their owner's alone.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from huying.common import limits
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.masking import mask
from huying.common.records.evidence_parts import Picture, parts_of
from huying.node.confined import confined
from huying.node.folders import sync_folder
from huying.node.media import picture_child
from huying.node.media.errors import MediaError
from huying.node.media.examining import Examined, Kind, examine
from huying.node.media.jpeg_segments import is_just_a_picture

__all__ = ["LIMITS", "REFUSALS", "Prepared", "evidence_drafts", "prepare"]

LIMITS: Final = (
    limits.PHOTO_READER_BYTES_MAX,
    limits.PHOTO_READER_SECONDS_MAX,
    limits.PHOTO_PIXELS_MAX,
    limits.PHOTO_KEPT_SIDE_PIXELS_MAX,
)
_DAMAGED: Final = (
    "照片已损坏或不完整,请重新拍摄 · the picture is damaged or cut short: take it again"
)
_KILLED: Final = (
    "处理照片所需的内存或时间超过上限,请换小一些的照片"
    " · the picture takes more memory or time than allowed: choose a smaller one"
)
REFUSALS: Final = {
    "damaged": _DAMAGED,
    "pixels": f"照片超过 {limits.PHOTO_PIXELS_MAX // 1_000_000} 百万像素,请调低相机分辨率"
    f" · over {limits.PHOTO_PIXELS_MAX // 1_000_000} megapixels: choose a lower resolution",
    "preview": "照片无法压缩到可传送的大小,请裁剪后重试"
    " · the picture can't be made small enough to travel: crop it",
}
_DOCUMENT_TOO_LARGE: Final = (
    f"PDF 文件超过 {limits.EVIDENCE_BYTES_MAX >> 10} KiB,无法随网传送;请把要紧的页拍成照片"
    f" · over {limits.EVIDENCE_BYTES_MAX >> 10} KiB, which does not travel: photograph the page"
)
_DOCUMENT_CUT: Final = "PDF 文件不完整,请重新导出 · the PDF is cut short: export it again"
_PDF_END: Final = b"%%EOF"
_PDF_TAIL_BYTES: Final = 1024
_ANSWER_BYTES_MAX: Final = 32 * limits.MIB  # of both pictures; at their size they have 2 or 3
_WALL_SECONDS_MAX: Final = 3 * limits.PHOTO_READER_SECONDS_MAX
_MODE: Final = 0o600
_SUFFIXES: Final = {Kind.JPEG: "jpg", Kind.PNG: "png", Kind.WEBP: "webp", Kind.PDF: "pdf"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one file. Digests are SHA-256."""

    kind: Kind  # of the file that was handed in
    name: str  # as it travels: neutral for a picture
    media_type: str  # of the preview
    width: int  # of the preview, in pixels; 0 for a document
    height: int
    size_bytes: int  # of the preview
    sha256_original: bytes  # of the file that was handed in, kept or not
    sha256_picture: bytes  # of the picture that is kept here
    sha256_preview: bytes  # of what travels
    picture_path: Path
    preview_path: Path
    original_path: Path | None  # just where its metadata is kept on purpose


def prepare(
    path: Path,
    out_folder: Path,
    *,
    keep_metadata: bool = False,
    bytes_max: int = limits.EVIDENCE_BYTES_MAX,
    name: str = "",
) -> Prepared:
    """Make a picture anew, and a preview of at most `bytes_max` bytes, in `out_folder`.

    With `keep_metadata` the file itself is kept there too, with all that the camera wrote into it;
    the caller records that in the audit trail. `name` is what the person called a document.
    Blocks, for up to some seconds: call it on a thread. Raises MediaError; HuyingError(DISK_FULL or
    STORE_FAILED).
    """
    examined = examine(path)
    data = path.read_bytes()
    if examined.kind is Kind.PDF:
        return _document(data, out_folder, bytes_max, name)
    picture, preview, size = _made_anew(path, examined, bytes_max)
    digest = sha256(preview).digest()
    return Prepared(
        kind=examined.kind,
        name=f"照片-{digest.hex()[:6]}.jpg",
        media_type=Kind.JPEG.value,
        width=size[0],
        height=size[1],
        size_bytes=len(preview),
        sha256_original=sha256(data).digest(),
        sha256_picture=sha256(picture).digest(),
        sha256_preview=digest,
        picture_path=_keep(out_folder, picture, Kind.JPEG),
        preview_path=_keep(out_folder, preview, Kind.JPEG),
        original_path=_keep(out_folder, data, examined.kind) if keep_metadata else None,
    )


def evidence_drafts(
    of: bytes,
    of_type: int,
    prepared: Prepared,
    *,
    to: tuple[str, ...] = (),
    stays_home: bool = False,
    actor: str = "",
    taken_micros: int = 0,
    request_id: bytes = b"",
) -> list[DraftEntry]:
    """The entries that carry a preview, to be appended together, with the event where it is new.

    See `huying.common.records.evidence_parts.parts_of`. Raises HuyingError(NOT_FOUND) where the
    file has gone meanwhile.
    """
    try:
        data = prepared.preview_path.read_bytes()
    except FileNotFoundError:
        raise HuyingError(
            Code.NOT_FOUND, "the picture is no longer here: choose it again"
        ) from None
    picture = Picture(of, of_type, prepared.name, prepared.media_type, taken_micros, actor)
    return parts_of(picture, data, to=to, stays_home=stays_home, request_id=request_id)


def _document(data: bytes, out_folder: Path, bytes_max: int, name: str) -> Prepared:
    """A document as it is: it can't be made anew, so nobody is shown it inside a page."""
    if len(data) > bytes_max:
        raise MediaError(_DOCUMENT_TOO_LARGE)
    if _PDF_END not in data[-_PDF_TAIL_BYTES:]:
        raise MediaError(_DOCUMENT_CUT)
    digest = sha256(data).digest()
    kept = _keep(out_folder, data, Kind.PDF)
    return Prepared(
        kind=Kind.PDF,
        name=_document_name(name, digest),
        media_type=Kind.PDF.value,
        width=0,
        height=0,
        size_bytes=len(data),
        sha256_original=digest,
        sha256_picture=digest,
        sha256_preview=digest,
        picture_path=kept,
        preview_path=kept,
        original_path=None,
    )


def _document_name(name: str, digest: bytes) -> str:
    """What the person called it, as far as that may travel; neutral where it may not."""
    stem = name.replace("\\", "/").rpartition("/")[2].strip()
    if stem.lower().endswith(".pdf"):
        stem = stem[:-4]
    stem = "".join(letter for letter in stem if letter.isprintable() and letter not in '"<>:|?*')
    stem = stem.strip(" .")[: limits.NAME_CHARACTERS_MAX // 2]
    if not stem or mask(stem).hits:
        stem = f"附件-{digest.hex()[:6]}"
    return f"{stem}.pdf"


def _made_anew(
    path: Path, examined: Examined, bytes_max: int
) -> tuple[bytes, bytes, tuple[int, int]]:
    """The picture, its preview, and the preview's size in pixels. Raises MediaError."""
    arguments = (*LIMITS, bytes_max, examined.kind.name)
    with path.open("rb") as file, confined(picture_child.__file__, arguments, file) as child:
        assert child.stdout is not None
        # Its processor time is limited; one that sleeps is ended here.
        watch = threading.Timer(_WALL_SECONDS_MAX, child.kill)
        watch.start()
        try:
            output = child.stdout.read(_ANSWER_BYTES_MAX)
        finally:
            watch.cancel()
    line, _, rest = output.partition(b"\n")
    about = _about(line)
    if len(rest) != about["picture"] + about["preview"]:
        raise MediaError(_KILLED)
    picture, preview = rest[: about["picture"]], rest[about["picture"] :]
    if len(preview) > bytes_max or not all(map(is_just_a_picture, (picture, preview))):
        raise MediaError(_DAMAGED)
    return picture, preview, (about["width"], about["height"])


def _about(line: bytes) -> dict[str, int]:
    """The numbers of the first line. Raises MediaError where it refuses, or says anything else."""
    try:
        found = json.loads(line)
    except ValueError:
        raise MediaError(_KILLED) from None
    if isinstance(found, dict) and found.get("refused") in REFUSALS:
        raise MediaError(REFUSALS[found["refused"]])
    names = ("picture", "preview", "width", "height")
    if not isinstance(found, dict) or not all(type(found.get(name)) is int for name in names):
        raise MediaError(_KILLED)
    return {name: found[name] for name in names}


def _keep(folder: Path, data: bytes, kind: Kind) -> Path:
    """A file named by its digest, whole or not at all, durable when this returns."""
    path = folder / f"{sha256(data).hexdigest()}.{_SUFFIXES[kind]}"
    if path.exists():
        return path
    draft = folder / f".{secrets.token_hex(8)}.part"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(folder)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        code = Code.DISK_FULL if full else Code.STORE_FAILED
        raise HuyingError(code, f"{folder}: a picture can't be kept: {error.strerror}") from None
    return path
