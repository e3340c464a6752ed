"""The end of the demo: a table per node, the sums, and commands to try."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from huying.common.codes import parse_origin
from huying.hub.demo.outcome import Outcome, disagreements
from huying.hub.demo.plan import COUNTY, TOWNS
from huying.hub.demo.story import tier
from huying.wire.v1 import api_pb2

if TYPE_CHECKING:
    from huying.hub.demo.accounts import DemoAccounts

__all__ = ["examples", "print_accounts", "print_examples", "print_report"]

_WIDTH_MAX: Final = 100
_WIDE: Final = 90  # columns from which a feed's code stands beside its name
_HEADINGS: Final = (
    ("条目", "entries"),
    ("持有", "held"),
    ("明文", "openings"),
    ("未授", "withheld"),
    ("时延 p50", "delay"),
    ("时延 p99", "delay"),
)


def print_report(console: Console, outcome: Outcome) -> None:
    """All tables and the sums."""
    for status in outcome.statuses.values():
        console.print()
        width = min(_WIDTH_MAX, console.width)
        console.print(_title(status, wide=width >= _WIDE))
        console.print(_table(status, width))
    console.print()
    for line in _sums(outcome):
        console.print(line, soft_wrap=console.width >= _WIDTH_MAX)


def _title(status: api_pb2.StatusResponse, *, wide: bool) -> Text:
    raised, answered, confirmed = (" raised", " answered", " confirmed") if wide else ("", "", "")
    return Text.assemble(
        (f"{tier(status.code)} {status.name} ", "bold"),
        (f"{status.code}  ", "dim"),
        f"呼叫{raised} {status.calls_raised} · 答复{answered} {status.calls_answered} · "
        f"确认{confirmed} {status.calls_confirmed}",
    )


def _table(status: api_pb2.StatusResponse, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=width, header_style="dim")
    table.add_column("  数据流\n  feed", ratio=1, no_wrap=True, overflow="ellipsis")
    for chinese, english in _HEADINGS:
        table.add_column(f"{chinese}\n{english}", justify="right", width=8, no_wrap=True)
    for feed in sorted(status.feeds, key=lambda each: _place(each, status.origin)):
        origin = parse_origin(feed.origin)
        own = feed.origin == status.origin
        table.add_row(
            Text.assemble(
                "● " if own else "  ",
                f"{feed.name} ",
                (origin.code if width >= _WIDE or not feed.name else "", "dim"),
            ),
            f"{feed.size:,}",
            f"{feed.size - feed.entries_hidden:,}",
            f"{feed.openings_held:,}",
            f"{feed.openings_withheld:,}",
            _milliseconds(feed.delay_p50_seconds, feed.delay_count),
            _milliseconds(feed.delay_p99_seconds, feed.delay_count),
        )
    return table


def _place(feed: api_pb2.FeedStatus, own: str) -> tuple[bool, str]:
    """The own feed first, the others by division code, which is each town before its villages."""
    return feed.origin != own, parse_origin(feed.origin).code


def _milliseconds(seconds: float | None, count: int = 1) -> str:
    return f"{seconds * 1000:,.0f} ms" if count and seconds is not None else "—"


def _sums(outcome: Outcome) -> Iterator[Text]:
    counts, scan = outcome.counts, outcome.scan
    yield Text.assemble(
        ("合计 sum  ", "bold"),
        f"{len(outcome.statuses)} 个节点 nodes · {outcome.entries:,} 个条目 entries · "
        f"{counts['reported']:,} 个事件 events",
    )
    yield Text.assemble(
        ("呼叫 calls  ", "bold"),
        f"呼叫 raised {counts['raised']} → 答复 answered {counts['answered']} "
        f"(再答 again {counts['answered_again']}) → 确认 confirmed {counts['confirmed']} → "
        f"办结 closed {counts['closed']}",
    )
    yield Text.assemble(
        ("其间 on the way  ", "bold"),
        f"退回 returned {counts['returned']} (裁决 ruled {counts['ruled']}) · "
        f"补充 supplemented {counts['supplemented']} · 超期 overdue {counts['breached']} · "
        f"重办 reopened {counts['reopened']} · 数据提供 provided {counts['provided']}",
    )
    yield Text.assemble(
        ("时延 delay  ", "bold"),
        f"全程 whole run p50 {_milliseconds(outcome.delays.quantile(0.5))}, "
        f"p99 {_milliseconds(outcome.delays.quantile(0.99))} · "
        f"实时 live stream p50 {_milliseconds(outcome.live_delays.quantile(0.5))}, "
        f"p99 {_milliseconds(outcome.live_delays.quantile(0.99))}",
    )
    yield Text.assemble(
        ("不出村 kept home  ", "bold"),
        f"未授明文 openings withheld {outcome.openings_withheld:,}",
    )
    leaks = len(scan.leaks)
    yield Text.assemble(
        ("金丝雀 canaries  ", "bold"),
        f"{outcome.planted:,} 处标记 planted · 在家 at home {scan.permitted:,} · ",
        (f"泄漏 leaks {leaks}", "bold red" if leaks or not scan.permitted else "bold green"),
        f" · 已查 searched {scan.scanned_bytes / 1e6:,.0f} MB",
    )
    for leak in scan.leaks[:10]:
        yield Text(f"  {leak.file} @{leak.offset} ({leak.encoding}): {leak.origin} {leak.level}")
    yield Text.assemble(
        ("树根 roots  ", "bold"),
        ("各节点一致 equal everywhere", "bold green")
        if outcome.roots_equal
        else ("不一致 NOT equal", "bold red"),
    )
    for line in disagreements(outcome.statuses):
        yield Text(f"  {line}")


def examples(folder: Path, outcome: Outcome | None = None) -> list[tuple[str, str]]:
    """(what it shows, command) to paste; the commands read a node's store while it is down too."""
    huying = _program()
    town = next(iter(TOWNS))
    village = TOWNS[town][0]

    def config(code: str) -> str:
        return f"{huying} --config {_shown(folder / code / 'node.toml')}"

    proof = _shown(folder / "event.proof")
    residents = f"record list resident --home {village} --limit 3"
    pick = "sed -n 's/^feed_key = \"\\(.*\\)\"/\\1/p'"
    key = f'"$({pick} {_shown(folder / village / "pin.toml")})"'
    last = 0
    if outcome is not None:
        feeds = outcome.statuses[village].feeds
        last = max(0, next(f.size for f in feeds if f.origin.find(village) > 0) - 1)
    return [
        ("镇的状态 the town's state", f"{config(town)} status"),
        ("县里的呼叫 calls at the county", f"{config(COUNTY)} call list --limit 5"),
        ("村民,在村里看 residents, at home", f"{config(village)} {residents}"),
        ("同一批人,在县里看 the same, above", f"{config(COUNTY)} {residents}"),
        ("村的检查点,镇已见证 a checkpoint", f"{config(village)} feed head"),
        ("出具证明 write a proof", f"{config(village)} feed prove {last} -o {proof}"),
        ("离线验证 verify it offline", f"{huying} feed verify {proof} --key {key}"),
        ("全库复核 check the whole store", f"{config(village)} fsck"),
    ]


def print_examples(console: Console, folder: Path, outcome: Outcome) -> None:
    """The commands, each under what it shows."""
    console.print()
    console.print(Text("可以试试 try", style="bold"))
    for what, command in examples(folder, outcome):
        console.print(Text(f"# {what}", style="dim"), soft_wrap=True)
        console.print(Text(command), soft_wrap=True)


def print_accounts(console: Console, made: DemoAccounts) -> None:
    """The pages of each node, and who may sign in there."""
    console.print()
    console.print(Text("网页 pages", style="bold"))
    origin = ""
    for account in made.accounts:
        if account.origin != origin:
            origin = account.origin
            console.print(Text(f"{origin}  {tier(account.code)} {account.place}"), soft_wrap=True)
        console.print(Text(f"    {account.login:<12} {account.role}"), soft_wrap=True)
    console.print(Text(f"密码都是 the password of each: {made.password}"), soft_wrap=True)


def _program() -> str:
    """How this program was called, so that a pasted command finds it."""
    program = Path(sys.argv[0])
    if program.name == "huying" and program.exists():
        return _shown(program)
    return f"{_shown(Path(sys.executable))} -m huying.hub.cli"


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path.absolute())
