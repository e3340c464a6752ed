"""Copies of every frame, for tests that look for what should not have travelled; off by default.

A file for each peer and direction of travel, `CODE-up.frames` or `CODE-down.frames`: each frame
behind its length as four bytes, big-endian.
"""

from __future__ import annotations

from pathlib import Path

from huying.common.effects import Direction

__all__ = ["Capture"]


class Capture:
    """A `FrameTap` into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def __call__(self, peer: str, direction: Direction, frame: bytes) -> None:
        """Append one frame. Nothing is buffered, so that a killed node leaves all it sent."""
        with (self._folder / f"{peer}-{direction.value}.frames").open("ab") as file:
            file.write(len(frame).to_bytes(4, "big") + frame)
