"""The sentence on top of the operations pages, their charts, and the runbook's text."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from huying.common.status import FeedHealth
from huying.node.web.operations import runbook
from huying.node.web.operations.lag_chart import Band, chart, spark
from huying.node.web.operations.machine_pages import growth
from huying.node.web.operations.operations_lines import (
    RUNBOOK,
    STATE_KINDS,
    FeedLine,
    PeerLine,
    feed_lines,
    peer_lines,
)
from huying.node.web.operations.operations_pages import lag_text
from huying.node.web.operations.operations_remarks import Remark, remarks
from huying.node.web.operations.operations_source import Figures, Look
from huying.wire.v1 import admin_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

NAN = math.nan
NOW = 1_700_000_000.0
WELL = {"disk_free_bytes": 5e10, "backup_timestamp_seconds": NOW - 3600}


def look(*states: str, down: tuple[str, ...] = (), live: bool = True, **values: float) -> Look:
    """A town whose followed feeds are in these states, and whose neighbours `down` are silent."""
    feeds = [
        admin_pb2.FigureFeed(
            origin=f"wenshang.example/feed/37083010820{at}/e1",
            label=f"37083010820{at}/e1",
            state=state,
            lag_known=state not in ("unknown", "forked"),
            lag_seconds=1.0,
        )
        for at, state in enumerate(states)
    ]
    own = f"wenshang.example/feed/{TOWN}/e1"
    feeds.append(admin_pb2.FigureFeed(origin=own, label=f"{TOWN}/e1", state="live", own=True))
    figures = [
        admin_pb2.FigureSeries(name=f"huying_{name}", values=[value])
        for name, value in {**WELL, **values}.items()
    ]
    connected = [0.0 if code in down else 1.0 for code in (COUNTY, VILLAGE)]
    for name, both in (
        ("last_contact_timestamp_seconds", [NOW, NOW]),
        ("peer_connected", connected),
    ):
        figures.append(
            admin_pb2.FigureSeries(
                name=f"huying_{name}",
                labels=["peer", "direction"],
                label_values=[COUNTY, "up", VILLAGE, "down"],
                values=both,
            )
        )
    return Look(NOW, live, "live", tuple(feeds), Figures(figures))


def told(seen: Look) -> list[Remark]:
    return remarks(seen, feed_lines(seen), peer_lines(seen), {COUNTY: "汶上县"}, NOW)


def test_only_a_node_all_of_whose_feeds_are_live_is_told_that_all_is_well() -> None:
    """Green with one village unknown would be worse than no page at all."""
    states = ("live", "catching_up", "unknown", "withheld", "tail_cut", "replayed", "forked")
    for pair in itertools.product(states, repeat=2):
        kinds = {one.kind for one in told(look(*pair))}
        assert ("good" in kinds) == (pair == ("live", "live")), pair
        for down in ((COUNTY,), (VILLAGE,)):
            assert told(look(*pair, down=down))[0].kind in ("warn", "bad")
    assert told(look())[0].kind == "act"
    assert told(look("closed", "revoked"))[0].kind == "act"


def test_the_first_sentence_is_on_the_flow_of_data_whatever_else_is_wrong() -> None:
    """No backup is a reason to act, and no answer to the question on top."""
    first, *rest = told(look("live", backup_timestamp_seconds=0.0, disk_free_bytes=1e6))
    assert first.kind == "good"
    assert [one.kind for one in rest] == ["bad", "warn"]
    assert "磁盘" in rest[0].zh
    assert "备份" in rest[1].zh


def test_every_remark_that_is_not_good_says_where_to_read_on() -> None:
    """A part-time technician must not be left with a sentence alone."""
    for state in STATE_KINDS:
        for down in ((), (COUNTY, VILLAGE)):
            for one in told(look("live", state, down=down)):
                assert one.zh
                assert one.en
                assert one.help == "" or one.help in runbook.names()
                assert one.kind in ("good", "act") or one.help


def test_every_state_there_is_has_a_colour_and_the_grave_ones_a_page() -> None:
    """A state that a later release brings must not look well by accident."""
    assert {health.value for health in FeedHealth} <= set(STATE_KINDS)
    assert {state for state, kind in STATE_KINDS.items() if kind in ("bad", "warn")} <= set(RUNBOOK)
    line: Any = feed_lines(look("brand_new"))[0]
    assert line.kind == "warn"


def test_of_a_node_that_is_away_nothing_is_told_as_if_it_were_so_now() -> None:
    """What lasts is a fork; what was live may be anything by now."""
    seen = look("live", "forked", live=False)
    lines: list[FeedLine] = feed_lines(seen)
    assert [line.state for line in lines] == ["forked", "down", "unknown"]
    assert all(line.lag_seconds is None and line.behind is None for line in lines)
    kinds = [one.kind for one in told(seen)]
    assert set(kinds) == {"bad"}


def test_the_parent_comes_first_and_then_who_is_silent() -> None:
    """Of sixty villages nobody looks at the fifty that are there."""
    peers: list[PeerLine] = peer_lines(look(down=(VILLAGE,)))
    assert [(one.code, one.connected) for one in peers] == [(COUNTY, True), (VILLAGE, False)]


@pytest.mark.parametrize(
    ("seconds", "zh"), [(None, "未知"), (NAN, "未知"), (0.0, "0.0 秒"), (75.0, "1 分 15 秒")]
)
def test_a_lag_that_nobody_knows_reads_unknown_and_never_zero(
    seconds: float | None, zh: str
) -> None:
    """The one number that must not lie."""
    assert lag_text(seconds, "zh") == zh


# Charts.


def test_a_line_breaks_where_nothing_was_known_and_where_the_node_did_not_run() -> None:
    """A line drawn across a night that nobody saw would be made up."""
    ends = [60.0, 120.0, 180.0, 240.0, 900.0, 960.0]
    drawn = chart(ends, [1.0, 2.0, NAN, 3.0, 4.0, 5.0], [0, 0, 1.0, 0, 0, 0.5], 60.0)
    assert [len(run.split()) for run in drawn.runs] == [2, 2, 2]
    kinds = [band.is_whole for band in drawn.bands]
    assert kinds == [True, True, False], "unknown; not running; unknown in part"
    assert all(band.width > 0 for band in drawn.bands)


def test_bands_that_touch_are_one_and_the_scale_holds_the_worst() -> None:
    """A seam every quarter of an hour would look like something."""
    ends = [60.0 * at for at in range(1, 6)]
    drawn = chart(ends, [NAN] * 5, [1.0] * 5, 60.0)
    assert len(drawn.bands) == 1
    assert isinstance(drawn.bands[0], Band)
    high = chart(ends, [9e6] * 5, [0] * 5, 60.0)
    heights = [float(point.split(",")[1]) for point in high.runs[0].split()]
    assert min(heights) >= 12
    assert chart([], [], [], 60.0).runs == ()
    one = chart([60.0], [1.0], [0], 60.0)
    assert len(one.runs[0].split()) == 2, "a single point can be seen"


@pytest.mark.parametrize("minutes", [3, 20, 90, 600, 1440])
def test_a_chart_of_any_length_says_when_it_was(minutes: int) -> None:
    """Three minutes under "the last day", without a time on them, look like a day."""
    ends = [86_430.0 + 60.0 * at for at in range(minutes)]
    ticks = chart(ends, [1.0] * minutes, [0] * minutes, 60.0).ticks
    assert 2 <= len(ticks) <= 9
    assert all(ends[0] - 60 <= tick <= ends[-1] and tick % 60 == 0 for _, tick in ticks)


def test_a_small_line_shows_gaps_too() -> None:
    """In a row of a table there is no room for a ground."""
    assert len(spark([1.0, 2.0, NAN, 3.0])) == 2
    assert spark([NAN, NAN]) == ()
    assert spark([1.0]) == ()


def test_growth_is_told_after_a_while_and_says_how_long_the_disk_lasts() -> None:
    """A minute's growth times 1,440 is no forecast."""
    past = admin_pb2.ShowHistoryResponse(
        ends_seconds=[0.0, 43_200.0], database_bytes=[1e6, 2e6], disk_free_bytes=[1e9, 1e9]
    )
    grown = growth(past, 1e9)
    assert grown is not None
    assert (grown.bytes_a_day, grown.days_left) == (2e6, 500.0)
    past.database_bytes[:] = [2e6, 2e6]
    still = growth(past, 1e9)
    assert still is not None
    assert still.days_left is None
    past.ends_seconds[:] = [0.0, 60.0]
    assert growth(past, 1e9) is None
    assert growth(None, None) is None


