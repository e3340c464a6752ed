"""A table from a stranger: refused with a reason, within bounded memory and time, every time."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter

from huying.common import limits
from huying.common.errors import Code
from huying.node.sheets import SheetError, read_sheet, workbook_child, workbook_rows

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)


def book(rows: int = 3) -> bytes:
    """A small workbook."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for row in range(rows):
            page.write_row(row, 0, [f"甲{row}", f"乙{row}"])
    return data.getvalue()


def repacked(
    change: Callable[[str, bytes], bytes], *, extra: dict[str, bytes] | None = None
) -> bytes:
    """The small workbook with its members changed."""
    data = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book())) as old,
        zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, content in (extra or {}).items():
            new.writestr(name, content)
    return data.getvalue()


def refused(tmp_path: Path, name: str, data: bytes) -> SheetError:
    """Why the file is not read; rows that come before the reason do not count."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SheetError) as caught:
        list(read_sheet(path).rows)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.zh
    assert str(tmp_path) not in caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\xef\xbb\xbf", "empty"),
        ("a.csv", b" \n\n\n", "empty"),
        ("a.csv", b",,\n,,\n", "empty"),
        ("a.csv", b"\xff\xff\xff,\xff\n", "no encoding"),
        ("a.csv", "序号,事项名称,牵头部门\n1,道路,水务局".encode()[:-1], "cut short"),
        ("a.csv", "序号,事项名称,牵头部门\n".encode() + b"1,\xff,\n", "damaged"),
        ("a.csv", book(), "not what .csv says"),
        ("a.csv", OLE, "not what .csv says"),
        ("a.xlsx", b"a,b\n1,2\n", "not what .xlsx says"),
        ("a.xls", b"<html><table><tr><td>1</td></tr></table></html>", "not what .xls says"),
        ("a.xls", book(), "not what .xls says"),
        ("a.xlsx", OLE, "encrypted"),
        ("a.xls", OLE, "damaged"),
        ("a.pdf", b"%PDF-1.7", "only .csv"),
        ("a.exe", b"MZ", "only .csv"),
        ("a", b"a,b\n", "only .csv"),
        ("a.xlsx", book()[: len(book()) // 2], "damaged"),
        ("a.xlsx", b"PK\x03\x04" + bytes(100), "damaged"),
        ("a.ods", book()[:-30], "damaged"),
    ],
)
def test_what_can_not_be_read_is_said_in_a_word(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    """The person at the counter needs to know what to do, not what the library raised."""
    assert said in refused(tmp_path, name, data).detail


def test_a_file_that_is_not_there_is_no_crash(tmp_path: Path) -> None:
    """Its path may be anybody's; the system's words say enough."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(SheetError, match=r"can't be read|only \.csv"):
            read_sheet(path)


def test_unpaired_quotes_name_the_row_where_they_begin(tmp_path: Path) -> None:
    """Else half of the file becomes one cell, and nobody knows where to look."""
    error = refused(tmp_path, "a.csv", b'a,b\n1,2\n3,"4\n5,6\n')
    assert [one.number for one in error.errors] == [3]
    error = refused(tmp_path, "b.csv", b'a,b\n1,"2"x\n')
    assert [one.number for one in error.errors] == [2]


def test_a_line_without_an_end_is_cut_off_early(tmp_path: Path) -> None:
    """Else the line and its million cells are held in memory, however large the file."""
    data = b"a,b\n" + b"1," * limits.SHEET_LINE_CHARACTERS_MAX + b"\n"
    error = refused(tmp_path, "a.csv", data)
    assert error.errors[0].number == 2
    assert "line is too long" in error.detail


def test_a_file_over_the_limit_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size is known before any of it is read."""
    monkeypatch.setattr(limits, "SHEET_BYTES_MAX", 1 << 20)
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(SheetError, match="over 1 MiB"):
        read_sheet(path)


def test_an_encrypted_member_is_said_to_be_one(tmp_path: Path) -> None:
    """Other programs set the zip's own password."""
    data = bytearray(book())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    assert "encrypted" in refused(tmp_path, "a.xlsx", bytes(data)).detail


def test_an_encrypted_document_of_the_open_format_is_said_to_be_one(tmp_path: Path) -> None:
    """Its members look like noise, and its manifest says why."""
    manifest = b"<manifest><encryption-data/></manifest>"
    data = repacked(lambda _, body: body, extra={"META-INF/manifest.xml": manifest})
    assert "encrypted" in refused(tmp_path, "a.ods", data).detail


