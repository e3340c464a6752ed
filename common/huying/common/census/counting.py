"""Counting a home's records into the cells of a template. True counts; they never leave the home.

A counter is fed the records of the universe one by one, so that its memory does not grow with what
stands in them. Households by key population are the exception: it keeps an id and a few bits of
each household.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple, Protocol

from google.protobuf.message import Message

from huying.common.census.template import Template, month_bounds
from huying.common.errors import Code, HuyingError
from huying.common.limits import CENSUS_RECORDS_MAX
from huying.common.months import last_day
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["Counted", "Counter", "counter_for", "record_types"]

_SEPARATORS: Final = re.compile(r"[、,,;;/\s]+")  # between the groups that one person is in


class Counted(NamedTuple):
    """The true counts."""

    counts: tuple[int, ...]  # one for each cell, in the template's order
    universe: int  # how many records of the universe there are


class Counter(Protocol):
    """Counts what it is given, in any order."""

    def add(self, record: bytes, message: Message) -> None:
        """One record that has not ended. Raises HuyingError(LIMIT_EXCEEDED) for too many."""
        ...

    def counted(self) -> Counted:
        """The counts of what was added."""
        ...


def record_types(template: Template) -> tuple[int, ...]:
    """The types of records (feed_pb2.RecordType) that a count depends on."""
    if template.counts == "key_population":
        return (feed_pb2.RECORD_TYPE_HOUSEHOLD, feed_pb2.RECORD_TYPE_RESIDENT)
    return {
        "events": (feed_pb2.RECORD_TYPE_EVENT,),
        "residents": (feed_pb2.RECORD_TYPE_RESIDENT,),
        "households": (feed_pb2.RECORD_TYPE_HOUSEHOLD,),
    }[template.universe]


def counter_for(template: Template, month: str) -> Counter:
    """A counter for the records of a home, of the types that `record_types` names."""
    if template.counts == "key_population":
        return _KeyPopulations(template)
    return _Parting(template, month)


def _too_many() -> HuyingError:
    return HuyingError(Code.LIMIT_EXCEEDED, f"over {CENSUS_RECORDS_MAX} records to count")


class _Parting:
    """Every record falls into one cell: the first that takes it, else `otherwise`."""

    def __init__(self, template: Template, month: str) -> None:
        self._template = template
        self._counts = [0] * len(template.cells)
        self._otherwise = next(i for i, cell in enumerate(template.cells) if cell.otherwise)
        self._universe = 0
        self._day = last_day(month)
        self._month = month_bounds(month)

    def add(self, record: bytes, message: Message) -> None:  # noqa: ARG002  # see Counter
        if isinstance(message, records_pb2.Event) and not (
            self._month[0] <= message.reported_micros < self._month[1]
        ):
            return
        self._universe += 1
        if self._universe > CENSUS_RECORDS_MAX:
            raise _too_many()
        value = self._value(message)
        position = self._otherwise
        if value is not None:
            taking = (i for i, cell in enumerate(self._template.cells) if cell.takes(value))
            position = next(taking, self._otherwise)
        self._counts[position] += 1

    def _value(self, message: Message) -> str | int | None:
        if isinstance(message, records_pb2.Event):
            return message.category
        if isinstance(message, records_pb2.Household):
            return message.resident_count or None
        assert isinstance(message, records_pb2.Resident), "a record of another universe"
        return _age(message.birth_date, self._day)

    def counted(self) -> Counted:
        return Counted(tuple(self._counts), self._universe)


def _age(born: str, on: date) -> int | None:
    """Full years; None where the date is missing, wrong or yet to come."""
    try:
        birthday = date.fromisoformat(born)
    except ValueError:
        return None
    years = on.year - birthday.year - ((on.month, on.day) < (birthday.month, birthday.day))
    return years if years >= 0 else None


class _KeyPopulations:
    """A household is counted in every cell that takes a group of anybody in it."""

    def __init__(self, template: Template) -> None:
        self._cells = template.cells
        self._households: set[bytes] = set()
        self._groups: dict[bytes, int] = {}  # a bit for each cell, by household
        self._added = 0

    def add(self, record: bytes, message: Message) -> None:
        self._added += 1
        if self._added > CENSUS_RECORDS_MAX:
            raise _too_many()
        if isinstance(message, records_pb2.Household):
            self._households.add(record)
            return
        assert isinstance(message, records_pb2.Resident), "a record of another universe"
        if not message.key_population:
            return
        found = 0
        for group in _SEPARATORS.split(message.key_population):
            for position, cell in enumerate(self._cells):
                found |= cell.takes(group) << position
        if found:
            self._groups[message.household] = self._groups.get(message.household, 0) | found

    def counted(self) -> Counted:
        """Groups of people whose household is not on record count nowhere."""
        masks = [mask for home, mask in self._groups.items() if home in self._households]
        return Counted(
            tuple(sum(mask >> i & 1 for mask in masks) for i in range(len(self._cells))),
            len(self._households),
        )
