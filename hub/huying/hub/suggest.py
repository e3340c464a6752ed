"""派单建议: which items of a duty list a matter falls under, and why. docs/DUTY.md has the rules.

Pure, and no cleverness: every point that an item gets is for a word of the list that a person can
find in the call, and is named. Nothing is suggested where nothing matches; who dispatches decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from huying.node.store.duty_queries import folded
from huying.wire.v1 import duty_pb2, policy_pb2

__all__ = ["POINTS_MIN", "Reason", "Suggestion", "suggest"]

CATEGORY_POINTS: Final = 100
GROUP_POINTS: Final = 60
ITEM_TITLE_POINTS: Final = 40
TITLE_WORD_POINTS: Final = 20
TEXT_WORD_POINTS: Final = 8
WORDS_MAX: Final = 3  # that count, of the title and of the text each: a long list proves no more
POINTS_MIN: Final = 15  # one keyword somewhere in a long description is chance
_ITEM_TITLE_CHARACTERS_MIN: Final = 4  # a shorter one is a common word
# What stands between a group and its member: "Noise - Street/Sidewalk", "道路—路面破损".
_GROUP_END: Final = re.compile(r"\s*(?: - |—|–|/|>|\(|:)")


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks for an item."""

    kind: int  # duty_pb2.DutyReasonKind
    word: str  # of the list, never of the call
    points: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One item, and all that speaks for it."""

    item: policy_pb2.DutyItem
    reasons: tuple[Reason, ...]

    @property
    def points(self) -> int:
        """The sum over the reasons."""
        return sum(reason.points for reason in self.reasons)


def suggest(
    items: Iterable[policy_pb2.DutyItem],
    category: str,
    title: str = "",
    description: str = "",
    *,
    limit: int = 5,
) -> tuple[Suggestion, ...]:
    """The best `limit` items for a matter, best first.

    Of equals those come first that name a lead, then the list's order decides. Empty where no item
    reaches POINTS_MIN.
    """
    matter = _Matter(folded(category), folded(f"{category}\n{title}"), folded(description))
    judged = (Suggestion(item, tuple(_reasons(matter, item))) for item in items)
    found = [one for one in judged if one.points >= POINTS_MIN]
    found.sort(key=lambda one: (-one.points, not one.item.lead))  # stable: the list's order
    return tuple(found[:limit])


@dataclass(frozen=True, slots=True)
class _Matter:
    """What a call says, folded."""

    category: str
    title: str  # with the category
    text: str


def _reasons(matter: _Matter, item: policy_pb2.DutyItem) -> Iterator[Reason]:
    kinds = duty_pb2
    yield from _category_reason(matter.category, item)
    if len(item.title) >= _ITEM_TITLE_CHARACTERS_MIN and _holds(matter.title, folded(item.title)):
        yield Reason(kinds.DUTY_REASON_KIND_ITEM_TITLE, item.title, ITEM_TITLE_POINTS)
    words = {folded(word): word for word in item.keywords if folded(word)}
    in_title = [word for word in words if _holds(matter.title, word)]
    in_text = [word for word in words if word not in in_title and _holds(matter.text, word)]
    for word in in_title[:WORDS_MAX]:
        yield Reason(kinds.DUTY_REASON_KIND_TITLE_WORD, words[word], TITLE_WORD_POINTS)
    for word in in_text[:WORDS_MAX]:
        yield Reason(kinds.DUTY_REASON_KIND_TEXT_WORD, words[word], TEXT_WORD_POINTS)


def _category_reason(category: str, item: policy_pb2.DutyItem) -> Iterator[Reason]:
    """The category itself, or else the group that it is one of."""
    if not category:
        return
    named = {folded(one): one for one in item.categories}
    group = _GROUP_END.split(category, maxsplit=1)[0]
    if category in named:
        yield Reason(duty_pb2.DUTY_REASON_KIND_CATEGORY, named[category], CATEGORY_POINTS)
    elif group in named:
        yield Reason(duty_pb2.DUTY_REASON_KIND_CATEGORY_GROUP, named[group], GROUP_POINTS)


def _holds(text: str, word: str) -> bool:
    """Whether the word stands in the text; one of Latin letters as a word of its own."""
    if not word:
        return False
    if not word.isascii():
        return word in text
    return re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None
