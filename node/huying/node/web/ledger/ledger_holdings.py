"""What the ledger has already, as an import and an export need it: every household and resident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select

from huying.node.store.reader import Reader
from huying.node.store.schema import RECORDS
from huying.node.web.ledger.ledger_book import live_messages
from huying.node.web.ledger.ledger_columns import canonical_id, read_name, read_number
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["Holdings", "read_holdings"]

_HOUSEHOLD: Final = int(feed_pb2.RECORD_TYPE_HOUSEHOLD)
_RESIDENT: Final = int(feed_pb2.RECORD_TYPE_RESIDENT)
_Resident = tuple[bytes, bytes, Any]  # record, its bytes, records_pb2.Resident


@dataclass(slots=True)
class Holdings:
    """The village's ledger, whole; it lives as long as one import or export."""

    # (grid, number) -> (record, its bytes)
    households: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)
    residents: list[_Resident] = field(default_factory=list)
    ended: set[bytes] = field(default_factory=set)  # records that have ended
    _numbers: dict[str, _Resident] = field(default_factory=dict)
    _names: dict[tuple[bytes, str, str], _Resident] = field(default_factory=dict)
    _counts: Counter[bytes] = field(default_factory=Counter)

    def add_resident(self, found: _Resident) -> None:
        """Take a resident in."""
        one = found[2]
        self.residents.append(found)
        self._counts[one.household] += 1
        if one.id_number:
            self._numbers.setdefault(canonical_id(one.id_number), found)
        self._names.setdefault((one.household, read_name(one.name), one.birth_date), found)

    def by_number(self, id_number: str) -> _Resident | None:
        """The resident of an ID number, in either of its spellings."""
        return self._numbers.get(canonical_id(id_number))

    def by_name(self, household: bytes, name: str, birth_date: str) -> _Resident | None:
        """The resident of a household by name and birth date."""
        return self._names.get((household, read_name(name), birth_date))

    def count(self, household: bytes) -> int:
        """How many residents are entered in a household."""
        return self._counts[household]


def read_holdings(reader: Reader, home: str, grids: Collection[str] | None = None) -> Holdings:
    """Everything of one village; `grids`: just what is in those. Blocks; raises as the reader.

    Whoever is bound to a grid is answered from that grid alone: a refusal that looked at the others
    would tell who lives there.
    """
    found = Holdings()
    for record, fields in live_messages(reader, _HOUSEHOLD, home):
        one = records_pb2.Household.FromString(fields)
        if one.number and (grids is None or one.grid in grids):
            found.households.setdefault((one.grid, read_number(one.number)), (record, _bytes(one)))
    for record, fields in live_messages(reader, _RESIDENT, home):
        person = records_pb2.Resident.FromString(fields)
        if grids is None or person.grid in grids:
            found.add_resident((record, _bytes(person), person))
    for type_ in (_HOUSEHOLD, _RESIDENT):
        table = RECORDS[type_]
        query = select(table.c.record).where(
            table.c.home == home, table.c.kind == feed_pb2.KIND_DELETE
        )
        found.ended.update(row[0] for row in reader.select(query))
    return found


def _bytes(message: Any) -> bytes:
    """The record in one spelling, to compare."""
    data: bytes = message.SerializeToString()
    return data
