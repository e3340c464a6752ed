"""The operations view: whether data flows, feed by feed, and how it did over the last day.

The figures are the node's own, as a scrape would find them (`huying.node.monitoring.figures`); a
node that is away is shown as it was when it last answered, with the time of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import parse_checkpoint
from huying.common.feed.note import parse_note
from huying.common.state import FeedState
from huying.node.cli.feed_text import REASONS
from huying.node.monitoring.trouble import missing_range
from huying.node.store.quarantine_queries import QuarantineCount
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.operations.lag_past import (
    chart_of,
    holes,
    rows_of,
    sparks,
    worst,
    worst_rows,
)
from huying.node.web.operations.operations_lines import RUNBOOK, FeedLine, feed_lines, peer_lines
from huying.node.web.operations.operations_remarks import remarks
from huying.node.web.operations.operations_source import Look, history, look, names_of, origin_at
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.render import span
from huying.wire.v1 import admin_pb2

__all__ = ["PAGES", "lag_text", "reason_text"]

_POINTS: Final = 96  # of a chart: a quarter of an hour each
_ROWS: Final = 100
_GAPS_SHOWN: Final = 200


def lag_text(seconds: float | None, language: str) -> str:
    """A lag in words; one that nobody knows says so."""
    if seconds is None or math.isnan(seconds):
        return "unknown" if language == "en" else "未知"
    if seconds < 60:
        return f"{seconds:.1f} s" if language == "en" else f"{seconds:.1f} 秒"
    return span(seconds, language)


def reason_text(ask: Ask, reason: str) -> str:
    """Why a feed is in its state."""
    return ask.t(REASONS.get(reason, reason), reason)


def _lag(ask: Ask) -> Any:
    return lambda seconds: lag_text(seconds, ask.language)


# --- the overview -----------------------------------------------------------------------------


async def show_overview(ask: Ask) -> Response:
    """One sentence, what else there is to know, the feeds, the neighbours, the last day."""
    seen = await look(ask)
    lines = feed_lines(seen)
    peers = peer_lines(seen)
    names = await names_of(ask, seen)
    wish = ask.query("q")
    state = ask.query("state")
    chosen = [line for line in lines if _fits(line, names.get(line.code, ""), wish, state)]
    start = _place(ask.query("from"))
    shown = chosen[start : start + _ROWS]
    past = await history(ask, _POINTS, tuple(line.origin for line in shown if not line.own))
    more = start + _ROWS if start + _ROWS < len(chosen) else 0
    return await ask.render(
        "operations.html",
        look=seen,
        names=names,
        remarks=remarks(seen, lines, peers, names, ask.now()),
        lines=shown,
        count=len(chosen),
        states=_states(lines),
        chosen_state=state,
        wish=wish,
        peers=peers,
        help=RUNBOOK,
        sparks={} if past is None else sparks(past),
        past=None if past is None else worst(past),
        rows=[] if past is None else worst_rows(past),
        holes=holes(past),
        since=past.ends_seconds[0] - past.interval_seconds
        if past is not None and past.ends_seconds
        else 0.0,
        lag=_lag(ask),
        reason=lambda text: reason_text(ask, text),
        more=ask.url("operations", q=wish, state=state, **{"from": more}) if more else "",
    )


def _fits(line: FeedLine, name: str, wish: str, state: str) -> bool:
    return (not state or line.state == state) and (
        not wish or wish in name or wish in line.label or wish in line.origin
    )


def _place(text: str) -> int:
    return min(int(text), 100_000) if text.isascii() and text.isdecimal() else 0


def _states(lines: Sequence[FeedLine]) -> list[tuple[str, int]]:
    """Which states there are, and of how many feeds, in the order of the lines."""
    found: dict[str, int] = {}
    for line in lines:
        found[line.state] = found.get(line.state, 0) + 1
    return list(found.items())


# --- one feed ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredFeed:
    """What the database holds of a feed."""

    state: FeedState
    signers: tuple[str, ...]  # of the newest checkpoint: its origin, and who cosigned
    note: str
    root: str
    gaps: list[admin_pb2.MissingRange]
    gaps_left_out: int
    quarantine: QuarantineCount


async def show_feed(ask: Ask) -> Response:
    """Its head and who cosigned it, its counters, its gaps, and its lag over the last day."""
    origin = await origin_at(ask)
    stored = await ask.node.read(lambda reader: _stored(reader, origin))
    seen = await look(ask)
    line = next((one for one in feed_lines(seen) if one.origin == origin), None)
    if line is None:
        raise HuyingError(Code.NOT_FOUND, "there is no such feed here, or it is not yours to see")
    past = None if line.own else await history(ask, _POINTS, (origin,))
    of_feed = past.feeds[0] if past is not None and past.feeds else None
    return await ask.render(
        "operations_feed.html",
        look=seen,
        names=await names_of(ask, seen),
        line=line,
        facts=seen.feed(origin),
        stored=stored,
        help=RUNBOOK.get(line.state, ""),
        past=None if past is None or of_feed is None else chart_of(past, of_feed),
        rows=[] if past is None or of_feed is None else rows_of(past, of_feed),
        holes=holes(past),
        refusals=_refusals(seen),
        lag=_lag(ask),
        reason=lambda text: reason_text(ask, text),
    )


def _stored(reader: Reader, origin: str) -> StoredFeed:
    state = reader.feed(origin)
    assert state is not None, "the caller found it in this database"
    rows = reader.missing(state.feed_id)
    signers, note, root = _head(state)
    return StoredFeed(
        state=state,
        signers=signers,
        note=note,
        root=root,
        gaps=[missing_range(origin, row) for row in rows[:_GAPS_SHOWN]],
        gaps_left_out=max(0, len(rows) - _GAPS_SHOWN),
        quarantine=reader.quarantine_counts().get(origin, QuarantineCount(0, 0)),
    )


def _head(state: FeedState) -> tuple[tuple[str, ...], str, str]:
    """(who signed the newest checkpoint, its text, its root in hex)."""
    if state.head is None:
        return (), "", ""
    try:
        note = parse_note(state.head.note)
        root = parse_checkpoint(note.text).root
    except HuyingError:
        return (), "", ""
    names = tuple(signature.name for signature in note.signatures)
    return names, state.head.note.decode("utf-8", "replace"), root.hex()


def _refusals(seen: Look) -> list[tuple[str, str, int]]:
    """(peer, reason, count) of what was refused since the node started."""
    found = seen.figures.all("verify_failures_total")
    return [(labels["peer"], labels["reason"], int(count)) for labels, count in found]


PAGES: Final = (
    Page(
        "/operations",
        "operations",
        show_overview,
        Permission.OPERATIONS_READ,
        nav=Nav("运行状况", "Operations", 800),
    ),
    Page(
        "/operations/feeds/{code}/{epoch}",
        "operations-feed",
        show_feed,
        Permission.OPERATIONS_READ,
    ),
)