# The runbook.


def test_the_runbooks_markdown_becomes_blocks_and_never_markup() -> None:
    """Whatever is in a file is text on the page."""
    blocks = runbook.parse(
        "# A `b`\n**c** · d\ne [f](g.md#x) [h](https://example.org/)\n\n"
        "1. one\n   more\n   ```\n   <code>\n   ```\n2. two\n\n| x | y |\n|---|---|\n| 1 | 2 |\n"
        "```\n<script>\n```\n- z\n"
    )
    kinds = [block.kind for block in blocks]
    assert kinds == ["h1", "p", "ol", "table", "pre", "ul"]
    spans = [(span.kind, span.text, span.page) for span in blocks[1].spans if span.kind != "text"]
    assert spans == [("strong", "c", ""), ("link", "f", "g"), ("link", "h", "")]
    assert [part.kind for part in blocks[2].items[0]] == ["p", "pre"]
    assert len(blocks[2].items) == 2
    assert blocks[2].items[0][1].text == "<code>"
    assert len(blocks[3].rows) == 2
    assert blocks[4].text == "<script>"
    assert runbook.parse("先看上级\n通不通,\n再说\nof it\nall")[0].spans[0].text == (
        "先看上级通不通,再说of it all"
    )
    assert runbook.parse("**`a` b** and *c d*, 2 * 3 * 4")[0].spans == (
        runbook.Span("strong", "a b"),
        runbook.Span("text", " and "),
        runbook.Span("em", "c d"),
        runbook.Span("text", ", 2 * 3 * 4"),
    )
    assert runbook.parse("```\nnever closed") == (runbook.Block("pre", text="never closed"),)
