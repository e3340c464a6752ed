"""When the last backup of this node was made: a note for people, beside the database."""

from __future__ import annotations

import contextlib
from typing import Final

from huying.node.config import Config

__all__ = ["last_backup", "note_backup"]

_MADE_LABEL: Final = "huying-backup-made/v1"


def last_backup(config: Config) -> float | None:
    """In unix seconds; None where none is known of."""
    try:
        label, seconds = config.last_backup_file.read_text(encoding="ascii").split()
        return float(int(seconds)) if label == _MADE_LABEL else None
    except (OSError, ValueError):
        return None  # a backup is no worse for lacking it


def note_backup(config: Config, now: float) -> None:
    """One was made now, unix seconds. A disk that takes no note does not undo it."""
    with contextlib.suppress(OSError):
        config.last_backup_file.write_text(f"{_MADE_LABEL} {int(now)}\n", encoding="ascii")
