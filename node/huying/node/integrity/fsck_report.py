"""What a check of the store found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = ["PROBLEMS_SHOWN_MAX", "FsckReport"]

PROBLEMS_SHOWN_MAX: Final = 1000  # a store that is damaged all over needs no longer list


@dataclass(slots=True)
class FsckReport:
    """What was checked and what is wrong; a problem names the feed and the place in it."""

    feeds: int = 0
    entries_checked: int = 0
    openings_checked: int = 0
    checkpoints_checked: int = 0
    signatures_checked: int = 0
    signatures_unknown: int = 0  # lines by keys that nobody here knows: they mean nothing
    rows_checked: int = 0
    files_checked: int = 0
    problem_count: int = 0
    problems: list[str] = field(default_factory=list)  # the first PROBLEMS_SHOWN_MAX
    # Known to be gone, which is no fault of the store: what is asked for or was given up.
    entries_missing: int = 0
    entries_damaged: int = 0
    openings_lost: int = 0  # of the own feed

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem_count

    def note(self, where: str, what: str) -> None:
        """Count a problem, and keep it while there is room."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(f"{where}: {what}")
