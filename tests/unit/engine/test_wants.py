"""Asking for what is missing: at once, in windows, ever less often, and never in vain for ever."""

from __future__ import annotations

from huying.common.limits import (
    WANT_ENTRIES_MAX,
    WANTS_IN_FLIGHT_MAX,
    WITHHELD_BEHIND_SECONDS,
)
from huying.common.state import Missing
from huying.common.sync.wants import WantBook

ORIGIN = "wenshang.example/feed/370830108201/e1"
OTHER = "wenshang.example/feed/370830108202/e1"


def row(start: int, stop: int | None = None, slots: bytes = b"\x03") -> Missing:
    if stop is None:
        return Missing(start, start + 1, slots, "", 0, 0, 100.0)
    return Missing(start, stop, b"", "370830108000", 1, stop - start, 100.0)


def asked(book: WantBook, rows: list[Missing], now: float) -> list[tuple[int, int, bytes]]:
    return [(want.start, want.stop, want.slots) for want in book.due(ORIGIN, rows, now)]


def test_each_row_is_asked_for_at_once_and_then_with_growing_pauses() -> None:
    """A peer that has nothing is not asked every second for ever."""
    book = WantBook(1.0, 8.0)
    rows = [row(4), row(7)]
    assert asked(book, rows, 0.0) == [(4, 5, b"\x03"), (7, 8, b"\x03")]
    times = [tick / 2 for tick in range(1, 100) if asked(book, rows, tick / 2)]
    assert times[:6] == [1.0, 3.0, 7.0, 15.0, 23.0, 31.0]


def test_the_next_due_time_is_never_in_the_past_after_asking() -> None:
    """A timer that stays due would keep a node awake."""
    book = WantBook(1.0, 8.0)
    for now in (0.0, 1.0, 2.5, 60.0):
        asked(book, [row(4)], now)
        assert book.next_due(ORIGIN) > now
    assert book.next_due(OTHER) == float("inf")


def test_a_long_gap_is_asked_for_window_by_window() -> None:
    """No Want spans more than the limit."""
    book = WantBook(1.0, 8.0)
    wide = row(10, 10 + 2 * WANT_ENTRIES_MAX + 5)
    windows = []
    for now in (0.0, 0.1, 0.2):
        ((start, stop, _),) = asked(book, [wide], now)
        windows.append((start, stop))
        book.answered(ORIGIN, start, stop, now)
    middle = 10 + WANT_ENTRIES_MAX
    assert windows == [
        (10, middle),
        (middle, middle + WANT_ENTRIES_MAX),
        (middle + WANT_ENTRIES_MAX, wide.stop),
    ]


def test_only_so_many_are_asked_for_at_once() -> None:
    """A peer that hid a million entries does not make this node ask a million times."""
    book = WantBook(1.0, 8.0)
    assert len(asked(book, [row(n) for n in range(1000)], 0.0)) == WANTS_IN_FLIGHT_MAX


def answer_all(book: WantBook, rows: list[Missing], times: int) -> None:
    for turn in range(times):
        for start, stop, _ in asked(book, rows, 1000.0 * turn):
            book.answered(ORIGIN, start, stop, 1000.0 * turn)


def test_withheld_needs_several_empty_answers_and_the_grace() -> None:
    """An honest relay may be asked before it has it itself."""
    rows = [row(4)]
    book = WantBook(1.0, 8.0)
    answer_all(book, rows, 2)
    assert not book.withheld(ORIGIN, 1e9, 10.0)
    answer_all(book, rows, 3)
    assert book.withheld(ORIGIN, 110.0, 10.0)
    assert not book.withheld(ORIGIN, 109.0, 10.0)
    assert not book.withheld(OTHER, 1e9, 10.0)


def test_without_any_answer_nothing_is_called_withheld() -> None:
    """A dead peer keeps nothing back."""
    book = WantBook(1.0, 8.0)
    for turn in range(20):
        asked(book, [row(4)], 1000.0 * turn)
    assert not book.withheld(ORIGIN, 1e9, 10.0)


def test_what_has_come_is_forgotten_and_no_more_withheld() -> None:
    """Or a feed that healed would alarm again for ever."""
    book = WantBook(1.0, 8.0)
    answer_all(book, [row(4)], 3)
    book.forget_settled({ORIGIN})
    assert book.withheld(ORIGIN, 1e9, 10.0)
    book.forget_settled(set())
    assert not book.withheld(ORIGIN, 1e9, 10.0)


def test_a_new_link_is_asked_at_once() -> None:
    """Whoever is linked now may have what the last one had not."""
    book = WantBook(1.0, 60.0)
    for now in (0.0, 1.0, 3.0, 7.0):
        asked(book, [row(4)], now)
    assert not asked(book, [row(4)], 8.0)
    book.link_opened([ORIGIN], 8.0)
    assert asked(book, [row(4)], 8.0)


def test_what_a_peer_could_not_give_while_it_recovered_is_not_held_against_it() -> None:
    """It has it back by now; but nobody puts off being named for longer than a day by that."""
    book = WantBook(1.0, 8.0)
    rows = [row(4)]

    def in_vain(start: float) -> None:
        for tick in range(5):
            asked(book, rows, start + 10.0 * tick)
            book.answered(ORIGIN, 4, 5, start + 10.0 * tick)

    in_vain(0.0)
    assert book.withheld(ORIGIN, 200.0, 10.0) == rows
    book.peer_recovered([OTHER], 200.0)
    assert book.withheld(ORIGIN, 200.0, 10.0) == rows
    book.peer_recovered([ORIGIN], 200.0)
    assert not book.withheld(ORIGIN, 200.0, 10.0)
    in_vain(100.0)
    assert book.withheld(ORIGIN, 300.0, 10.0) == rows
    book.peer_recovered([ORIGIN], 100.0 + WITHHELD_BEHIND_SECONDS)
    assert book.withheld(ORIGIN, 100.0 + WITHHELD_BEHIND_SECONDS, 10.0) == rows
