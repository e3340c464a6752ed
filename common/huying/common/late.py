"""What a late answer settles: the list of what is missing after one entry was filled in.

An answer may bring all that was asked for, a part, or a leaf that shows how much more there is; and
the head it brings may carry a running number that no entry has shown yet. Whoever answers with less
than the rule allows leaves the rest on the list, so that nothing is settled by half an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huying.common.errors import Code
from huying.common.intake import Intake, Judgement, count_number
from huying.common.state import ClassMark, Missing

__all__ = ["Settlement", "settle"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What changes in a feed's list of missing rows, its running numbers and its quarantine."""

    old: tuple[Missing, ...]
    new: tuple[Missing, ...]
    classes: Mapping[str, ClassMark]  # those that moved
    quarantine: tuple[tuple[int, Code, str], ...]
    counts: bool  # whether the entry's running number is its own, so that it may be applied


def settle(
    missing: Sequence[Missing],
    classes: Mapping[str, ClassMark],
    index: int,
    verdict: Judgement,
    *,
    newly_headed: bool,
    now: float,
) -> Settlement:
    """Settle the entry at `index`, judged with all that is held of it now.

    `classes` are this reader's running numbers so far, `now` is unix seconds. A row that stays
    missing keeps the time since when it is.
    """
    name, number = "", 0
    if newly_headed and verdict.head is not None and verdict.view is not None:
        name = verdict.view.class_name
        number = verdict.head.seen[verdict.view.class_position] if name else 0
    old: list[Missing] = []
    new: list[Missing] = []
    since, expected = now, False
    for row in missing:
        if row.slots and row.start == index:
            old.append(row)
            since = row.since
        elif name and row.name == name and row.first <= number <= row.last:
            old.append(row)
            expected = True
            if row.first < number:
                new.append(row._replace(stop=index, last=number - 1))
            if number < row.last:
                new.append(row._replace(start=index + 1, first=number + 1))
    if verdict.wanted:
        new.append(Missing(index, index + 1, verdict.wanted, "", 0, 0, since))
    counted = Intake()
    counts = True
    if name and not expected:
        mark = classes.get(name, ClassMark(0, -1))
        counts = count_number(counted, name, mark, number, index, now)
        new.extend(counted.missing)
    return Settlement(
        old=tuple(row for row in old if row not in new),
        new=tuple(row for row in new if row not in old),
        classes=counted.classes,
        quarantine=tuple(counted.quarantined),
        counts=counts,
    )
