"""Whether bytes that another node wrote may be shown, or just downloaded.

A digest says that the bytes are what was written, not that they are a picture: whoever writes an
entry chooses its media type. So the bytes are looked at again where they are given to a browser.
"""

from __future__ import annotations

import base64
from typing import Final

from huying.common.limits import PHOTO_KEPT_SIDE_PIXELS_MAX
from huying.node.media.examining import Kind
from huying.node.media.jpeg_segments import frame_size

__all__ = ["OTHER", "data_uri", "served_type"]

OTHER: Final = "application/octet-stream"


def served_type(media_type: str, data: bytes) -> str:
    """The type under which bytes are given out: that of a JPEG only for one that may be shown.

    Such a JPEG has a frame no larger than the pictures that are made here, so that none makes a
    handset unpack a gigabyte. Everything but image/jpeg is to be downloaded.
    """
    if media_type == Kind.JPEG.value:
        size = frame_size(data)
        if size is not None and max(size) <= PHOTO_KEPT_SIDE_PIXELS_MAX:
            return Kind.JPEG.value
    elif media_type == Kind.PDF.value and data.startswith(b"%PDF-"):
        return Kind.PDF.value
    return OTHER


def data_uri(data: bytes) -> str:
    """A picture or a document that stands in the page itself; empty for anything else.

    For what is shown once, and has no address of its own.
    """
    for media_type in (Kind.JPEG.value, Kind.PDF.value):
        if served_type(media_type, data) == media_type:
            return f"data:{media_type};base64," + base64.b64encode(data).decode("ascii")
    return ""
