"""What departments and towns are measured by, from what was counted.

Pure arithmetic. docs/MEASURES.md defines each measure: which turns and calls are in its denominator
and which of those in its numerator. A rate of nothing is None, never 0 and never 1.

>>> Ratio(3, 4).rate, Ratio(0, 0).rate
(0.75, None)
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DepartmentMeasures", "Ratio", "TownMeasures", "score"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """So many of so many."""

    numerator: int = 0
    denominator: int = 0

    @property
    def rate(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class DepartmentMeasures:
    """How calls were served."""

    duties: int = 0  # turns of departments that began
    undecided: int = 0  # answers due whose clock was neither met nor late, yet
    response: Ratio = Ratio()  # 响应率: accepted or objected in time
    on_time: Ratio = Ratio()  # 按时办结率: answered in time
    resolved: Ratio = Ratio()  # 解决率
    satisfied: Ratio = Ratio()  # 满意率
    returned: Ratio = Ratio()  # 退单率: dispatches that were objected to
    returned_upheld: int = 0  # of them, those that the centre took back
    reworked: Ratio = Ratio()  # 返工率: answers that the review had returned
    reopened: Ratio = Ratio()  # 重办率: answers after which the town reopened the call
    yellow_cards: int = 0
    red_cards: int = 0


@dataclass(frozen=True, slots=True)
class TownMeasures:
    """How calls were made, and followed up."""

    calls: int = 0  # received
    residents: int = 0  # 0: not known
    declined: Ratio = Ratio()  # 不予受理率
    withdrawn: Ratio = Ratio()  # 撤回率
    merged: int = 0
    supplement_late: Ratio = Ratio()  # 补充逾期率
    confirm_in_window: Ratio = Ratio()  # 按时回访率

    @property
    def calls_per_10000(self) -> float | None:
        """Calls per 10,000 residents; None where it is not known how many there are."""
        return self.calls * 10_000 / self.residents if self.residents else None


def score(measures: DepartmentMeasures, rating_weight_percent: int) -> float | None:
    """A department's score, 0 to 100: the towns' rating, by its weight, and the other rates.

    The rating is the satisfied rate; the rest is the mean of those of the response, on-time and
    resolved rates that are there. None without a valid rating, or without any of the three: what
    was not rated has no score that could stand beside another's.
    """
    rating = measures.satisfied.rate
    others = [
        ratio.rate
        for ratio in (measures.response, measures.on_time, measures.resolved)
        if ratio.rate is not None
    ]
    if rating is None or not others:
        return None
    weight = rating_weight_percent / 100
    return 100 * (weight * rating + (1 - weight) * sum(others) / len(others))
