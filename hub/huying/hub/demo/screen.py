"""What is shown while the demo runs: the tree of nodes, a bar per phase, one call's conversation.

On a terminal the picture is redrawn in place and fits into 80 by 24; elsewhere, and in a log file,
it is plain lines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from huying.hub.demo.outcome import Statuses
from huying.hub.demo.plan import COUNTY, TOWNS
from huying.hub.demo.story import Counted, Line, Story, tier
from huying.hub.fleet import Place

__all__ = ["LiveScreen", "PlainScreen", "Screen", "Watched", "say_line", "tree_prefixes"]

_BARS: Final[tuple[tuple[Counted, str], ...]] = (
    ("loaded", "装载 load"),
    ("reported", "上报 report"),
    ("raised", "呼叫 call"),
    ("answered", "答复 answer"),
    ("closed", "办结 close"),
    ("settled", "销事 settle"),
)
_COLOURS: Final = {"县": "magenta", "镇": "cyan", "村": "green"}
_PLAIN_SECONDS: Final = 2.0  # between two lines of progress
_ROWS_BESIDE: Final = 18  # of the picture, without the conversation
_WIDTH_MAX: Final = 100


class Watched(Protocol):
    """What the screen looks at; the running play."""

    story: Story
    statuses: Statuses


class Screen(Protocol):
    """Both ways of showing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def phase(self, text: str) -> None:
        """What is being done now."""
        ...

    def watch(self, watched: Watched) -> None:
        """Show this from now on."""
        ...

    def tick(self) -> None:
        """Called several times a second."""
        ...


def tree_prefixes() -> dict[str, str]:
    """The branches drawn before each node's name, by code, in the tree's order."""
    prefixes = {COUNTY: ""}
    towns = list(TOWNS)
    for town in towns:
        last_town = town == towns[-1]
        prefixes[town] = "└─ " if last_town else "├─ "
        for village in TOWNS[town]:
            last = village == TOWNS[town][-1]
            prefixes[village] = ("   " if last_town else "│  ") + ("└─ " if last else "├─ ")
    return prefixes


def say_line(line: Line, names: Mapping[str, str]) -> Text:
    """A line of the conversation."""
    where = tier(line.code)
    return Text.assemble(
        (f"{line.seconds:5.1f} s ", "dim"),
        (f"{where} {names[line.code].removesuffix('委会')} ", f"bold {_COLOURS[where]}"),
        (f"{line.who} ", "bold"),
        line.text,
        no_wrap=True,
        overflow="ellipsis",
    )


class LiveScreen:
    """Redraws in place."""

    def __init__(self, console: Console, places: Sequence[Place]) -> None:
        self._console = console
        self._places = places
        self._names = {place.code: place.name for place in places}
        self._watched: Watched | None = None
        self._phase = ""
        self._started = time.monotonic()
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=5)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        """See `Screen`."""
        self._phase = text

    def watch(self, watched: Watched) -> None:
        """See `Screen`."""
        self._watched = watched

    def tick(self) -> None:
        """See `Screen`. The live display redraws itself."""

    def _draw(self) -> RenderableType:
        width = min(_WIDTH_MAX, self._console.width)
        parts: list[RenderableType] = [self._heading(width), self._nodes(width)]
        if self._watched is not None:
            rows = max(3, self._console.height - _ROWS_BESIDE)
            parts += [
                _rule("各环节 phases", width),
                self._bars(self._watched.story, width),
                _rule("一条呼叫的往来 the conversation of one call", width),
                *(say_line(one, self._names) for one in self._watched.story.lines[-rows:]),
            ]
        return Group(*parts)

    def _heading(self, width: int) -> RenderableType:
        seconds = int(time.monotonic() - self._started)
        heading = Table.grid(expand=False, padding=(0, 1))
        heading.add_column(width=width - 7, no_wrap=True, overflow="ellipsis")
        heading.add_column(width=6, justify="right")
        title = Text.assemble(("呼应 Huying ", "bold"), (self._phase, ""))
        heading.add_row(title, Text(f"{seconds // 60:02}:{seconds % 60:02}", style="dim"))
        return heading

    def _nodes(self, width: int) -> RenderableType:
        statuses = self._watched.statuses if self._watched else {}
        table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False, header_style="dim")
        table.add_column("节点 node", no_wrap=True, min_width=18)
        table.add_column("区划代码 code", no_wrap=True)
        for title in ("本流 own", "持有 held", "未授 withheld"):
            table.add_column(title, justify="right", no_wrap=True)
        if width >= 90:
            table.add_column("内存 memory", justify="right", no_wrap=True)
        prefixes = tree_prefixes()
        order = list(prefixes)
        for place in sorted(self._places, key=lambda place: order.index(place.code)):
            name = Text.assemble(
                (prefixes[place.code], "dim"), (place.name, _COLOURS[tier(place.code)])
            )
            cells = ["", "", "", ""]
            status = statuses.get(place.code)
            if status is not None:
                own = next((f.size for f in status.feeds if f.origin == status.origin), 0)
                held = sum(feed.size - feed.entries_hidden for feed in status.feeds)
                withheld = sum(feed.openings_withheld for feed in status.feeds)
                memory = f"{status.resident_bytes / 1e6:.0f} MB"
                cells = [f"{own:,}", f"{held:,}", f"{withheld:,}", memory]
            table.add_row(name, place.code, *cells[: len(table.columns) - 2])
        return table

    def _bars(self, story: Story, width: int) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=13, no_wrap=True)
        table.add_column(width=width - 13 - 15)
        table.add_column(width=13, justify="right", no_wrap=True)
        for what, label in _BARS:
            total = story.totals.get(what, 0)
            count = story.counts[what]
            bar = ProgressBar(
                total=max(1, total),
                completed=count,
                complete_style="green",
                finished_style="green",
            )
            table.add_row(label, bar, f"{count:,} / {total:,}" if total else "—")
        return table


def _rule(title: str, width: int) -> RenderableType:
    # A grid keeps the rule from running across a wide terminal.
    table = Table.grid()
    table.add_column(width=width)
    table.add_row(Rule(Text(title, style="dim"), style="dim", align="left"))
    return table


class PlainScreen:
    """Writes a line now and then."""

    def __init__(self, console: Console, places: Sequence[Place]) -> None:
        self._console = console
        self._names = {place.code: place.name for place in places}
        self._watched: Watched | None = None
        self._last = 0.0
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._progress()

    def phase(self, text: str) -> None:
        """See `Screen`."""
        self._console.print(text, soft_wrap=True)

    def watch(self, watched: Watched) -> None:
        """See `Screen`."""
        self._watched = watched
        watched.story.listener = lambda line: self._console.print(
            say_line(line, self._names), soft_wrap=True
        )

    def tick(self) -> None:
        """See `Screen`."""
        if time.monotonic() - self._last >= _PLAIN_SECONDS:
            self._last = time.monotonic()
            self._progress()

    def _progress(self) -> None:
        if self._watched is None:
            return
        story = self._watched.story
        cells = [
            set_cell_size(text, max(cell_len(text), 18))
            for what, label in _BARS
            if (total := story.totals.get(what, 0))
            for text in [f"{label} {story.counts[what]}/{total}"]
        ]
        text = " ".join(cells).rstrip()
        if text != self._shown:
            self._shown = text
            self._console.print(text, soft_wrap=True)
