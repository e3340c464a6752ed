"""What an observer can conclude from answers: everything, worked out for every small population.

The observer knows the algorithm, the size of every universe, and all answers there are. For each
thing that could be observed, the tests gather *all* populations that give just that, and count how
many values each cell's true count still may have. The bound of docs/ASK.md: at least 5 where a
count is said, and for the remainder; at least 10 where it is not (or all there are, in a universe
of fewer). So what two answers tell together is measured, not argued.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.census.protection import Said, Word, bounds, fault, protect, rounded

BASE, SMALL = 5, 10
Output = tuple[Said, ...]


def parted(universe: int, cells: int) -> Iterator[tuple[int, ...]]:
    """Every way to part so many records into so many cells."""
    if cells == 1:
        yield (universe,)
        return
    for first in range(universe + 1):
        for rest in parted(universe - first, cells - 1):
            yield (first, *rest)


def said(counts: Sequence[int], universe: int, remainder: int) -> Output:
    return protect(counts, universe, remainder, BASE, SMALL)


def least(word: Word, universe: int) -> int:
    """How many values must stay possible."""
    bound = BASE if word in (Word.SAID, Word.REMAINDER) else SMALL
    return min(bound, universe + 1)


def hold_to_the_bound(
    possible: dict[Output, list[set[int]]], universe: int, remainder: int
) -> None:
    for output, cells in possible.items():
        told = bounds(output, universe, remainder, BASE, SMALL)
        for one, values, within in zip(output, cells, told, strict=True):
            assert len(values) >= least(one.word, universe), (universe, output, values)
            assert within.low <= min(values), (universe, output, within)
            assert max(values) <= within.high, (universe, output, within)


# --- one answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "universes"), [(2, range(75)), (3, range(75)), (4, (41, 46, 52))]
)
def test_no_answer_narrows_a_cell_of_a_parting_below_the_bound(
    cells: int, universes: Sequence[int]
) -> None:
    """Every population of every size: the total is known, and so is what the home left out."""
    for universe in universes:
        for remainder in (0, cells - 1):
            possible: dict[Output, list[set[int]]] = defaultdict(
                lambda: [set() for _ in range(cells)]
            )
            for counts in parted(universe, cells):
                output = said(counts, universe, remainder)
                for values, count in zip(possible[output], counts, strict=True):
                    values.add(count)
            hold_to_the_bound(possible, universe, remainder)


@pytest.mark.parametrize("universe", [*range(60), 99, 100, 101, 250])
def test_no_answer_narrows_an_overlapping_cell_below_the_bound(universe: int) -> None:
    """A home says each such cell by itself, so one cell stands for all of them."""
    possible: dict[Output, list[set[int]]] = defaultdict(lambda: [set()])
    for count in range(universe + 1):
        possible[said((count,), universe, -1)][0].add(count)
    hold_to_the_bound(possible, universe, -1)


# --- two answers -----------------------------------------------------------------------------


def test_two_templates_over_one_universe_tell_no_more_than_each_alone() -> None:
    """They count different things: whatever one says, any count of the other is still possible.

    Every table of two yes-or-no marks over one small universe, and both answers.
    """
    for universe in (40, 43):
        both: dict[tuple[Output, Output], list[set[int]]] = defaultdict(lambda: [set(), set()])
        for first_only, second_only, together, _neither in parted(universe, 4):
            first, second = first_only + together, second_only + together
            key = said((first,), universe, -1), said((second,), universe, -1)
            both[key][0].add(first)
            both[key][1].add(second)
        for outputs, values in both.items():
            for (one,), counts in zip(outputs, values, strict=True):
                assert len(counts) >= least(one.word, universe), (outputs, values)


def test_two_areas_one_village_apart_tell_just_what_that_village_says() -> None:
    """Sums are made of the villages' own answers, so their difference is one of these."""
    universe = 60
    answers = {count: bounds(said((count,), universe, -1), universe, -1, BASE, SMALL)[0]
               for count in range(universe + 1)}  # fmt: skip
    for others, alone in product(range(0, universe + 1, 3), range(universe + 1)):
        smaller = answers[others]
        larger = smaller.low + answers[alone].low, smaller.high + answers[alone].high
        difference = larger[0] - smaller.low, larger[1] - smaller.high
        assert difference == answers[alone]
        assert difference[1] - difference[0] + 1 >= BASE


def months_apart(universe: int, changed: int, before: int) -> Iterator[int]:
    """Every count that a cell may have after `changed` records changed in any way."""
    yield from range(max(0, before - changed), min(universe, before + changed) + 1)


def two_months(universe: int, changed: int) -> dict[tuple[Output, Output], list[set[int]]]:
    """What may have been, by what an observer sees who knows how many records changed."""
    seen: dict[tuple[Output, Output], list[set[int]]] = defaultdict(lambda: [set(), set()])
    for before in range(universe + 1):
        first = said((before,), universe, -1)
        for after in months_apart(universe, changed, before):
            # The home's rule: a register that hardly changed is not counted again.
            second = said((after,), universe, -1) if changed >= SMALL else first
            seen[first, second][0].add(before)
            seen[first, second][1].add(after)
    return seen


