"""What the command line prints: results to standard output, everything else to standard error.

With `--json` the output is one JSON document with snake_case keys and nothing beside it. Errors
are two lines, Chinese first: what it is and what to do; the code's name and the detail.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

PIPE_COLUMNS: Final = 200
_GAP_COLUMNS: Final = 2  # between two columns of a table: its padding and its box
_BYTES: Final = frozenset({"data", "data_home"})  # fields that hold a file, as hex digits
_OF_INPUT: Final = frozenset({Code.INVALID_ARGUMENT, Code.CONFIG, Code.ENTRY_TOO_LARGE})
# What a detail begins with: an option, with what it was given or without; an argument; a field.
_NAMED: Final = re.compile(r"(--[a-z][a-z-]*(?=[: ])|[A-Za-z_][A-Za-z0-9_.]*(?=: ))")

__all__ = [
    "clean",
    "console",
    "count",
    "division",
    "print_block",
    "print_bytes",
    "print_command",
    "print_error",
    "print_json",
    "print_note",
    "print_pairs",
    "print_table",
    "print_tables",
    "readable",
    "when",
]


def print_json(document: Any) -> None:
    """One JSON document on standard output, in UTF-8, for people's eyes and for programs."""
    text = json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
    print_bytes(text.encode("utf-8", "surrogatepass") + b"\n")


def print_bytes(data: bytes) -> None:
    """Exactly these bytes on standard output."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a stream that takes text only
        sys.stdout.write(data.decode("utf-8", "replace"))
    else:
        buffer.write(data)
    sys.stdout.flush()


def print_note(zh: str, en: str) -> None:
    """A remark on standard error."""
    print(f"{zh} · {en}", file=sys.stderr, flush=True)


def division(name: str, code: str) -> str:
    """Name and code of a node; a node that nobody named goes by its code, which is shown once."""
    return code if name in ("", code) else f"{name} {code}"


def print_command(words: Sequence[str]) -> None:
    """A command to run next, on a line of its own of standard error, so that it can be copied."""
    print(f"  {shlex.join(words)}", file=sys.stderr, flush=True)


def print_error(error: HuyingError) -> None:
    """What went wrong and what to do, on standard error: a line in Chinese, one in English."""
    first, *more = error.detail.splitlines() or [""]
    english = f"{first} ({error.advice.en})" if first else error.advice.en
    named = _NAMED.match(error.detail) if error.code in _OF_INPUT else None
    name = f":{named[1]}" if named else ""
    print(f"错误:{error.advice.zh}{name}", file=sys.stderr)
    print(f"error {error.code.name}: {english}", file=sys.stderr)
    for line in more:
        print(f"  {line}", file=sys.stderr)
    sys.stderr.flush()


def console() -> Console:
    """Rich on standard output. Markup is off: what records say is never taken for styling."""
    from rich.console import Console

    # A file or a pipe has no width; what is cut to a terminal's would be of no use in it.
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(markup=False, highlight=False, width=width)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; a heading that begins with > is of numbers, set right.

    Headings are in two languages with a point between: they stand below each other. One that
    begins with = is of identifiers, which are never broken, so that they can be copied. Where the
    terminal is narrow, lines of text are broken; headings and numbers are not, nor is any word
    where there is room for all of them.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    cells = [[Text(clean(str(cell))) for cell in row] for row in rows]
    titles = [Text(heading.lstrip(">=").replace(" · ", "\n")) for heading in headings]
    out = console()
    widths = _fit(headings, [*zip(titles, *cells, strict=True)], out.width)
    for title, heading, width in zip(titles, headings, widths, strict=True):
        table.add_column(
            title,
            justify="right" if heading.startswith(">") else "left",
            overflow="fold",
            width=width,
            no_wrap=heading.startswith("="),
        )
    for row in cells:
        table.add_row(*row)
    out.print()
    out.print(table)
    out.print()


def print_tables(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table; one that is wider than the terminal as several, each with the first column."""
    from rich.text import Text

    room = console().width
    columns = [
        [Text(title.lstrip(">=").replace(" · ", "\n")), *(Text(clean(str(row[i]))) for row in rows)]
        for i, title in enumerate(headings)
    ]
    first, *widths = (_widest(column, str.splitlines) + _GAP_COLUMNS for column in columns)
    parts: list[list[int]] = [[]]
    for place, width in enumerate(widths, start=1):
        if parts[-1] and first + width + sum(widths[i - 1] for i in parts[-1]) > room:
            parts.append([])
        parts[-1].append(place)
    for part in parts:
        shown = [0, *part]
        print_table([headings[i] for i in shown], [[row[i] for i in shown] for row in rows])


