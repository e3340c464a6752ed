"""Importing a file of hotline orders: read, check, and hand to the node in batches.

Memory holds one batch, the ids seen so far, and the first errors. Under STOP the file is read
twice: nothing is sent before all of it was found good. The node writes a batch in one transaction,
and writes nothing that it has already; so an import that was cut off is finished by running it
again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Protocol

from huying.common.errors import Code, HuyingError
from huying.common.limits import COMMIT_ENTRIES_MAX, ORDER_BATCH_BYTES_MAX, ROW_ERRORS_MAX
from huying.common.orders import order_record
from huying.hub.hotline_mapping import Mapping
from huying.hub.hotline_rows import Directory, RowReader
from huying.node.sheets import OnError, RowError, SheetError, read_sheet
from huying.node.sheets.writing import neutral
from huying.node.web.refusals import of_one_field
from huying.wire.v1 import hotline_pb2

__all__ = ["Desk", "ErrorFile", "Totals", "check_file", "import_file"]

_ROW_BYTES: Final = 32  # framing of one row in a request
_BATCH_BYTES: Final = ORDER_BATCH_BYTES_MAX - COMMIT_ENTRIES_MAX * _ROW_BYTES
_Row = hotline_pb2.ImportOrdersRequest.Row


class Desk(Protocol):
    """The node that the orders go to."""

    def list_handlers(self) -> hotline_pb2.ListHandlersResponse:
        """See `huying.wire.v1.HotlineDesk`."""
        ...

    def import_orders(
        self, request: hotline_pb2.ImportOrdersRequest
    ) -> hotline_pb2.ImportOrdersResponse:
        """See `huying.wire.v1.HotlineDesk`."""
        ...


@dataclass(slots=True)
class Totals:
    """What came of a file."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    erased: int = 0  # here, on request or by age: not taken again
    near_duplicates: int = 0
    flagged: int = 0  # orders imported before that look like one of the file
    without_contact: int = 0  # for want of the handler's key
    unknown_handlers: int = 0  # rows for a division that has no node yet
    refused: int = 0  # rows
    errors: list[RowError] = field(default_factory=list)  # the first ROW_ERRORS_MAX
    near: list[tuple[int, bytes, bytes]] = field(default_factory=list)  # row, order, earlier one
    dry_run: bool = False
    written: bool = False
    encoding: str = ""

    @property
    def good(self) -> int:
        """Rows that could be taken."""
        return self.rows - self.refused


class ErrorFile:
    """Every error as a line of a CSV file, which is begun at the first one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def add(self, error: RowError) -> None:
        """Raises HuyingError(INVALID_ARGUMENT) where the file can't be written."""
        if self._path is None:
            return
        try:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8-sig", newline="")
                csv.writer(self._file).writerow(["row", "column", "what_zh", "what_en"])
            zh, _, en = error.what.partition(" · ")
            cells = [neutral(error.column), neutral(zh), neutral(en)]
            csv.writer(self._file).writerow([error.number, *cells])
        except OSError as fault:
            raise HuyingError(Code.INVALID_ARGUMENT, f"--errors: {fault.strerror}") from None

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


@dataclass(slots=True)
class _Reading:
    """One pass over a file."""

    path: Path
    mapping: Mapping
    directory: Directory
    known: frozenset[str]  # codes of nodes
    totals: Totals
    note: Callable[[RowError], None]

    def orders(self) -> Iterator[tuple[int, hotline_pb2.Order]]:
        """The good rows with their numbers; everything else is counted and noted.

        Raises SheetError for what makes the file unusable.
        """
        mapping, totals = self.mapping, self.totals
        sheet = read_sheet(self.path, encoding=mapping.encoding, sheet=mapping.sheet)
        totals.encoding = sheet.encoding
        reader = RowReader(mapping, sheet.header, self.directory, sheet.header_row)
        seen: dict[bytes, int] = {}
        id_column = mapping.columns["source_id"][0]
        for row in sheet.rows:
            totals.rows += 1
            errors = list(row.errors)
            order = hotline_pb2.Order()
            if not errors:
                order, errors = reader.order(row)
            if not errors:
                first = seen.setdefault(order_record(order.source, order.source_id), row.number)
                if first != row.number:
                    what = f"编号与第 {first} 行相同 · the same id as in row {first}: keep one"
                    errors = [RowError(row.number, id_column, what)]
            if errors:
                self.refuse(errors)
                continue
            totals.unknown_handlers += order.handler not in self.known
            yield row.number, order

    def refuse(self, errors: list[RowError]) -> None:
        """A row is at fault."""
        self.totals.refused += 1
        for error in errors:
            if len(self.totals.errors) < ROW_ERRORS_MAX:
                self.totals.errors.append(error)
            self.note(error)


