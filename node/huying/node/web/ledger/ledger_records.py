"""Households and residents of this village: found within the person's scope, and written.

A write replaces a record's whole state, so a form changes the record as it stands and never makes a
new one out of what a browser sent: what the form does not show stays.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message

from huying.common.codes import Level
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.node.store.record_queries import RecordRow
from huying.node.web.page import Ask
from huying.node.web.turns import alone
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = [
    "Found",
    "append",
    "bound_grids",
    "derived_id",
    "draft",
    "find_household",
    "find_resident",
    "masked",
    "one_at_a_time",
    "refuse_stale",
    "residents_of",
    "village_only",
    "was_taken",
]

_HOUSEHOLD: Final = feed_pb2.RECORD_TYPE_HOUSEHOLD
_RESIDENT: Final = feed_pb2.RECORD_TYPE_RESIDENT
_ID: Final = re.compile(r"[0-9a-f]{32}")
_SHOWN_FRONT, _SHOWN_END = 4, 4
_RESIDENTS_MAX: Final = 1000  # of one household, as its count allows


@dataclass(frozen=True, slots=True)
class Found:
    """A record of this village, and the entry that it stands in."""

    record: bytes
    version: int  # index of the entry; it grows with every write
    message: Any  # Household or Resident


def masked(number: str) -> str:
    """An ID or a phone number with its middle hidden: 3706**********1234, 138****5678.

    The ends are shown of what is long enough that they don't give it away.
    """
    front = _SHOWN_FRONT if len(number) >= 15 else 3
    if len(number) < front + _SHOWN_END + 3:
        return "*" * len(number)
    return f"{number[:front]}{'*' * (len(number) - front - _SHOWN_END)}{number[-_SHOWN_END:]}"


# Of forms that change the ledger: what they look at, such as how many live where, is of several
# records.
one_at_a_time: Final = alone(lambda _ask: "ledger")


def village_only(ask: Ask) -> str:
    """The village's code. Raises HuyingError(NOT_FOUND) elsewhere: no other node has a ledger."""
    if ask.node.level is not Level.VILLAGE:
        raise _nothing()
    return ask.node.code


def bound_grids(ask: Ask) -> tuple[str, ...] | None:
    """The one grid that the person is bound to; None for whoever has the whole village.

    What is asked of the ledger for them is asked of that grid alone, so no answer, refusal or count
    tells anything of the others.
    """
    area = ask.scope.area
    return (area,) if len(area) > len(ask.node.code) else None


def _nothing() -> HuyingError:
    return HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")


async def find_household(ask: Ask, hex_id: str) -> Found:
    """A household that the person may see. Raises HuyingError(NOT_FOUND)."""
    return await _find(ask, _HOUSEHOLD, records_pb2.Household, hex_id)


async def find_resident(ask: Ask, hex_id: str) -> Found:
    """A resident that the person may see. Raises HuyingError(NOT_FOUND)."""
    return await _find(ask, _RESIDENT, records_pb2.Resident, hex_id)


async def _find(ask: Ask, type_: int, known: type[Any], hex_id: str) -> Found:
    home = village_only(ask)
    if not _ID.fullmatch(hex_id):
        raise _nothing()
    record = bytes.fromhex(hex_id)
    row = await ask.node.read(lambda reader: reader.get_record(type_, home, record))
    if row is None or row.kind == feed_pb2.KIND_DELETE:
        raise _nothing()
    found = _found(row, known)
    ask.scope.record(home, found.message.grid)
    return found


def _found(row: RecordRow, known: type[Any]) -> Found:
    return Found(row.record, row.index, known.FromString(row.message))


async def residents_of(ask: Ask, household: bytes, *, everybody: bool = False) -> list[Found]:
    """Who lives in a household, by birth date and name.

    Those that the person may see, for a page; `everybody`, where they are just counted.
    """
    home = village_only(ask)
    rows = await ask.node.read(
        lambda reader: reader.residents_of(home, household, limit=_RESIDENTS_MAX)
    )
    found = [_found(row, records_pb2.Resident) for row in rows]
    seen = [one for one in found if everybody or ask.scope.sees_record(home, one.message.grid)]
    return sorted(seen, key=lambda one: (one.message.birth_date, one.message.name, one.record))


def refuse_stale(found: Found, version: int) -> None:
    """Refuse a form that was filled in before somebody else changed the record.

    Raises HuyingError(WRONG_STAGE).
    """
    if found.version != version:
        raise HuyingError(
            Code.WRONG_STAGE, "somebody changed this record meanwhile; compare, and save again"
        )


def derived_id(request_id: bytes, what: str) -> bytes:
    """The id of another write of the same form, so that a form sent twice repeats each of them."""
    return hashlib.sha256(request_id + b"\n" + what.encode()).digest()[:RECORD_ID_BYTES]


def draft(type_: int, message: Message | None, record: bytes, request_id: bytes) -> api_pb2.Draft:
    """What one record becomes; without a message, it ends. An empty `record` is a new one."""
    return api_pb2.Draft(
        kind=feed_pb2.KIND_DELETE if message is None else feed_pb2.KIND_PUT,
        type=type_,  # type: ignore[arg-type]  # an open enum
        record=record,
        message=b"" if message is None else message.SerializeToString(),
        request_id=request_id,
    )


async def append(ask: Ask, drafts: Sequence[api_pb2.Draft]) -> Sequence[api_pb2.Receipt]:
    """Write them, all or none. Raises what the node refuses with."""
    answer = await ask.node.ask("Append", api_pb2.AppendRequest(drafts=drafts))
    receipts: Sequence[api_pb2.Receipt] = answer.receipts
    return receipts


async def was_taken(ask: Ask, request_id: bytes) -> bytes:
    """The record that this request wrote before, empty where it wrote none yet."""
    found = await ask.node.read(lambda reader: reader.request(request_id))
    return b"" if found is None else found[2]