def _fit(
    headings: Sequence[str], columns: Sequence[Sequence[Text]], width_columns: int
) -> list[int]:
    """How wide each column is, where the table may be `width_columns` of the terminal's wide.

    Rich takes from the widest column whatever is in it, and cuts off what a least width pushes out.
    """
    room = width_columns - _GAP_COLUMNS * (len(columns) - 1)
    widths = [_widest(column, str.splitlines) for column in columns]
    words = [_widest(column, str.split) for column in columns]
    roomy = sum(words) <= room
    least = [
        width
        if heading.startswith("=")
        else longest
        if roomy or heading.startswith(">")
        else _widest(column[:1], str.split)
        for heading, column, width, longest in zip(headings, columns, widths, words, strict=True)
    ]
    for _ in range(max(0, sum(widths) - room)):
        loose = [place for place, width in enumerate(widths) if width > least[place]]
        if not loose:
            break
        widths[max(loose, key=widths.__getitem__)] -= 1
    return widths


def _widest(column: Iterable[Text], split: Callable[[str], list[str]]) -> int:
    """The longest part of any cell, in columns of the terminal."""
    from rich.cells import cell_len

    return max((cell_len(part) for cell in column for part in split(cell.plain)), default=1)


def print_block(heading: str, lines: Iterable[str]) -> None:
    """One of a list that is too long for a table's row: a heading, and indented lines below."""
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    out.print(Text(clean(heading), style="bold"), soft_wrap=True)
    for line in lines:
        out.print(Padding(Text(clean(line), overflow="fold"), (0, 0, 0, 2), expand=False))


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Label and value, a line each; a long value is not broken, so that it can be copied.

    Where a value has line ends of its own, what follows stays below it: a text that another node
    wrote must not be taken for a pair.
    """
    from rich.cells import cell_len
    from rich.text import Text

    rows = list(pairs)
    width = max((cell_len(label) for label, _ in rows), default=0)
    out = console()
    for label, value in rows:
        line = Text(label + " " * (width - cell_len(label) + 2), style="bold")
        below = clean(str(value)).replace("\n", "\n" + " " * (width + 2))
        line.append(Text(below, style="not bold"))
        out.print(line, soft_wrap=True)


def count(number: int) -> str:
    """A number of things for people: 12,345."""
    return f"{number:,}"


def when(micros: int) -> str:
    """A time for people, in this machine's zone; a dash for 0, which means never."""
    if not micros:
        return "—"
    try:
        at = datetime.fromtimestamp(micros / 1e6, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{micros} µs"
    return at.strftime("%Y-%m-%d %H:%M:%S")


def readable(fields: Iterable[tuple[str, Any]]) -> list[tuple[str, object]]:
    """Fields as people read them: a time becomes a time of day, a picture's bytes their number."""
    return [
        (name.removesuffix("_micros"), when(value))
        if name.endswith("_micros") and isinstance(value, int)
        else (name, f"{len(value) // 2} 字节 bytes")
        if name in _BYTES and isinstance(value, str)
        else (name, str(value).lower() if isinstance(value, bool) else value)
        for name, value in fields
    ]


def clean(text: str) -> str:
    """Without control characters, which would move the cursor or colour the terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
