"""Rows of a text file: CSV in whatever encoding and with whatever separator an office saved it.

The file is read twice, each time a piece at a time: once to find the encoding in which all of it
decodes, once for its rows. Memory holds one line, which is capped like all else.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from huying.common.limits import SHEET_LINE_CHARACTERS_MAX
from huying.node.sheets.errors import RowError, SheetError
from huying.node.sheets.raw_rows import RawRow, RawTable, raw_row

__all__ = ["read_csv"]

_PIECE_BYTES: Final = 1 << 18
_DELIMITERS: Final = ",\t;|"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHANCE_CHARACTERS: Final = 8  # so many in a row may fit UTF-8 by chance
_UNREADABLE: Final = (
    "无法识别文字编码,请另存为“CSV UTF-8(逗号分隔)”后重试"
    " · the text is in no encoding known here: save it as 'CSV UTF-8', then retry"
)
_DAMAGED: Final = (
    "UTF-8 文字已损坏或不完整,请重新导出 · the UTF-8 text is damaged or cut short: export it again"
)
_QUOTES: Final = (
    "从这一行起引号不成对,请检查这一行的双引号 · quotes don't pair from this row on: check them"
)
_LONG_LINE: Final = "这一行过长,请检查引号和换行 · the line is too long: check quotes and line ends"


def read_csv(path: Path, encoding: str) -> tuple[RawTable, Iterator[RawRow]]:
    """The table and its rows, blank ones left out.

    `encoding` "" finds it. Raises SheetError, here or from the iterator.
    """
    found = encoding or _find_encoding(path)
    try:
        codecs.lookup(found)
    except LookupError:
        raise SheetError("没有这种文字编码 · no encoding of that name is known") from None
    return RawTable(encoding=found.removesuffix("-sig")), _rows(path, found)


def _find_encoding(path: Path) -> str:
    """The first encoding in which the whole file is text. Raises SheetError."""
    with path.open("rb") as file:
        start = file.read(1024)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return _checked(path, encoding)
    if (without_mark := _utf16_without_mark(start)) and _decodes(path, without_mark):
        return without_mark
    wide = _wide_before_fault(path)
    if wide is None:
        return "utf-8"
    # Other encodings fail the rules of UTF-8 at the first words. What kept to them for longer is
    # UTF-8 that was damaged or cut short, and would decode as GB18030 to other characters.
    if wide <= _CHANCE_CHARACTERS and _decodes(path, "gb18030"):
        return "gb18030"
    raise SheetError(_UNREADABLE if wide <= _CHANCE_CHARACTERS else _DAMAGED)


def _wide_before_fault(path: Path) -> int | None:
    """How many characters beyond ASCII stand before the first fault in UTF-8; None: no fault."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    wide = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                wide += _wide(decoder.decode(piece))
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return wide + _wide(error.object[: error.start].decode("utf-8"))
    return None


def _wide(text: str) -> int:
    return 0 if text.isascii() else sum(not char.isascii() for char in text)


def _utf16_without_mark(start: bytes) -> str:
    """The encoding where half of each ASCII character is a NUL, on one side always, else "".

    What other text with stray NULs looks like in UTF-16 has no separator in its first line.
    """
    even, odd = start[::2].count(0), start[1::2].count(0)
    if not max(even, odd) * 16 > len(start):
        return ""
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    lines = start.decode(encoding, "replace").splitlines()
    return encoding if any(mark in lines[0] for mark in _DELIMITERS) else ""


def _checked(path: Path, encoding: str) -> str:
    if not _decodes(path, encoding):
        raise SheetError(_UNREADABLE)
    return encoding


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _rows(path: Path, encoding: str) -> Iterator[RawRow]:
    number = 0
    try:
        with path.open(encoding=encoding, newline="") as file:
            delimiter = _find_delimiter(file)
            reader = csv.reader(_lines(file), delimiter=delimiter, strict=True)
            for number, cells in enumerate(reader, start=1):
                row = raw_row(number, [_unwrapped(cell) for cell in cells])
                if any(row.cells) or row.faults:
                    yield row
    except csv.Error:
        raise SheetError(
            "表格引号不成对,未导入 · quotes don't pair", [RowError(number + 1, "", _QUOTES)]
        ) from None
    except UnicodeError:
        raise SheetError(_UNREADABLE, [RowError(number + 1, "", _UNREADABLE)]) from None
    except _LineTooLongError:
        raise SheetError(
            "表格有过长的行,未导入 · a line is too long", [RowError(number + 1, "", _LONG_LINE)]
        ) from None


class _LineTooLongError(Exception):
    pass


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(SHEET_LINE_CHARACTERS_MAX + 1):
        if len(line) > SHEET_LINE_CHARACTERS_MAX:
            raise _LineTooLongError
        yield line


def _find_delimiter(file: TextIO) -> str:
    """What separates the cells of the first line that has any separator outside quotes."""
    for line in _lines(file):
        bare = "".join(line.split('"')[::2])
        best = max(_DELIMITERS, key=bare.count)
        if bare.count(best):
            file.seek(0)
            return best
    file.seek(0)
    return ","


def _unwrapped(cell: str) -> str:
    """`="0123"`, with which exports keep a spreadsheet from eating zeros, is the text 0123."""
    if cell.startswith('="') and cell.endswith('"') and len(cell) > 2 and '"' not in cell[2:-1]:
        return cell[2:-1]
    return cell
