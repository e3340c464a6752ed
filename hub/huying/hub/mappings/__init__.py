"""Mapping files that come with the program, and tables to try them on (README.md beside this)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["shipped"]


def shipped(name: str) -> Path:
    """The file of that name; a mapping goes without its ending, too. It need not exist."""
    folder = Path(__file__).parent
    bare = folder / f"{name}.toml"
    return bare if bare.is_file() else folder / name