def check_file(
    path: Path, mapping: Mapping, directory: Directory, known: frozenset[str], errors: ErrorFile
) -> Totals:
    """Read the whole file, and write nothing. Raises SheetError for an unusable one."""
    totals = Totals(dry_run=True)
    for _ in _Reading(path, mapping, directory, known, totals, errors.add).orders():
        pass
    return totals


def import_file(
    path: Path,
    mapping: Mapping,
    desk: Desk,
    *,
    on_error: OnError,
    dry_run: bool,
    errors: ErrorFile,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Totals:
    """Import a file. Under STOP a file with an error in it is written not at all.

    `progress` is told the rows that were handed over, and all there are where that is known.

    Raises SheetError for a file that is unusable, without a good row, or that changed between the
    two passes; else what the node refuses with.
    """
    handlers = desk.list_handlers()
    known = frozenset(one.code for one in handlers.handlers)
    directory = Directory(handlers.code, {one.code: one.name for one in handlers.handlers})
    total = 0
    if on_error is OnError.STOP:
        before = _stamp(path)
        totals = check_file(path, mapping, directory, known, errors)
        totals.dry_run, total = dry_run, totals.rows
        if totals.errors:
            return totals
        if _stamp(path) != before:
            raise SheetError("文件正被改动,请重试 · the file changed while it was read: retry")
    totals = Totals(dry_run=dry_run)
    # What the first pass noted is not noted again: under STOP it noted nothing.
    reading = _Reading(path, mapping, directory, known, totals, errors.add)
    for batch in _batches(reading.orders()):
        request = hotline_pb2.ImportOrdersRequest(
            rows=batch, all_or_nothing=on_error is OnError.STOP, dry_run=dry_run
        )
        _count(reading, desk.import_orders(request))
        if total:
            progress(totals.rows, total)
    totals.written = not dry_run and totals.new + totals.changed > 0
    if not totals.good:
        raise SheetError("没有一行可以导入 · there is no row that could be imported", totals.errors)
    return totals


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise SheetError(f"读不了文件 · the file can't be read: {error.strerror}") from None
    return found.st_size, found.st_mtime_ns


def _batches(orders: Iterator[tuple[int, hotline_pb2.Order]]) -> Iterator[list[_Row]]:
    """Rows as the node takes them at once."""
    batch: list[_Row] = []
    size = 0
    for number, order in orders:
        length = order.ByteSize() + _ROW_BYTES
        if batch and (len(batch) >= COMMIT_ENTRIES_MAX or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(_Row(number=number, order=order))
        size += length
    if batch:
        yield batch


def _count(reading: _Reading, response: hotline_pb2.ImportOrdersResponse) -> None:
    pb, totals = hotline_pb2, reading.totals
    totals.flagged += response.flagged
    for row in response.rows:
        if row.outcome == pb.IMPORT_OUTCOME_REFUSED:
            zh = of_one_field(row.detail) or "这一格不能用"
            what = f"节点拒绝:{zh} · the node refuses it: {row.field}: {row.detail}"
            reading.refuse([RowError(row.number, row.field, what)])
            continue
        totals.new += row.outcome == pb.IMPORT_OUTCOME_NEW
        totals.changed += row.outcome == pb.IMPORT_OUTCOME_CHANGED
        totals.same += row.outcome == pb.IMPORT_OUTCOME_SAME
        totals.erased += row.outcome == pb.IMPORT_OUTCOME_ERASED
        totals.without_contact += row.without_contact
        if row.near_duplicate_of:
            totals.near_duplicates += 1
            if len(totals.near) < ROW_ERRORS_MAX:
                totals.near.append((row.number, row.record, row.near_duplicate_of))
