"""`huying bench`: how fast entries travel, how long lists of calls take, and how long pages take.

`feeds` runs nodes from scratch; `calls` asks a database of a county's size, and `pages` the console
of nodes over such databases. Those are built once, and kept in `.bench`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Final

__all__ = ["run"]

_KEPT: Final = Path(".bench")
_PARTS: Final = ("feeds", "calls", "pages")


def run(args: list[str]) -> int:
    """The command; with --json the last line of stdout is one JSON object."""
    from huying.hub.bench import feeds
    from huying.hub.bench.call_store import Size
    from huying.hub.bench.calls import measure_calls
    from huying.hub.bench.pages import measure_pages, table

    parser = argparse.ArgumentParser(prog="huying bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--only", choices=_PARTS, default="", help="one part of it")
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=1, help="catch-ups of each kind; the median")
    parser.add_argument("--rate", type=int, default=500, help="events offered a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the steady state")
    parser.add_argument("--folder", type=Path, default=None, help="kept; default: a temporary one")
    parser.add_argument("--calls", type=int, default=Size().calls, help="calls in the database")
    parser.add_argument("--rounds", type=int, default=5, help="how often each list is asked for")
    parser.add_argument("--looks", type=int, default=15, help="how often each page is asked for")
    arguments = parser.parse_args(args)
    # Whoever ends the bench ends its nodes: they are sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    result: dict[str, object] = {}
    parts = (arguments.only,) if arguments.only else _PARTS
    if "feeds" in parts:
        with feeds.working_folder(arguments.folder) as folder:
            result |= feeds.measure(folder, arguments, _say)
    if "calls" in parts:
        size = Size(calls=arguments.calls)
        folder = _KEPT / f"calls-{size.calls}"
        result |= measure_calls(folder, size, arguments.rounds, _say)
    if "pages" in parts:
        timed = measure_pages(_KEPT, arguments.calls, arguments.looks, _say)
        if not arguments.json:
            sys.stdout.write(table(timed) + "\n")
            timed = {name: value for name, value in timed.items() if name != "pages"}
        result |= timed
    if arguments.json:
        lines = [json.dumps(result, ensure_ascii=False)]
    else:
        lines = [f"{name:44} {value}" for name, value in result.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
