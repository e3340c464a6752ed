"""What a repair did, and what it left to do, in both languages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["RepairReport", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing, told twice. `where` is a feed's origin, a table or a file."""

    where: str
    zh: str
    en: str


@dataclass(slots=True)
class RepairReport:
    """In the order in which it happened."""

    done: list[Told] = field(default_factory=list)
    left: list[Told] = field(default_factory=list)

    def mended(self, where: str, zh: str, en: str) -> None:
        """Something is well again."""
        self.done.append(Told(where, zh, en))

    def remains(self, where: str, zh: str, en: str) -> None:
        """Something that the running node, or its operator, has still to do."""
        self.left.append(Told(where, zh, en))

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            name: [{"where": told.where, "zh": told.zh, "en": told.en} for told in tolds]
            for name, tolds in (("done", self.done), ("left", self.left))
        }
