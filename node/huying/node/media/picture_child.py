"""Decodes a picture and makes it anew, in a process of its own that may die of it.

A picture is a program for its decoder, and the decoders are native code. So the file comes on
standard input, and memory and processor time are capped by the system before a byte of it is
decoded. Out come two JPEGs that have nothing of the file but what the eye sees: the picture, and a
preview of bounded size. First a line of JSON with their lengths, then their bytes; or the line
alone, saying why not. A parent that gets no line knows that this process was killed. It imports
nothing of Huying, and so starts quickly.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Any, Final

_ORIENTATION: Final = 0x0112  # the Exif tag
_WHITE: Final = (255, 255, 255)
_KEPT_QUALITY: Final = 86
_PREVIEW_SIDES: Final = (1280, 1120, 960, 800, 640, 560, 480, 400, 320, 240, 160, 96)
_PREVIEW_QUALITIES: Final = (82, 72, 62, 52, 42)


class RefusedError(Exception):
    """The picture is not taken; the argument is a key of `preparing.REFUSALS`."""


def main(arguments: list[str]) -> None:
    """`arguments` are limits, in the order of `preparing.LIMITS`, then preview bytes and format."""
    memory, seconds, pixels, side, preview_bytes = map(int, arguments[:5])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        image = opened(sys.stdin.buffer.read(), arguments[5], pixels, side)
        preview = smaller(image, preview_bytes)
        picture = encoded(image, _KEPT_QUALITY)
    except RefusedError as refused:
        answer({"refused": str(refused)})
        return
    width, height = preview[1]
    sizes = {"picture": len(picture), "preview": len(preview[0])}
    answer({**sizes, "width": width, "height": height}, picture, preview[0])


def opened(data: bytes, kind: str, pixels_max: int, side_max: int) -> Any:
    """The picture upright, in RGB, no side longer than `side_max`."""
    from PIL import Image, ImageFile

    Image.MAX_IMAGE_PIXELS = pixels_max
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            if image.width * image.height > pixels_max:
                raise RefusedError("pixels")
            image.draft("RGB", (side_max, side_max))  # a JPEG is decoded at half its size, say
            orientation = image.getexif().get(_ORIENTATION, 1)
            image.load()
            flat = flattened(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedError("pixels") from error
    except (RefusedError, MemoryError):
        raise
    except Exception as error:  # whatever a decoder says of bytes that it can't decode
        raise RefusedError("damaged") from error
    flat.thumbnail((side_max, side_max), Image.Resampling.LANCZOS)
    turned = upright(flat, orientation)
    # A new one, so that nothing that hangs on the old one is written by accident.
    plain = Image.new("RGB", turned.size)
    plain.paste(turned)
    return plain


def flattened(image: Any) -> Any:
    """In RGB of 8 bits and the colours of sRGB, over white where it is transparent."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # 16 bits of grey: brought down to 8, not cut off at 255.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        flat = Image.new("RGB", over.size, _WHITE)
        flat.paste(over, mask=over.getchannel("A"))
        return flat
    return in_srgb(image)


def in_srgb(image: Any) -> Any:
    """By the picture's own colour profile, which does not travel; plainly where that fails."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        from PIL import ImageCms

        try:
            return ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def upright(image: Any, orientation: Any) -> Any:
    """As the camera was held (Exif 2.32, tag Orientation)."""
    from PIL import Image

    turns = Image.Transpose
    by_number = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }
    turn = by_number.get(orientation)
    return image if turn is None else image.transpose(turn)


def smaller(image: Any, bytes_max: int) -> tuple[bytes, tuple[int, int]]:
    """The largest and best JPEG of at most so many bytes, and its size in pixels."""
    from PIL import Image

    for side in _PREVIEW_SIDES:
        if side >= 2 * max(image.size) and side != _PREVIEW_SIDES[-1]:
            continue
        reduced = image.copy()
        reduced.thumbnail((side, side), Image.Resampling.LANCZOS)
        worst = encoded(reduced, _PREVIEW_QUALITIES[-1])
        if len(worst) > bytes_max:
            continue
        for quality in _PREVIEW_QUALITIES[:-1]:
            data = encoded(reduced, quality)
            if len(data) <= bytes_max:
                return data, reduced.size
        return worst, reduced.size
    raise RefusedError("preview")


def encoded(image: Any, quality: int) -> bytes:
    """A JPEG of the pixels alone."""
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality, optimize=True, progressive=True)
    return data.getvalue()


def answer(about: dict[str, Any], *pieces: bytes) -> None:
    """The line of JSON, and the bytes after it."""
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n")
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
