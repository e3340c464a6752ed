"""Reads a workbook, in a process of its own that may die of it.

A workbook is a program for its reader: a zip that unpacks to a disk's size, two cells a billion
rows apart that make the reader allocate all between. So the file comes on standard input, memory
and processor time are capped by the system before a byte of it is decoded, and rows leave as JSON,
one a line: first what the table is, last how many rows there were. A parent that misses the last
line knows that this process was killed. It imports nothing of Huying, and so starts quickly.
"""

from __future__ import annotations

import datetime
import io
import json
import math
import resource
import sys
import zipfile
from typing import Any, BinaryIO, Final

_PIECE_BYTES: Final = 1 << 18
_EXACT_MAX: Final = 1e15  # a spreadsheet keeps 15 digits; what is longer has lost its end
_TOP_ROWS: Final = 20
_MERGED_MAX: Final = 1000


class RefusedError(Exception):
    """The workbook can't be read; the argument is a key of `workbook_rows.REFUSALS`."""


def main(arguments: list[str]) -> None:
    """`arguments` are limits, in the order of `workbook_rows.LIMITS`, and a sheet's name or ""."""
    memory, seconds, members, unpacked, columns, characters = map(int, arguments[:6])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        data = io.BytesIO(sys.stdin.buffer.read())
        if data.getvalue()[:2] == b"PK":
            check_zip(data, members, unpacked)
        write_rows(data, arguments[6], columns, characters)
    except RefusedError as refused:
        write({"refused": str(refused)})


def check_zip(data: BinaryIO, members_max: int, unpacked_max: int) -> None:
    """Unpack every member into nothing, so that what it claims of its size is not believed."""
    try:
        with zipfile.ZipFile(data) as archive:
            members = archive.infolist()
            if len(members) > members_max:
                raise RefusedError("members")
            if any(member.flag_bits & 1 for member in members):
                raise RefusedError("encrypted")
            if sum(member.file_size for member in members) > unpacked_max:
                raise RefusedError("unpacked")
            total = 0
            for member in members:
                with archive.open(member) as file:
                    while piece := file.read(_PIECE_BYTES):
                        total += len(piece)
                        if total > unpacked_max:
                            raise RefusedError("unpacked")
                if member.filename == "META-INF/manifest.xml":
                    check_manifest(archive, member)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise RefusedError("damaged") from error
    except Exception as error:
        if type(error).__name__ == "error":  # zlib.error and lzma's are no OSError
            raise RefusedError("damaged") from error
        raise


def check_manifest(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """An OpenDocument file says in its manifest that it is encrypted."""
    with archive.open(member) as file:
        if b"encryption-data" in file.read(_PIECE_BYTES):
            raise RefusedError("encrypted")


def write_rows(data: BinaryIO, name: str, columns_max: int, characters_max: int) -> None:
    """Write the table's description, its rows that are not blank, and their count."""
    import python_calamine as calamine

    data.seek(0)
    try:
        book = calamine.CalamineWorkbook.from_filelike(data)
        names = book.sheet_names
        if not names:
            raise RefusedError("empty")
        if name and name not in names:
            raise RefusedError("no-sheet")
        sheet = book.get_sheet_by_name(name or names[0])
    except calamine.PasswordError as error:
        raise RefusedError("encrypted") from error
    except calamine.CalamineError as error:
        raise RefusedError("damaged") from error
    first_column = sheet.start[1] if sheet.start else 0
    merged = [
        (*start, *end)
        for start, end in (sheet.merged_cell_ranges or [])[:_MERGED_MAX]
        if start[0] < _TOP_ROWS
    ]
    write({"sheet": sheet.name, "sheets": names[:20], "column": first_column, "merged": merged})
    count = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if all(value == "" for value in row):
            continue
        wide = any(value != "" for value in row[columns_max:])
        cells = [text_of(value, characters_max) for value in row[: columns_max + wide]]
        faults = [place for place, value in enumerate(row[:columns_max]) if is_inexact(value)]
        write([number, cells, faults])
        count += 1
    write({"count": count})


def text_of(value: Any, characters_max: int) -> str:
    """What a cell shows, as text: dates in ISO 8601, whole numbers without a point.

    A number that was rounded is shown as one, lest its last digits be taken for true.
    """
    if isinstance(value, str):
        return value[: characters_max + 1]  # one more than allowed: the parent says that it is
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return str(value.date()) if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if is_inexact(value) and math.isfinite(value):
        return f"{value:.14E}"
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def is_inexact(value: Any) -> bool:
    """Whether the spreadsheet has rounded a long number: an ID number typed as one, say."""
    return isinstance(value, int | float) and abs(value) >= _EXACT_MAX


def write(document: Any) -> None:
    """One line of JSON; ASCII, so that no broken character stops it."""
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
