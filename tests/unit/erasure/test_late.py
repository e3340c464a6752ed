"""What a late answer settles, and what half an answer leaves open."""

from __future__ import annotations

from huying.common.errors import Code
from huying.common.intake import Reader, judge_entry
from huying.common.late.filling import Settlement, settle
from huying.common.state import ClassMark, Missing
from tests.support.handmade import HandmadeFeed
from tests.support.tiny_network import TOWN, VILLAGE

FEED = HandmadeFeed(VILLAGE).put_many(9)
WHO = Reader(TOWN, FEED.origin, 1)
ALL = bytes((0, 3, 4))
_LAST = ClassMark(9, 8)


def gap(start: int, stop: int, first: int, last: int) -> Missing:
    return Missing(start, stop, b"", TOWN, first, last, 1.0)


def lack(index: int, slots: bytes) -> Missing:
    return Missing(index, index + 1, slots, "", 0, 0, 1.0)


def answer(
    index: int,
    slots: bytes,
    *missing: Missing,
    mark: ClassMark = _LAST,
    newly_headed: bool = True,
) -> Settlement:
    """Entry `index` is now held with the openings of `slots`; its number is index + 1."""
    openings = [o for o in FEED.openings[index] if o[0] in slots]
    verdict = judge_entry(WHO, FEED.leaves[index], openings)
    classes = {TOWN: mark}
    return settle(missing, classes, index, verdict, newly_headed=newly_headed, now=7.0)


def test_a_whole_answer_in_the_middle_of_a_gap_leaves_two_gaps() -> None:
    """Each of them is asked for on."""
    row = gap(2, 7, 3, 7)
    settled = answer(4, ALL, row)
    assert settled.old == (row,)
    assert settled.new == (gap(2, 4, 3, 4), gap(5, 7, 6, 7))
    assert settled.counts


def test_the_last_of_a_gap_settles_it() -> None:
    """Nothing is left to be called withheld."""
    settled = answer(4, ALL, gap(4, 5, 5, 5))
    assert settled.new == ()
    assert len(settled.old) == 1


def test_a_head_alone_settles_the_gap_and_the_rest_stays_missing() -> None:
    """A relay that hid an entry can't buy its peace with the head."""
    settled = answer(4, b"\x00", gap(4, 5, 5, 5))
    assert settled.new == (lack(4, b"\x03\x04")._replace(since=7.0),)


def test_a_leaf_alone_settles_nothing() -> None:
    """It shows that there is more, and the gap stays."""
    settled = answer(4, b"", gap(4, 5, 5, 5))
    assert settled.old == ()
    assert settled.new == (lack(4, ALL)._replace(since=7.0),)


def test_one_opening_of_two_leaves_the_other_missing_since_when_it_was() -> None:
    """The time since when something is missing starts once."""
    settled = answer(4, b"\x00\x03", lack(4, b"\x03\x04"), newly_headed=False)
    assert settled.old == (lack(4, b"\x03\x04"),)
    assert settled.new == (lack(4, b"\x04"),)


def test_an_answer_that_changes_nothing_keeps_the_row() -> None:
    """Or its asking would begin anew, and never come to the end of patience."""
    settled = answer(4, b"\x00\x03", lack(4, b"\x04"), newly_headed=False)
    assert settled.old == settled.new == ()


def test_a_head_that_came_late_moves_the_running_number() -> None:
    """Otherwise the next entry would show a gap that nothing can fill."""
    settled = answer(4, ALL, lack(4, ALL), mark=ClassMark(4, 3))
    assert settled.classes == {TOWN: ClassMark(5, 4)}
    assert settled.new == ()


def test_a_late_head_may_itself_show_a_gap() -> None:
    """The entries before it were hidden, too."""
    settled = answer(4, ALL, lack(4, ALL), mark=ClassMark(2, 1))
    assert [(row.start, row.stop, row.first, row.last) for row in settled.new] == [(2, 4, 3, 4)]


def test_a_late_head_with_a_number_that_was_seen_is_not_applied() -> None:
    """As in a segment."""
    settled = answer(4, ALL, lack(4, ALL), mark=ClassMark(9, 8))
    assert not settled.counts
    assert [(index, code) for index, code, _ in settled.quarantine] == [(4, Code.NUMBER_REUSED)]
