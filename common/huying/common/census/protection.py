"""What a home says of its counts: rounding, cells that are not said, and what can be concluded.

Two rules carry the protection. Whether a cell is said depends on nothing but the size of the
universe, which the readers know anyway, and on the *rounded* counts: so neither a count nor a
silence tells more than a whole class of counts. And of a parting the remainder is never said: with
the universe known, it would tell how the others were rounded.

    half        = (base - 1) / 2                      2 where the base is 5
    rounded(c)  = the multiple of the base next to c: c lies within half of it
    nothing is said at all      where the universe is under 4 x small
    SMALL       where rounded(c) - half < small       so 12 and fewer, where small is 10
    LARGE       where universe - (rounded(c) + half) < small, so the rest would be small
    SAID        otherwise
    nothing is said at all      of a parting with a SAID and a LARGE cell, or where universe less
                                what is SAID could leave fewer than `small`

`bounds` is what any reader can conclude, and all that one can:
tests/unit/desk/test_census_secrecy.py goes through every small population and holds it to at least
`base` values for a count that is said
(and for the remainder), and at least `small` for a cell that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

__all__ = ["SAYABLE_FACTOR", "Bounds", "Said", "Word", "bounds", "fault", "protect", "rounded"]

SAYABLE_FACTOR: Final = 4  # a universe under so many times the small count is not spoken of


class Word(IntEnum):
    """What a home says of one cell; numbered as in census.proto."""

    SAID = 1
    SMALL = 2
    LARGE = 3
    REMAINDER = 4
    UNSAID = 5


class Said(NamedTuple):
    """One cell as it leaves the home; the value is 0 where the word is not SAID."""

    word: Word
    value: int = 0


class Bounds(NamedTuple):
    """Within which a true count lies, both ends included."""

    low: int
    high: int


def rounded(count: int, base: int) -> int:
    """The multiple of an odd base nearest to a count; there is never a tie."""
    return (count + base // 2) // base * base


def protect(
    counts: Sequence[int], universe: int, remainder: int, base: int, small: int
) -> tuple[Said, ...]:
    """What the home says of the true counts, in their order.

    `remainder` is the position of a parting's remainder, and -1 where cells may overlap. Equal
    counts always give equal words: nothing here is random.
    """
    unsaid = (Said(Word.UNSAID),) * len(counts)
    if universe < SAYABLE_FACTOR * small:
        return unsaid
    words = []
    for position, count in enumerate(counts):
        if position == remainder:
            words.append(Said(Word.REMAINDER))
        else:
            words.append(_word(rounded(count, base), universe, base // 2, small))
    if remainder >= 0 and not _parting_is_safe(words, universe, base // 2, small):
        return unsaid
    return tuple(words)


def _word(nearest: int, universe: int, half: int, small: int) -> Said:
    if nearest - half < small:
        return Said(Word.SMALL)
    if universe - (nearest + half) < small:
        return Said(Word.LARGE)
    return Said(Word.SAID, nearest)


def _parting_is_safe(words: Sequence[Said], universe: int, half: int, small: int) -> bool:
    """Whether what is said leaves enough for what is not, as far as every reader can see it."""
    said = [one.value for one in words if one.word is Word.SAID]
    if not said:
        return True
    if any(one.word is Word.LARGE for one in words):
        return False
    return universe - sum(said) - half * len(said) >= small


def fault(
    words: Sequence[Said], universe: int, remainder: int, base: int, small: int
) -> str | None:
    """Why no home can have said this by `protect`, or None."""
    half = base // 2
    if all(one == Said(Word.UNSAID) for one in words):
        return None
    if universe < SAYABLE_FACTOR * small:
        return "cells are said of a universe that is too small"
    for position, one in enumerate(words):
        if (position == remainder) != (one.word is Word.REMAINDER):
            return "a remainder in another place than the template's"
        if one.word is Word.UNSAID:
            return "some cells are said, and others are unsaid"
        if one.word is not Word.SAID and one.value:
            return "a count of a cell that is not said"
        if one.word is Word.SAID and (
            one.value % base or _word(one.value, universe, half, small) != one
        ):
            return "a count that is not rounded, or too small or too large to be said"
    if remainder >= 0 and not _parting_is_safe(words, universe, half, small):
        return "what is said leaves too little for what is not"
    return None


def bounds(
    words: Sequence[Said], universe: int, remainder: int, base: int, small: int
) -> tuple[Bounds, ...]:
    """Within what the true count of each cell lies, for whoever knows the universe."""
    half = base // 2
    smallest_said = -(-(small + half) // base) * base
    small_high = min(smallest_said - half - 1, universe)
    largest_said = (universe - small - half) // base * base
    found = []
    for one in words:
        if one.word is Word.SAID:
            found.append(Bounds(one.value - half, one.value + half))
        elif one.word is Word.SMALL:
            found.append(Bounds(0, small_high))
        elif one.word is Word.LARGE:
            found.append(Bounds(largest_said + half + 1, universe))
        else:
            found.append(Bounds(0, universe))
    if remainder >= 0 and words[remainder].word is Word.REMAINDER:
        others = [each for position, each in enumerate(found) if position != remainder]
        found[remainder] = Bounds(
            max(0, universe - sum(each.high for each in others)),
            universe - sum(each.low for each in others),
        )
    return tuple(found)
