"""How many pages one person may ask for: a bucket that fills again, and never bars a hand at work.

It holds off a script that was let loose with somebody's session, or a tab that went wild: each
person has `PERSON_MINUTE_PAGES_MAX` pages at once, and as many again each minute; of the costly
ones, such as exports, `PERSON_MINUTE_COSTLY_PAGES_MAX`. All in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from huying.common import limits

__all__ = ["Pace", "Verdict"]

_MINUTE_SECONDS = 60.0
_PEOPLE_MAX = 20_000  # two buckets for each account that there may be


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a page may be had now."""

    wait_seconds: float  # 0: it may
    is_news: bool = False  # the first refusal of this person in a minute, so worth a row


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float
    noted: float = float("-inf")


class Pace:
    """The buckets of a console's people."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, bool], _Bucket] = OrderedDict()

    def admit(self, person_id: str, now: float, *, is_costly: bool = False) -> Verdict:
        """Count a page; how long to wait where there were too many. What is refused is free."""
        most = (
            limits.PERSON_MINUTE_COSTLY_PAGES_MAX if is_costly else limits.PERSON_MINUTE_PAGES_MAX
        )
        key = person_id, is_costly
        bucket = self._buckets.setdefault(key, _Bucket(most, now))
        self._buckets.move_to_end(key)
        while len(self._buckets) > _PEOPLE_MAX:
            self._buckets.popitem(last=False)
        filled = max(0.0, now - bucket.at) * most / _MINUTE_SECONDS
        bucket.left, bucket.at = min(float(most), bucket.left + filled), now
        if bucket.left >= 1:
            bucket.left -= 1
            return Verdict(0.0)
        is_news = now - bucket.noted >= _MINUTE_SECONDS
        if is_news:
            bucket.noted = now
        return Verdict((1 - bucket.left) * _MINUTE_SECONDS / most, is_news)
