"""How long each page takes: every page of every role, by the console's own process over real nodes.

`first` is the first request that a console's process ever answers, which nothing was kept for yet;
then the page is asked for again and again over one connection (best, p50, p99). Beside both stands
the processor time that the console spent, which a busy machine does not lengthen. What is timed is
the whole answer, as a browser on the same machine gets it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from huying.hub.bench.call_store import COUNTY, NOW_MICROS, Size
from huying.hub.bench.page_live import measure_live
from huying.hub.bench.page_nodes import (
    console,
    cpu_seconds_of,
    fork_server,
    plain,
    running,
    start_seconds,
)
from huying.hub.bench.page_rival import QUERIES
from huying.hub.bench.page_store import CALLING_TOWN, TOWN, VILLAGE, build_nodes
from huying.hub.bench.page_walk import Answer, Browser, Found, page_of, reach, timed_pages
from huying.hub.fleet import Fleet, free_addresses
from huying.node.config import Config, load
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.roles import Role
from huying.node.web.store import ConsoleStore

__all__ = ["BOUND_SECONDS", "measure_pages", "table"]

BOUND_SECONDS: Final = 0.2
PASSWORD: Final = "bench-of-the-pages-7"  # noqa: S105  # it opens generated data
_PEOPLE: Final = (
    (COUNTY, (Role.CENTRE, Role.DEPARTMENT, Role.DIRECTOR, Role.TECHNICIAN, Role.ADMIN)),
    (TOWN, (Role.CLERK, Role.PRINCIPAL)),
    (VILLAGE, (Role.WORKER, Role.VILLAGE_CLERK)),
)
# Asked for beside what links lead to: what narrows a list the hardest, and what browsers ask for.
_ASKED_TOO: Final = {
    "centre": (
        *("/queue?group=overdue", "/queue?mark=card", "/queue?mark=extension", "/queue?q=无此词语"),
        *("/calls?q=无此词语", "/calls?q=水管", "/calls?category=第07类&town=370830107000"),
        *("/calls?show=all&stage=declined", "/calls?order=deadline", "/events?status=reported"),
        *("/events?category=安全隐患", "/events?category=无此类", "/orders?show=overdue"),
        *("/orders?show=near", "/orders?status=returned", "/orders?handler=370830124210"),
        "/measures?by=town",
    ),
    "department": ("/queue?tab=help", "/queue?q=无此词语", "/calls?q=无此词语"),
    "worker": ("/report/offline", "/healthz", "/manifest.webmanifest", "/sw.js"),
    "clerk": ("/events?status=reported", "/orders?show=overdue", "/calls?q=无此词语"),
    "village_clerk": ("/ledger?population=低保", "/ledger?q=王", "/ledger?days=90"),
}
Say = Callable[[str], None]


@dataclass(slots=True)
class Timed:
    """What one page took. Seconds."""

    role: str
    name: str
    url: str
    first: float = 0.0
    first_cpu: float = 0.0
    best: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    cpu: float = 0.0  # of the console's process, for one request
    size_bytes: int = 0  # on the wire
    page_bytes: int = 0  # unpacked


def measure_pages(
    kept: Path, calls: int, rounds: int, say: Say, *, first: bool = True
) -> dict[str, Any]:
    """Build what is not there, start the nodes, and ask for every page."""
    say(f"页面库 · nodes with {calls} calls, below {kept}")
    started = time.perf_counter()
    fleet, is_new = build_nodes(kept / f"pages-{calls}", calls)
    if is_new:
        say(f"  {time.perf_counter() - started:.0f} s")
    shift = NOW_MICROS / 1e6 - time.time()
    forks = fork_server()
    timed: list[Timed] = []
    with running(fleet, shift):
        for code, roles in _PEOPLE:
            config = load(fleet[code].config_file)
            _enter(config, roles)
            timed += _node_pages(config, roles, shift, rounds, say, forks, first=first)
        live = _live(fleet, shift, forks, say)
        start = start_seconds(load(fleet[COUNTY].config_file), shift)
    rival = _rival(kept / f"calls-{calls}" / "node.db", rounds, forks, say)
    missed = sorted(timed_pages() - {one.name for one in timed})
    slow = [f"{one.role} {one.url}" for one in timed if max(one.first, one.p99) > BOUND_SECONDS]
    return {
        "pages_calls": calls,
        "pages_load": os.getloadavg()[1],
        "pages": [_row(one) for one in timed],
        "pages_not_reached": missed,
        "pages_over_200_ms": slow,
        "pages_rival": rival,
        "console_start_seconds": start,
        **live,
    }


def _row(one: Timed) -> dict[str, Any]:
    return {name: _round(getattr(one, name)) for name in one.__slots__}


def _round(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _enter(config: Config, roles: Sequence[Role]) -> None:
    """An account for each role, where there is none."""
    store = ConsoleStore.open(config.console_dir)
    try:
        accounts = Accounts(store)
        for role in roles:
            if accounts.by_login(role.value) is None:
                accounts.add(
                    login=role.value,
                    name=f"示例 {role.value}",
                    roles=(role,),
                    department=Size().department(0) if role is Role.DEPARTMENT else "",
                    password=PASSWORD,
                    one_time=False,
                    now=time.time(),
                )
    finally:
        store.close()


def sign_in(browser: Browser, login: str) -> Answer:
    """By the form, as people do."""
    answer = browser.post("/sign-in", {"login": login, "password": PASSWORD, "next": "/"})
    assert answer.status == 303, f"{login} is not let in: {answer.status}"
    return answer


def _node_pages(
    config: Config,
    roles: Sequence[Role],
    shift: float,
    rounds: int,
    say: Say,
    forks: Any,
    *,
    first: bool,
) -> list[Timed]:
    assert config.console.listen is not None, "the bench's nodes have one"
    timed: list[Timed] = []
    cookies: dict[str, dict[str, str]] = {}
    with console(config, shift, forks) as process:
        for role in roles:
            browser = Browser(config.console.listen)
            sign_in(browser, role.value)
            cookies[role.value] = browser.cookies
            pages = reach(browser, role.value)
            pages += _only_forms(pages, role.value)
            for url in _ASKED_TOO.get(role.value, ()):
                page = page_of(url.partition("?")[0])
                assert page is not None, f"no page at {url}"
                pages.append(Found(page.name, _quoted(url), role.value))
            say(f"{config.node.name} · {role.value}: {len(pages)} pages")
            timed += [_warm(browser, process, page, rounds) for page in pages]
            browser.close()
    if first:
        asked: set[str] = set()
        for one in timed:
            place = one.url if "?" in one.url else one.name
            if place not in asked:
                asked.add(place)
                _first(config, shift, forks, one, cookies[one.role])
    return timed


def _live(fleet: Fleet, shift: float, forks: Any, say: Say) -> dict[str, Any]:
    config = load(fleet[COUNTY].config_file)
    assert config.console.listen is not None, "the bench's nodes have one"
    with console(config, shift, forks):
        browser = Browser(config.console.listen)
        sign_in(browser, Role.CENTRE.value)
        try:
            return measure_live(browser, fleet[CALLING_TOWN], say, now=time.time() + shift)
        finally:
            browser.close()


def _quoted(url: str) -> str:
    from urllib.parse import quote

    return quote(url, safe="/?=&")


def _only_forms(found: Sequence[Found], role: str) -> list[Found]:
    """Addresses that a button leads to, in place of a link."""
    return [
        Found("household-end", f"{one.url}/end", role) for one in found if one.name == "household"
    ]


def _warm(browser: Browser, process: BaseProcess, page: Found, rounds: int) -> Timed:
    answer = browser.get(page.url)
    assert answer.status == 200, f"{page.role} gets {answer.status} at {page.url}"
    before = cpu_seconds_of(process)
    took = []
    for _ in range(rounds):
        answer = browser.get(page.url)
        took.append(answer.seconds)
    cpu = (cpu_seconds_of(process) - before) / rounds
    took.sort()
    whole = browser.get(page.url, **{"Accept-Encoding": "identity"})
    return Timed(
        role=page.role,
        name=page.name,
        url=page.url,
        best=took[0],
        p50=took[len(took) // 2],
        p99=took[min(len(took) - 1, int(len(took) * 0.99))],
        cpu=cpu,
        size_bytes=answer.size_bytes,
        page_bytes=whole.size_bytes,
    )


def _first(config: Config, shift: float, forks: Any, one: Timed, cookies: dict[str, str]) -> None:
    """Have a new process answer the page as the first thing it does."""
    assert config.console.listen is not None, "the bench's nodes have one"
    with console(config, shift, forks) as process:
        before = cpu_seconds_of(process)
        browser = Browser(config.console.listen, dict(cookies))
        answer = browser.get(one.url)
        browser.close()
        one.first, one.first_cpu = answer.seconds, cpu_seconds_of(process) - before
        assert answer.status == 200, f"{one.role} gets {answer.status} at {one.url}"


def _rival(database: Path, rounds: int, forks: Any, say: Say) -> dict[str, dict[str, float]]:
    say("对照 · a plain page over one table")
    found = {}
    (address,) = free_addresses(1)
    asked = {"/department": "?department=第01局", "/search": "?q=无此词语"}
    for path in QUERIES:
        with plain(database, address, forks) as process:
            browser = Browser(address)
            url = _quoted(path + asked.get(path, ""))
            first = browser.get(url)
            assert first.status == 200, f"the rival answers {first.status} at {path}"
            page = _warm(browser, process, Found(path, url, "-"), rounds)
            browser.close()
        found[path] = {
            name: _round(value)
            for name, value in (("first", first.seconds), ("p50", page.p50), ("p99", page.p99))
        }
    return found


_COLUMNS: Final = {"first": 7, "first_cpu": 6, "best": 7, "p50": 7, "p99": 7, "cpu": 6}


def table(result: dict[str, Any]) -> str:
    """What was measured, for people: the slowest pages first."""
    names = ("first", "cpu", "best", "p50", "p99", "cpu")
    heads = " ".join(f"{name:>{7 if name != 'cpu' else 6}}" for name in names)
    lines = [f"{'role':14} {'page':20} {heads} {'wire':>8} {'page':>8}  address (ms, bytes)"]
    rows = sorted(result["pages"], key=lambda row: -max(row["first"], row["p99"]))
    for row in rows:
        over = max(row["first"], row["p99"]) > BOUND_SECONDS
        times = " ".join(f"{row[name] * 1000:{width}.0f}" for name, width in _COLUMNS.items())
        sizes = f"{row['size_bytes']:8,} {row['page_bytes']:8,}"
        lines.append(
            f"{row['role']:14} {row['name']:20} {times} {sizes} {'!' if over else ' '} {row['url']}"
        )
    return "\n".join(lines)
