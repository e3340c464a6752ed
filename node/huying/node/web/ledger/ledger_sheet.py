"""From a spreadsheet to records: what each row becomes, what is wrong, what is there already.

Nothing is written here. A plan says which records are to be written, in order, a household before
its people. Ids and request ids follow from the file's content and the row, under a secret of the
console, so the same row of the same file is one record, however often it is sent, and no other node
can guess a row from its id.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from huying.common.errors import HuyingError
from huying.common.limits import LEDGER_SHEET_ERRORS_MAX, LEDGER_SHEET_ROWS_MAX, RECORD_ID_BYTES
from huying.common.records.registry import check_write
from huying.node.sheets import (
    ADDED_COLUMNS,
    FaultyRows,
    Import,
    OnError,
    match_columns,
    read_sheet,
)
from huying.node.web.ledger import ledger_columns as columns
from huying.node.web.ledger.ledger_columns import COLUMNS
from huying.node.web.ledger.ledger_holdings import Holdings
from huying.node.web.ledger.ledger_records import draft
from huying.node.web.ledger.sheet_rows import LedgerRows
from huying.node.web.ledger.sheet_values import read_values
from huying.node.web.refusals import of_one_field
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = ["Plan", "Planner"]

_HOUSEHOLD: Final = feed_pb2.RECORD_TYPE_HOUSEHOLD
_RESIDENT: Final = feed_pb2.RECORD_TYPE_RESIDENT
_FIELDS: Final = {"household_phone": "phone"}
_SEEN: Final = "与第 {0} 行是同一个人,请删去一行 · the same person as row {0}: delete one"
_DIFFERS: Final = (
    "与第 {0} 行的同一户填得不一样,请改成一致"
    " · differs from row {0} of the same household: make them agree"
)
_ELSEWHERE: Final = (
    "此人已在台账的另一户。真的搬了家,就在那一户点「迁到另一户」;不是,请核对户号"
    " · entered in another household: move them there, or compare the number"
)
_NAMELESS: Final = "有内容但没有姓名 · something is given for a person without a name"
_NO_NUMBER: Final = "没有户号,请填上 · no household number: give one"
_BARE: Final = (
    "只有户号,没有户主、住址和姓名;是备注就删去这一行"
    " · a household number and nothing else: fill the row in, or delete it"
)


@dataclass(slots=True)
class Plan:
    """What an import would do. `drafts` is in the order of writing."""

    drafts: list[api_pb2.Draft] = field(default_factory=list)
    new_households: int = 0
    new_residents: int = 0
    changed: int = 0  # records that are there and would become as the sheet says
    there: int = 0  # rows of people and households that are there, and stay
    joined: int = 0  # rows without a household number that belong to the row above
    used: list[str] = field(default_factory=list)  # the sheet's columns, as it names them
    unused: list[str] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)  # rows without anything for the ledger
    faulty: FaultyRows = field(default_factory=lambda: FaultyRows(()))


@dataclass(slots=True)
class _House:
    """A household as the sheet has it so far."""

    row: int  # the first that named it
    record: bytes
    message: Any
    is_new: bool
    given: dict[str, str] = field(default_factory=dict)  # column -> text of the cell
    before: bytes = b""
    people: int = 0  # new ones
    request_id: bytes = b""


class Planner:
    """Plans one file for one person. Blocks: reading a workbook takes a process of its own."""

    def __init__(
        self,
        *,
        code: str,
        grids: Mapping[str, str],
        holdings: Holdings,
        salt: bytes,
        job: str,
        sha256: str,
        is_update: bool,
    ) -> None:
        """`grids`: those of the person, code -> name; `is_update`: what is there is changed."""
        self._code = code
        self._grids = grids
        self._holdings = holdings
        self._salt = salt
        self._job = job
        self._sha256 = sha256
        self._is_update = is_update
        self._plan = Plan()
        self._houses: dict[tuple[str, str], _House] = {}
        self._people: list[api_pb2.Draft] = []
        self._seen: dict[Any, int] = {}  # what tells a person -> row

    def plan(self, path: Path, on_error: OnError) -> tuple[Plan, Import]:
        """The plan, and what is wrong. Raises SheetError for a file that can't be used at all."""
        every_name = [name for names in COLUMNS.values() for name in names]
        sheet = read_sheet(path, rows_max=LEDGER_SHEET_ROWS_MAX, known=every_name)
        names = match_columns(
            sheet.header, COLUMNS, required=columns.REQUIRED, number=sheet.header_row
        )
        ignored = {*names.values(), *ADDED_COLUMNS}
        self._plan.used = list(names.values())
        self._plan.unused = [name for name in sheet.header if name not in ignored]
        work = Import(OnError.SKIP, errors_max=LEDGER_SHEET_ERRORS_MAX)
        taken = LedgerRows(sheet, names)
        for row in work.rows(replace(sheet, rows=taken.rows())):
            for column, what in self._row(row.number, dict(row.cells)):
                work.reject(row.number, names.get(column, COLUMNS[column][0]), what)
        work.on_error = on_error
        self._plan.joined, self._plan.passed = taken.above.count, taken.passed
        self._plan.faulty = taken.faulty(work.errors)
        self._finish()
        return self._plan, work

    # One row.

    def _row(self, number: int, cells: dict[str, str]) -> list[tuple[str, str]]:
        """What is wrong with a row, by column; where nothing is, the plan has it."""
        errors: list[tuple[str, str]] = []
        if not cells["number"]:
            return [("number", _NO_NUMBER)]
        if not any(text for key, text in cells.items() if key not in ("grid", "number")):
            return [("number", _BARE)]
        values = read_values(cells, self._grids, errors)
        if errors:
            return errors
        house = self._house(number, values, errors)
        if house is None:
            return errors
        person = {key: value for key, value in values.items() if key in columns.RESIDENT_COLUMNS}
        if not person.get("name"):
            if any(person.values()):
                errors.append(("name", _NAMELESS))
                return errors
        elif not self._person(number, house, person, errors):
            return errors
        self._houses.setdefault((house.message.grid, house.message.number), house)
        return errors

    def _house(
        self, number: int, values: dict[str, Any], errors: list[tuple[str, str]]
    ) -> _House | None:
        """The row's household with what the row adds; None where something does not fit."""
        key = values["grid"], values["number"]
        house = self._houses.get(key) or self._begun(number, key)
        message = type(house.message)()
        message.CopyFrom(house.message)
        given = dict(house.given)
        for column in columns.HOUSEHOLD_COLUMNS:
            value = values.get(column)
            if column in ("grid", "number") or value in (None, ""):
                continue
            if given.setdefault(column, str(value)) != str(value):
                errors.append((column, _DIFFERS.format(house.row)))
            elif house.is_new or self._is_update:
                setattr(message, _FIELDS.get(column, column), value)
        errors += self._checked(_HOUSEHOLD, message, {"phone": "household_phone"})
        if errors:
            return None
        house.message.CopyFrom(message)
        house.given = given
        return house

    def _begun(self, number: int, key: tuple[str, str]) -> _House:
        found = self._holdings.households.get(key)
        if found is not None:
            message = records_pb2.Household.FromString(found[1])
            again = self._id("update", number, "household", self._job)
            return _House(number, found[0], message, False, {}, found[1], 0, again)
        record = self._new_id(number, "household")
        message = records_pb2.Household(grid=key[0], number=key[1])
        request_id = self._id("request", record.hex())
        return _House(number, record, message, is_new=True, request_id=request_id)

    def _person(
        self, number: int, house: _House, person: dict[str, Any], errors: list[tuple[str, str]]
    ) -> bool:
        """Plan the row's person; False where something is wrong with them."""
        who = self._who(house, person)
        first = next((self._seen[one] for one in who if one in self._seen), None)
        if first is not None:
            errors.append(("name", _SEEN.format(first)))
            return False
        found = self._there(house, person)
        if found is not None and found[2].household != house.record:
            errors.append(("id_number", _ELSEWHERE))
            return False
        message = records_pb2.Resident(grid=house.message.grid, household=house.record)
        if found is not None:
            message.CopyFrom(found[2])
        for column, value in person.items():
            if value:
                setattr(message, column, value)
        # What the ID number says is not asked for again.
        message.birth_date = message.birth_date or columns.born(message.id_number)
        message.sex = message.sex or columns.sex_of(message.id_number)
        errors += self._checked(_RESIDENT, message, {})
        if errors:
            return False
        self._seen.update(dict.fromkeys(who, number))
        self._planned(number, house, message, found)
        return True

    def _planned(
        self, number: int, house: _House, message: Any, found: tuple[bytes, bytes, Any] | None
    ) -> None:
        if found is None:
            record = self._new_id(number, "resident")
            request_id = self._id("request", record.hex())
            self._people.append(draft(_RESIDENT, message, record, request_id))
            house.people += 1
            self._plan.new_residents += 1
        elif self._is_update and message.SerializeToString() != found[1]:
            again = self._id("update", number, "resident", self._job)
            self._people.append(draft(_RESIDENT, message, found[0], again))
            self._plan.changed += 1
        else:
            self._plan.there += 1

    @staticmethod
    def _who(house: _House, person: dict[str, Any]) -> list[Any]:
        """What tells a person from others: the ID number, else household, name and birth date."""
        if person.get("id_number"):
            return [columns.canonical_id(person["id_number"])]
        return [(house.record, person["name"], person.get("birth_date", ""))]

    def _there(self, house: _House, person: dict[str, Any]) -> tuple[bytes, bytes, Any] | None:
        """(record, its bytes, the message) of a person who is in the ledger already."""
        if person.get("id_number"):
            return self._holdings.by_number(person["id_number"])
        return self._holdings.by_name(house.record, person["name"], person.get("birth_date", ""))

    # All rows.

    def _finish(self) -> None:
        households = []
        for house in self._houses.values():
            message, plan = house.message, self._plan
            entered = self._holdings.count(house.record) + house.people
            # The county sees how many live there; the count never falls behind those entered.
            message.resident_count = (
                max(message.resident_count, entered)
                if (house.people or house.is_new)
                else message.resident_count
            )
            if house.is_new:
                plan.new_households += 1
            elif message.SerializeToString() == house.before:
                continue
            elif self._is_update:
                plan.changed += 1
            households.append(draft(_HOUSEHOLD, message, house.record, house.request_id))
        self._plan.drafts = [*households, *self._people]

    def _checked(
        self, type_: int, message: Any, renamed: Mapping[str, str]
    ) -> Iterable[tuple[str, str]]:
        """What the node would refuse."""
        try:
            check_write(type_, feed_pb2.KIND_PUT, message, self._code)
        except HuyingError as error:
            name, _, why = error.detail.partition(": ")
            column = renamed.get(name, name)
            if column not in COLUMNS:
                column, why = "number", error.detail
            yield column, f"{of_one_field(why) or '不符合要求,请改正'} · {why}"

    def _new_id(self, number: int, kind: str) -> bytes:
        """The id of the record that a row becomes; the next one where that record has ended."""
        generation = 0
        while True:
            record = self._id("record", self._sha256, number, kind, generation)
            if record not in self._holdings.ended:
                return record
            generation += 1

    def _id(self, *parts: object) -> bytes:
        text = "\n".join(map(str, parts))
        return hmac.new(self._salt, text.encode(), hashlib.sha256).digest()[:RECORD_ID_BYTES]
