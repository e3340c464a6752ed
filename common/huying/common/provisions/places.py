"""Where the entries of a provision stand, read inside the engine's transaction.

A step names entries by their places, as the queryable tables show them, and reads them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from huying.common.codes import level, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import slot_of
from huying.common.provisions.terms import HeldEntry, request_record
from huying.common.records.record_keys import keyed
from huying.wire.v1 import calls_pb2, feed_pb2
from huying.wire.v1 import provision_pb2 as wire

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = [
    "MICROS",
    "Asked",
    "Place",
    "now_micros",
    "once",
    "read_decision",
    "read_entry",
    "read_request",
    "sealed_slot",
]

Place = tuple[str, int]  # origin, index

MICROS: Final = 1_000_000


def sealed_slot(home: str) -> int:
    """The slot of what is sealed, in a decision of the node `home`."""
    return slot_of(wire.ProvisionDecision.DESCRIPTOR, int(level(home)), "sealed")


def read_entry(engine: Engine, place: Place) -> HeldEntry | None:
    """What is held of an entry; None where it is not here, or withheld whole."""
    origin, index = place
    feed = engine.replica.feeds.get(origin)
    if feed is None or index >= feed.size:
        return None
    (stored,) = engine.replica.store.entries(feed.feed_id, index, index + 1)
    return HeldEntry.of(origin, index, stored)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it stands in a feed."""

    place: Place
    asker: str
    digest: bytes  # leaf hash of its entry
    record: bytes
    message: wire.ProvisionRequest

    @property
    def ref(self) -> calls_pb2.EntryRef:
        """Its place, as other entries name it."""
        return calls_pb2.EntryRef(origin=self.place[0], index=self.place[1])


def read_request(engine: Engine, place: Place) -> Asked:
    """Raises HuyingError(NOT_FOUND) where no proper request stands there."""
    entry = read_entry(engine, place)
    head = entry.head if entry is not None else feed_pb2.Head()
    if entry is None or head.type != feed_pb2.RECORD_TYPE_PROVISION_REQUEST:
        raise HuyingError(Code.NOT_FOUND, f"no request at {place[0]} {place[1]}")
    message = wire.ProvisionRequest.FromString(entry.body)
    asker = parse_origin(place[0]).code
    if head.record != request_record(asker, message):
        raise HuyingError(Code.NOT_FOUND, "the request's id does not follow from what it asks")
    return Asked(place, asker, entry.digest, head.record, message)


def read_decision(engine: Engine, place: Place, asked: Asked) -> wire.ProvisionDecision:
    """What is held of the decision about a request that stands there.

    Raises HuyingError(NOT_FOUND) where none of its home's does.
    """
    entry = read_entry(engine, place)
    found = None if entry is None else (entry.head.type, entry.head.record)
    wanted = feed_pb2.RECORD_TYPE_PROVISION_DECISION, asked.record
    if entry is None or found != wanted or parse_origin(place[0]).code != asked.message.home:
        raise HuyingError(Code.NOT_FOUND, f"no decision about it at {place[0]} {place[1]}")
    return wire.ProvisionDecision.FromString(entry.body)


def now_micros(engine: Engine) -> int:
    """Unix microseconds by this node's clock."""
    return int(engine.clock.now() * MICROS)


def once(what: str, asked: Asked) -> bytes:
    """The request id of something that is written once of a provision."""
    return keyed(f"provision-{what}", asked.record)
