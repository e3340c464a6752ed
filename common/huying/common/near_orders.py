"""Near-duplicates among hotline orders: one matter told twice, by a rule that can be explained.

An order is a near-duplicate of an earlier one when all of this holds:

1. both have the same category;
2. both name the same caller (the digits of the phone number, the last eleven of them), or the same
   place (the address, without blanks, dots and dashes);
3. the earlier one was created at most ORDER_NEAR_SECONDS before;
4. their texts are alike: of the pairs of neighbouring characters in either text's beginning, at
   least half stand in both. Two orders without any text are alike.

It points to the oldest such order. Every order is compared with the last ORDER_COMPARISONS_MAX of
its caller and of its place alone, so a hundred thousand orders take a hundred thousand times a
bounded effort. It is a hint for people: nothing is dropped.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from huying.common.limits import ORDER_COMPARISONS_MAX, ORDER_NEAR_SECONDS
from huying.wire.v1 import hotline_pb2

__all__ = ["Sighting", "are_alike", "near_duplicates", "sighting_of"]

_NEAR_MICROS: Final = int(ORDER_NEAR_SECONDS * 1e6)
_TEXT_CHARACTERS: Final = 200  # of each text: where people say what it is about
_ALIKE: Final = 0.5
_PHONE_DIGITS: Final = 11  # with or without +86
_PHONE_DIGITS_LEAST: Final = 5
_FILLING: Final = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What of an order is compared."""

    record: bytes
    created_micros: int
    category: str
    caller: str  # digits; empty: unknown
    place: str  # empty: unknown
    text: str

    @property
    def key(self) -> tuple[int, bytes]:
        """Its place in time; no two orders have the same."""
        return self.created_micros, self.record


def sighting_of(record: bytes, order: hotline_pb2.Order) -> Sighting:
    """What is compared of an order as the importing node holds it."""
    digits = "".join(char for char in order.contact_phone if char.isdecimal())[-_PHONE_DIGITS:]
    return Sighting(
        record=record,
        created_micros=order.created_micros,
        category=order.category,
        caller=digits if len(digits) >= _PHONE_DIGITS_LEAST else "",
        place=_FILLING.sub("", order.contact_address).casefold(),
        text=_FILLING.sub("", f"{order.descriptor}{order.description}").casefold()[
            :_TEXT_CHARACTERS
        ],
    )


def are_alike(one: str, other: str) -> bool:
    """Whether two texts say much the same."""
    if one == other:
        return True
    pairs, others = (set(pairwise(text)) for text in (one, other))
    return bool(pairs and others) and len(pairs & others) >= _ALIKE * len(pairs | others)


def near_duplicates(sightings: Iterable[Sighting], news: Collection[bytes]) -> dict[bytes, bytes]:
    """Record -> the oldest order it looks like, for every pair that one of `news` is part of.

    `sightings` are all that may matter, in any order, each record once.
    """
    seen: dict[tuple[str, str, str], deque[Sighting]] = {}
    found: dict[bytes, bytes] = {}
    for one in sorted(sightings, key=lambda each: each.key):
        earlier: dict[bytes, Sighting] = {}
        for kind, value in (("caller", one.caller), ("place", one.place)):
            if not value:
                continue
            group = seen.setdefault(
                (one.category, kind, value), deque(maxlen=ORDER_COMPARISONS_MAX)
            )
            earlier.update((each.record, each) for each in group)
            group.append(one)
        for each in sorted(earlier.values(), key=lambda sighting: sighting.key):
            if one.record not in news and each.record not in news:
                continue
            near = one.created_micros - each.created_micros <= _NEAR_MICROS
            if near and are_alike(one.text, each.text):
                found[one.record] = each.record
                break
    return found
