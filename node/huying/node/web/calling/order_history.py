"""An order's life: the versions that its importer wrote, and what each of its handlers said of it.

The versions stand in the importer's feed, and a handler's words in its own; all are read back
through those feeds, within one bound. What a node does not hold is not told. The contact is in no
version that is read here by name, so it is told by none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.limits import HISTORY_SCAN_SECONDS_MAX
from huying.node.store.reader import Reader
from huying.node.web.history.record_turns import Told, Turn, changes_of
from huying.node.web.history.record_versions import (
    Kept,
    Newest,
    Version,
    Versions,
    versions_back,
)
from huying.wire.v1 import feed_pb2, hotline_pb2

__all__ = ["OrderHistory", "OrderWord", "order_history", "order_turns"]

_HANDLERS_MAX: Final = 8  # whose words are looked for, those first who spoke last
_ORDERS: Final = Kept(
    feed_pb2.RECORD_TYPE_ORDER, hotline_pb2.Order, lambda order: order.created_micros
)
_RESULTS: Final = Kept(feed_pb2.RECORD_TYPE_ORDER_RESULT, hotline_pb2.OrderResult, lambda _: 0)
_TOLD: Final = Told(
    type=feed_pb2.RECORD_TYPE_ORDER,
    names={
        "handler": ("承办单位", "Handler"),
        "category": ("类别", "Category"),
        "descriptor": ("事项", "Matter"),
        "description": ("诉求", "What it is"),
        "agency": ("派单单位", "Sent by"),
        "created_micros": ("来电时间", "Created"),
        "due_micros": ("办理时限", "Due"),
        "source_status": ("来源状态", "Status at its source"),
        "source_closed_micros": ("来源办结时间", "Closed at its source"),
    },
    forms={
        "handler": "place",
        "created_micros": "time",
        "due_micros": "time",
        "source_closed_micros": "time",
    },
)
_WORDS: Final[Mapping[int, str]] = {
    hotline_pb2.ORDER_STATUS_TAKEN: "taken",
    hotline_pb2.ORDER_STATUS_SETTLED: "settled",
    hotline_pb2.ORDER_STATUS_RETURNED: "returned",
}


@dataclass(frozen=True, slots=True)
class OrderWord:
    """What a handler wrote."""

    home: str
    version: Version[hotline_pb2.OrderResult]


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """A part of an order's life."""

    versions: Versions[hotline_pb2.Order]
    words: tuple[OrderWord, ...]  # of the handlers that these versions name
    has_all_words: bool


def order_history(reader: Reader, view: hotline_pb2.OrderView, before: str = "") -> OrderHistory:
    """The newest part; `before` goes on where another call ended.

    A handler's words are told where a version names it: those of the present one first of all.
    Blocks, for HISTORY_SCAN_SECONDS_MAX and one range of entries for each feed. Raises HuyingError
    as `versions_back`.
    """
    began = time.monotonic()
    newest = Newest(
        home=view.home,
        record=view.record,
        origin=view.origin,
        index=view.index,
        time_micros=view.written_micros,
        begun_micros=view.order.created_micros,
    )
    seconds = HISTORY_SCAN_SECONDS_MAX / 2
    versions = versions_back(reader, newest, _ORDERS, before, seconds_max=seconds)
    handlers = {one.message.handler for one in versions.found}
    present = {view.order.handler}
    handlers = handlers - present if before else handlers | present
    sent = min((one.time_micros for one in versions.found), default=0)
    places = reader.newest_results(view.record, handlers)
    has_all = len(places) <= _HANDLERS_MAX
    words = []
    for home, origin, index, time_micros in places[:_HANDLERS_MAX]:
        place = Newest(home, view.record, origin, index, time_micros, sent)
        left = max(0.0, began + 2 * seconds - time.monotonic())
        found = versions_back(reader, place, _RESULTS, seconds_max=left)
        has_all = has_all and not found.before
        words += [
            OrderWord(home, one) for one in found.found if one.message.order_home == view.home
        ]
    return OrderHistory(versions, tuple(words), has_all)


def order_turns(home: str, history: OrderHistory, sees: Callable[[str], bool]) -> list[Turn]:
    """What happened, oldest first; `sees`: whether the person sees what that handler has.

    Kinds: imported, assigned, changed, ended or version; taken, settled, corrected or returned.
    """
    turns = []
    before: Version[hotline_pb2.Order] | None = None
    is_whole = not history.versions.before
    for one in reversed(history.versions.found):
        turns.append(_turn(home, before, one, is_first=is_whole and before is None, sees=sees))
        before = one
    last: dict[str, str] = {}
    for word in reversed(history.words):
        kind = _WORDS.get(word.version.message.status, "version")
        told = "corrected" if kind == last.get(word.home) == "settled" else kind
        last[word.home] = kind
        if sees(word.home):
            turns.append(_said(word, told))
    return sorted(turns, key=lambda turn: turn.time_micros)


def _turn(
    home: str,
    before: Version[hotline_pb2.Order] | None,
    now: Version[hotline_pb2.Order],
    *,
    is_first: bool,
    sees: Callable[[str], bool],
) -> Turn:
    place = now.origin, now.index, now.is_signed
    if now.is_end:
        return Turn("ended", now.time_micros, home, place=place)
    if not sees(now.message.handler):
        return Turn("version", now.time_micros, home, is_unseen=True, place=place)
    if before is not None and not sees(before.message.handler):
        # Nothing of it is told, not even by what changed.
        return Turn("assigned", now.time_micros, home, place=place)
    if before is None and not is_first:
        return Turn("version", now.time_micros, home, place=place)
    kind = "imported"
    if before is not None:
        is_other = before.message.handler != now.message.handler
        kind = "assigned" if is_other else "changed"
    changes = tuple(change for _, change in changes_of(_TOLD, home, before, now))
    return Turn(kind, now.time_micros, home, changes=changes, place=place)


def _said(word: OrderWord, kind: str) -> Turn:
    one = word.version
    return Turn(
        kind,
        one.time_micros,
        word.home,
        one.message.actor,
        place=(one.origin, one.index, one.is_signed),
        text=one.message.text,
    )
