"""Files of hotline orders: good rows kept or none, errors by row, memory that does not grow."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import HuyingError
from huying.common.limits import COMMIT_ENTRIES_MAX, ORDER_BATCH_BYTES_MAX, ROW_ERRORS_MAX
from huying.hub.hotline_import import ErrorFile, Totals, import_file
from huying.hub.hotline_mapping import load_mapping
from huying.hub.mappings import shipped
from huying.node.sheets import OnError, SheetError
from huying.wire.v1 import hotline_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

HEADER = ("id", "at", "kind", "what", "phone", "who")
MAPPING = """\
source = "s"
[columns]
source_id = "id"
created = "at"
category = "kind"
description = "what"
contact_phone = "phone"
[handler]
column = "who"
"""
PHONE = "13812345678"


class FakeDesk:
    """Takes everything, and keeps what it was sent."""

    def __init__(self, *, keep: bool = True) -> None:
        self.keep = keep
        self.requests: list[hotline_pb2.ImportOrdersRequest] = []
        self.rows = 0
        self.largest = 0

    def list_handlers(self) -> hotline_pb2.ListHandlersResponse:
        response = hotline_pb2.ListHandlersResponse(code=COUNTY)
        for code, name in ((TOWN, "义桥镇"), (VILLAGE, "义桥村")):
            response.handlers.add(code=code, name=name, has_key=True)
        return response

    def import_orders(
        self, request: hotline_pb2.ImportOrdersRequest
    ) -> hotline_pb2.ImportOrdersResponse:
        assert len(request.rows) <= COMMIT_ENTRIES_MAX
        assert request.ByteSize() <= ORDER_BATCH_BYTES_MAX
        self.largest = max(self.largest, len(request.rows))
        self.rows += len(request.rows)
        if self.keep:
            self.requests.append(request)
        response = hotline_pb2.ImportOrdersResponse(written=not request.dry_run)
        for row in request.rows:
            response.rows.add(number=row.number, outcome=hotline_pb2.IMPORT_OUTCOME_NEW)
        return response

    @property
    def orders(self) -> list[hotline_pb2.Order]:
        return [row.order for request in self.requests for row in request.rows]


def table(path: Path, rows: Iterable[Sequence[object]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(rows)
    return path


def row(number: int, **change: object) -> list[object]:
    good = {
        "id": f"n{number}",
        "at": "2026-01-31 08:00",
        "kind": "路灯",
        "what": "不亮",
        "phone": PHONE,
        "who": VILLAGE,
    }
    return [{**good, **change}[name] for name in HEADER]


def imports(
    folder: Path,
    file: Path,
    desk: FakeDesk,
    *,
    on_error: OnError = OnError.STOP,
    dry_run: bool = False,
    errors: Path | None = None,
) -> Totals:
    path = folder / "map.toml"
    path.write_text(MAPPING, "utf-8")
    noted = ErrorFile(errors)
    try:
        return import_file(
            file, load_mapping(path), desk, on_error=on_error, dry_run=dry_run, errors=noted
        )
    finally:
        noted.close()


FAULTY = [row(1), row(2, at="昨天"), row(3), row(1, what="再报"), row(5, who="370831000000")]


def test_under_stop_nothing_is_sent_where_one_row_is_wrong(tmp_path: Path) -> None:
    """All errors are told at once, each with its row and column, and no order goes out."""
    desk = FakeDesk()
    totals = imports(tmp_path, table(tmp_path / "a.csv", FAULTY), desk)
    assert desk.requests == []
    assert (totals.rows, totals.refused, totals.written) == (5, 3, False)
    assert [(error.number, error.column) for error in totals.errors] == [
        (3, "at"),
        (5, "id"),
        (6, "who"),
    ]
    assert "row 2" in totals.errors[1].what


def test_under_skip_the_good_rows_are_sent(tmp_path: Path) -> None:
    """And every error is in the file that was asked for, however many there are."""
    desk, errors = FakeDesk(), tmp_path / "errors.csv"
    file = table(tmp_path / "a.csv", FAULTY)
    totals = imports(tmp_path, file, desk, on_error=OnError.SKIP, errors=errors)
    assert [order.source_id for order in desk.orders] == ["n1", "n3"]
    assert (totals.new, totals.refused, totals.written) == (2, 3, True)
    with errors.open(encoding="utf-8-sig", newline="") as lines:
        found = list(csv.DictReader(lines))
    assert [(one["row"], one["column"]) for one in found] == [
        ("3", "at"),
        ("5", "id"),
        ("6", "who"),
    ]
    assert "第 2 行" in found[1]["what_zh"]
    assert PHONE not in errors.read_text("utf-8-sig")


def test_of_many_errors_the_first_are_shown_and_all_are_written(tmp_path: Path) -> None:
    """A column that moved makes every row wrong."""
    errors = tmp_path / "errors.csv"
    file = table(tmp_path / "a.csv", (row(n, at="x") for n in range(500)))
    totals = imports(tmp_path, file, FakeDesk(), errors=errors)
    assert len(totals.errors) == ROW_ERRORS_MAX
    assert totals.refused == 500
    assert len(errors.read_text("utf-8-sig").splitlines()) == 501
    with pytest.raises(SheetError, match="no row"):
        imports(tmp_path, file, FakeDesk(), on_error=OnError.SKIP)


def test_a_good_file_writes_no_errors_file(tmp_path: Path) -> None:
    """An empty file would look like a failure."""
    errors = tmp_path / "errors.csv"
    imports(tmp_path, table(tmp_path / "a.csv", [row(1)]), FakeDesk(), errors=errors)
    assert not errors.exists()


def test_a_dry_run_says_so_to_the_node(tmp_path: Path) -> None:
    """The node counts what would be new, and writes nothing."""
    desk = FakeDesk()
    totals = imports(tmp_path, table(tmp_path / "a.csv", [row(1)]), desk, dry_run=True)
    assert desk.requests[0].dry_run
    assert (totals.new, totals.written) == (1, False)


def test_a_file_that_changes_between_the_passes_is_refused(tmp_path: Path) -> None:
    """What was checked is what is written."""
    file = table(tmp_path / "a.csv", [row(1)])

    class Desk(FakeDesk):
        def list_handlers(self) -> hotline_pb2.ListHandlersResponse:
            return super().list_handlers()

    import huying.hub.hotline_import as module

    check = module.check_file

    def altering(*arguments, **options):
        totals = check(*arguments, **options)
        table(file, [row(1), row(2, at="x")])
        return totals

    desk = Desk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "check_file", altering)
        with pytest.raises(SheetError, match="changed while it was read"):
            imports(tmp_path, file, desk)
    assert desk.requests == []


def test_a_gb18030_file_is_read_as_such(tmp_path: Path) -> None:
    """What a Chinese Excel saves as CSV."""
    desk = FakeDesk()
    file = table(tmp_path / "a.csv", [row(1, kind="路燈𠮷")], "gb18030")
    assert imports(tmp_path, file, desk).encoding == "gb18030"
    assert desk.orders[0].category == "路燈𠮷"


def test_a_formula_is_a_text_that_nobody_evaluates(tmp_path: Path) -> None:
    """In a workbook its last value counts; in a CSV file it is only characters."""
    import xlsxwriter

    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, HEADER)
        page.write_row(1, 0, ["n1", "2026-01-31", "路灯", "", "", VILLAGE])
        shown: Any = f"电话{PHONE}"  # the stubs know numbers alone
        page.write_formula(1, 3, '=CONCATENATE("电话","13812345678")', None, shown)
        date = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        page.write_number(1, 1, 46053.5, date)
    desk = FakeDesk()
    imports(tmp_path, path, desk)
    assert desk.orders[0].description == "电话〔手机号〕"
    assert desk.orders[0].created_micros == 1_769_832_000_000_000
    formula = '=HYPERLINK("http://x.example","y")'
    imports(tmp_path, table(tmp_path / "b.csv", [row(2, what=formula)]), desk)
    assert desk.orders[1].description == formula


def test_orders_that_are_long_go_in_smaller_batches(tmp_path: Path) -> None:
    """A request has a limit in bytes, too."""
    file = table(tmp_path / "a.csv", (row(n, what="长" * 3900) for n in range(600)))
    desk = FakeDesk()
    imports(tmp_path, file, desk)
    assert len(desk.requests) > 1
    assert len(desk.orders) == 600


def traced(folder: Path, rows: int, on_error: OnError) -> tuple[int, int]:
    """The peak of memory while so many rows are imported, and the size of their file."""
    file = table(folder / "a.csv", (row(n, what="不亮" * 20, phone="") for n in range(rows)))
    desk = FakeDesk(keep=False)
    tracemalloc.start()
    try:
        totals = imports(folder, file, desk, on_error=on_error)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert totals.new == desk.rows == rows
    assert desk.largest == COMMIT_ENTRIES_MAX
    return peak, file.stat().st_size


def test_rows_are_not_remembered_only_their_ids_are(tmp_path: Path) -> None:
    """Memory grows by an id of 16 bytes with its place for each row, however long the rows are."""
    few, many = 3_000, 15_000
    peak_few, _ = traced(tmp_path, few, OnError.SKIP)
    peak_many, size = traced(tmp_path, many, OnError.SKIP)
    assert size > 150 * many
    assert peak_many - peak_few < 120 * (many - few)


def test_two_passes_take_no_more_memory_than_one(tmp_path: Path) -> None:
    """All or nothing needs no copy of the file."""
    once, size = traced(tmp_path, 4_000, OnError.SKIP)
    twice, _ = traced(tmp_path, 4_000, OnError.STOP)
    assert twice - once < size / 4


def test_the_shipped_tables_fit_the_shipped_mappings(tmp_path: Path) -> None:
    """Both real and generated ones."""
    for name, sample, count in (
        ("nyc311", "nyc311_sample.csv", 1000),
        ("12345", "12345_generated.csv", 40),
    ):
        desk = FakeDesk()
        totals = import_file(
            shipped(sample),
            load_mapping(shipped(name)),
            desk,
            on_error=OnError.STOP,
            dry_run=False,
            errors=ErrorFile(None),
        )
        assert (totals.new, totals.errors) == (count, [])
    assert all(order.contact_name.endswith("生成") for order in desk.orders)
    assert all(order.source_id.startswith("生成") for order in desk.orders)
    assert not any("160" in order.description for order in desk.orders)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    """A wrong file is chosen sooner or later."""
    for name, data in (("a.csv", b""), ("b.xlsx", b"PK\x03\x04x"), ("c.pdf", b"%PDF")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(HuyingError):
            imports(tmp_path, path, FakeDesk())
    with pytest.raises(HuyingError):
        imports(tmp_path, tmp_path / "none.csv", FakeDesk())