@pytest.mark.parametrize("changed", range(SMALL))
def test_two_months_with_few_changes_tell_no_more_than_one(changed: int) -> None:
    """The heads show how many records changed; with one change, two fresh counts would tell whose.

    So the second month repeats the first, and both counts keep all their values.
    """
    for universe in (40, 55, 80):
        for outputs, values in two_months(universe, changed).items():
            for (one,), counts in zip(outputs, values, strict=True):
                assert len(counts) >= least(one.word, universe), (outputs, values)


def test_two_months_that_an_observer_knows_no_changes_of_keep_the_bound() -> None:
    """Then any two counts go together, and each answer tells what it tells alone."""
    universe = 55
    for outputs, values in two_months(universe, universe).items():
        for (one,), counts in zip(outputs, values, strict=True):
            assert len(counts) >= least(one.word, universe), (outputs, values)


def test_the_leak_that_is_left_between_two_months_is_as_large_as_the_page_says() -> None:
    """Not protected from: many changes, all into one cell, by somebody who counts the changes.

    docs/ASK.md gives these numbers. Of 11 changed records that raise the count from a class to the
    third next, all 11 must have gone into the cell: both counts are known to the unit.
    """
    universe, changed = 80, 11
    seen = two_months(universe, changed)
    key = (Said(Word.SAID, 20),), (Said(Word.SAID, 35),)
    assert seen[key] == [{22}, {33}]
    narrow = every = 0
    for before in range(universe + 1):
        for after in months_apart(universe, changed, before):
            pair = said((before,), universe, -1), said((after,), universe, -1)
            left = zip(pair, seen[pair], strict=True)
            every += 1
            narrow += any(len(values) < least(one.word, universe) for (one,), values in left)
    assert (narrow, every) == (100, 1731)


def test_who_knows_all_but_one_learns_that_one_at_a_boundary() -> None:
    """Not protected from either, and said so: 22 people are known, and the answer is 20 or 25."""
    assert said((22,), 80, -1) != said((23,), 80, -1)
    assert said((20,), 80, -1) == said((21,), 80, -1)


# --- the rules themselves --------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from([3, 5, 7, 11]))
def test_a_rounded_count_is_a_multiple_within_half_the_base(count: int, base: int) -> None:
    """The bound of an answer is made of this."""
    assert rounded(count, base) % base == 0
    assert abs(rounded(count, base) - count) <= base // 2


@given(st.lists(st.integers(0, 200), min_size=2, max_size=8), st.data())
def test_an_answer_is_deterministic_true_to_its_bounds_and_passes_its_own_check(
    counts: list[int], data: st.DataObject
) -> None:
    """What the home says, the asker takes; and the true count lies where it says."""
    parting = data.draw(st.booleans())
    universe = sum(counts) if parting else max(counts) + data.draw(st.integers(0, 200))
    remainder = data.draw(st.integers(0, len(counts) - 1)) if parting else -1
    output = said(counts, universe, remainder)
    assert output == said(counts, universe, remainder)
    assert fault(output, universe, remainder, BASE, SMALL) is None
    told = bounds(output, universe, remainder, BASE, SMALL)
    for count, one, within in zip(counts, output, told, strict=True):
        assert within.low <= count <= within.high
        if count < SMALL:
            assert one.word is not Word.SAID
        if one.word is Word.SAID:
            assert universe - count >= SMALL
            assert one.value % BASE == 0
        else:
            assert one.value == 0


@pytest.mark.parametrize("count", range(13))
def test_a_small_cell_says_the_same_whether_nobody_or_a_dozen_is_in_it(count: int) -> None:
    """Zero is a statement about people too."""
    assert said((count, 100), 1000, -1)[0] == Said(Word.SMALL)


@pytest.mark.parametrize("missing", range(8))
def test_nearly_everybody_is_as_telling_as_nearly_nobody(missing: int) -> None:
    """With the universe known, the complement is a count, too."""
    assert said((200 - missing,), 200, -1)[0].word is Word.LARGE


def test_a_parting_never_says_its_remainder_nor_leaves_it_small() -> None:
    """With the total known, the last cell is the total less the others."""
    assert said((100, 300, 40), 440, 1) == (
        Said(Word.SAID, 100),
        Said(Word.REMAINDER),
        Said(Word.SAID, 40),
    )
    assert said((100, 3, 97), 200, 1) == (Said(Word.UNSAID),) * 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((Said(Word.SAID, 101), Said(Word.REMAINDER)), "not rounded"),
        ((Said(Word.SAID, 10), Said(Word.REMAINDER)), "too small"),
        ((Said(Word.SAID, 195), Said(Word.REMAINDER)), "too large"),
        ((Said(Word.SMALL, 5), Said(Word.REMAINDER)), "not said"),
        ((Said(Word.SAID, 100), Said(Word.SAID, 100)), "remainder"),
        ((Said(Word.REMAINDER), Said(Word.SAID, 100)), "remainder"),
        ((Said(Word.UNSAID), Said(Word.REMAINDER)), "unsaid"),
    ],
)
def test_what_no_home_can_have_said_is_found_out(words: Output, why: str) -> None:
    """A village that makes answers up is left out by name, and not summed."""
    found = fault(words, 200, 1, BASE, SMALL)
    assert found is not None
    assert why in found