def test_a_bomb_is_refused_by_what_it_claims(tmp_path: Path) -> None:
    """A megabyte of zeros packs into a kilobyte; a thousand times that still fits in a mail."""
    zeros = bytes(limits.SHEET_UNPACKED_BYTES_MAX // 4)
    extra = {f"xl/media/{n}.bin": zeros for n in range(5)}
    data = repacked(lambda _, body: body, extra=extra)
    assert len(data) < 4 << 20
    assert "unpacked" in refused(tmp_path, "a.xlsx", data).detail


def test_a_bomb_that_claims_to_be_small_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    """The sizes in a zip's directory are its author's word."""
    zeros = bytes(limits.SHEET_UNPACKED_BYTES_MAX + (1 << 20))
    data = bytearray(repacked(lambda _, body: body, extra={"xl/media/0.bin": zeros}))
    real = struct.pack("<I", len(zeros))
    assert data.count(real)
    small = bytes(data).replace(real, struct.pack("<I", 1000))
    error = refused(tmp_path, "a.xlsx", small)
    assert "unpacked" in error.detail or "damaged" in error.detail


def test_a_zip_of_countless_members_is_refused(tmp_path: Path) -> None:
    """Each costs its reader memory before a byte of it is unpacked."""
    extra = {f"m{n}": b"" for n in range(limits.SHEET_MEMBERS_MAX + 1)}
    data = repacked(lambda _, body: body, extra=extra)
    assert "packs more than" in refused(tmp_path, "a.xlsx", data).detail


@pytest.mark.parametrize("column", [99, 16_383])
def test_two_cells_a_million_rows_apart_do_not_take_the_machine(
    tmp_path: Path, column: int
) -> None:
    """The reader makes room for all cells between, 3 or 400 GB; that kills it alone."""
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        page = made.add_worksheet()
        page.write(0, 0, "甲")
        page.write(1_048_575, column, "乙")
    began = time.monotonic()
    error = refused(tmp_path, "b.xlsx", path.read_bytes())
    assert "more memory or time" in error.detail
    assert time.monotonic() - began < 30


def test_text_that_unfolds_itself_is_not_unfolded(tmp_path: Path) -> None:
    """A billion laughs: entities of entities in the sheet's XML."""
    lol = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'.encode()
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )

    def change(name: str, body: bytes) -> bytes:
        if name != "xl/sharedStrings.xml":
            return body
        return body.replace(b"<sst", lol + b"]><sst", 1).replace("甲1".encode(), b"&i;")

    path = tmp_path / "a.xlsx"
    path.write_bytes(repacked(change))
    try:
        cells = [cell for row in read_sheet(path).rows for cell in row.cells.values()]
    except SheetError:
        return
    assert all(len(cell) < 100 for cell in cells)


def test_a_reader_that_is_killed_is_never_taken_for_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a list that reads as the whole would be the worst of all."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(book(20_000))
    rows = read_sheet(path).rows
    assert next(rows).number == 2
    monkeypatch.setattr(workbook_rows, "LIMITS", (1 << 40, 60, 1024, 1 << 28, 256, 32_767))
    script = tmp_path / "child.py"
    script.write_text(
        "import sys\nsys.stdin.buffer.read()\n"
        'print(\'{"sheet": "x", "column": 0, "merged": []}\')\n'
        'print(\'[1, ["甲", "乙"], []]\')\nprint(\'[2, ["1", "2"], []]\')\n'
    )
    monkeypatch.setattr(workbook_child, "__file__", str(script))
    with pytest.raises(SheetError, match="more memory or time"):
        list(read_sheet(path).rows)


def test_a_table_that_is_left_in_the_middle_leaves_no_process(tmp_path: Path) -> None:
    """An import that stops at its first errors must not keep readers of files alive."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(book(50_000))
    sheet = read_sheet(path)
    assert next(sheet.rows).number == 2
    before = children()
    del sheet
    assert len(before) == 1
    assert not children()


def test_a_reader_that_hangs_is_ended_with_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops reading must not wait for it."""
    (tmp_path / "a.xlsx").write_bytes(book())
    script = tmp_path / "workbook_child.py"
    script.write_text(
        "import json, time\n"
        "print(json.dumps({'sheet': 'x', 'column': 0, 'merged': []}))\n"
        "for n in range(1, 20): print(json.dumps([n, ['1', '2'], []]))\n"
        "print(end='', flush=True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(workbook_child, "__file__", str(script))
    sheet = read_sheet(tmp_path / "a.xlsx")
    assert next(sheet.rows).number == 2
    began = time.monotonic()
    del sheet
    assert not children()
    assert time.monotonic() - began < 30


def test_the_reader_takes_nothing_from_where_it_is_run(tmp_path: Path) -> None:
    """A file named python_calamine.py beside the table must not be what reads it."""
    (tmp_path / "python_calamine.py").write_text("raise SystemExit('ran')\n")
    (tmp_path / "a.xlsx").write_bytes(book())
    code = (
        "from pathlib import Path; from huying.node.sheets import read_sheet;"
        "print(len(list(read_sheet(Path('a.xlsx')).rows)))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["", *sys.path[1:]])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "2\n", done.stderr


def test_bytes_flipped_at_random_never_end_in_anything_but_rows_or_a_reason(
    tmp_path: Path,
) -> None:
    """Whatever the damage, the caller handles one kind of error."""
    from random import Random

    for seed in range(12):
        rng = Random(seed)
        data = bytearray(book(20))
        for _ in range(rng.randint(1, 40)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        path = tmp_path / f"{seed}.xlsx"
        path.write_bytes(data)
        with contextlib.suppress(SheetError):
            list(read_sheet(path).rows)


def children() -> list[str]:
    """The processes that this one has started and that still run."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    return [one for one in found if b"workbook_child" in Path(f"/proc/{one}/cmdline").read_bytes()]
