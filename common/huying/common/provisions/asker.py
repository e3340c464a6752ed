"""The asking node's side of a provision, each step as one transaction of the engine.

AskProvision     write the request
RevealProvision  write the receipt, then return the value
DropProvision    erase what was sealed here, and say so
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from huying.common.codes import is_within, level, parse_origin
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke
from huying.common.feed.audience import slot_of
from huying.common.feed.leaf import leaf_slots
from huying.common.late.requests import chosen_slots
from huying.common.late.spans import Span
from huying.common.limits import PROVISION_SECONDS_MAX
from huying.common.membership.trust import check_may_write
from huying.common.provisions.places import (
    MICROS,
    Asked,
    Place,
    now_micros,
    once,
    read_decision,
    read_entry,
    read_request,
    sealed_slot,
)
from huying.common.provisions.terms import (
    HeldEntry,
    Revealed,
    open_decision,
    request_record,
    stage_of,
)
from huying.common.records.registry import REGISTRY
from huying.wire.v1 import calls_pb2, feed_pb2
from huying.wire.v1 import provision_pb2 as wire

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["AskProvision", "DropProvision", "RevealProvision"]


@dataclass(frozen=True, slots=True)
class AskProvision:
    """Ask the home of an entry for fields that are withheld here."""

    origin: str
    index: int
    fields: tuple[str, ...]
    purpose: str
    department: str
    actor: str
    recipient_key: bytes
    expires_micros: int
    call: bytes = b""
    caller: str = ""

    def run(self, engine: Engine) -> AppendReceipt:
        """Where the request stands now.

        Raises HuyingError: NOT_FOUND for an entry of which nothing can be asked here; NOT_ALONE or
        INVALID_ARGUMENT naming the field; TYPE_NOT_ALLOWED at a tier that may not ask.
        """
        check_may_write(engine)
        engine.replica.flush()
        home, own = parse_origin(self.origin).code, engine.identity.code
        if home == own or not is_within(home, own):
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"ENTRY: {home} is no node below {own}; ask downward"
            )
        self._check_expiry(engine)
        entry = read_entry(engine, (self.origin, self.index))
        if entry is None or not entry.head.type:
            raise HuyingError(
                Code.NOT_FOUND,
                f"entry {self.index} of {self.origin}: nothing of it is held here, so no field of"
                " it can be named; ask for an entry that `huying feed show` shows in part",
            )
        fields = _full_names(entry.head.type, self.fields)
        slots = self._slots(engine, entry, home, fields)
        message = wire.ProvisionRequest(
            home=home,
            entry=calls_pb2.EntryRef(origin=self.origin, index=self.index),
            leaf_hash=entry.digest,
            record=entry.head.record,
            record_type=entry.head.type,
            fields=fields,
            slots=slots,
            purpose=self.purpose,
            department=self.department,
            actor=self.actor,
            recipient_key=self.recipient_key,
            expires_micros=self.expires_micros,
            call=self.call,
            caller=self.caller,
        )
        record = request_record(own, message)
        kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_PROVISION_REQUEST
        to = (f"={home}",)
        (receipt,) = engine.replica.append((DraftEntry(kind, type_, message, record, to, record),))
        return receipt

    def _check_expiry(self, engine: Engine) -> None:
        now = now_micros(engine)
        if self.expires_micros <= now:
            raise HuyingError(Code.INVALID_ARGUMENT, "expires_micros: that is past")
        if self.expires_micros > now + PROVISION_SECONDS_MAX * MICROS:
            days = PROVISION_SECONDS_MAX / 86400
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"expires_micros: {days:.0f} days at most; ask again then"
            )

    def _slots(self, engine: Engine, entry: HeldEntry, home: str, fields: Sequence[str]) -> bytes:
        """The compartments of the fields, each of them withheld from this node."""
        if not fields:
            raise HuyingError(Code.INVALID_ARGUMENT, "fields: name what is asked for")
        slots = chosen_slots(entry.head.type, home, fields)
        descriptor: Any = REGISTRY[entry.head.type].message_class.DESCRIPTOR
        erased = engine.replica.erasures.of(self.origin).at(self.index)
        for name in fields:
            slot = slot_of(descriptor, int(level(home)), name)
            if slot in entry.openings:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"fields: {name} is not withheld here; read the record"
                )
            if slot not in leaf_slots(entry.leaf) or slot in erased:
                raise HuyingError(Code.NOT_FOUND, f"fields: {name} was erased, or never written")
        return slots


def _full_names(record_type: int, fields: Sequence[str]) -> tuple[str, ...]:
    """The names as the type has them: `phone` is `reporter_phone` where no other ends so."""
    spec = REGISTRY.get(record_type)
    known = [] if spec is None else [field.name for field in spec.message_class.DESCRIPTOR.fields]
    full = []
    for name in fields:
        ends = [one for one in known if one.endswith(f"_{name}")]
        full.append(ends[0] if name not in known and len(ends) == 1 else name)
    return tuple(dict.fromkeys(full))


def _receive(
    engine: Engine,
    asked: Asked,
    use: wire.ProvisionUse.ValueType,
    actor: str,
    request_id: bytes = b"",
) -> AppendReceipt:
    """Write a receipt for the home to read."""
    receipt = wire.ProvisionReceipt(
        request=asked.ref,
        use=use,
        actor=actor,
        used_micros=now_micros(engine),
        request_record=asked.record,
    )
    kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_PROVISION_RECEIPT
    to = (f"={asked.message.home}",)
    (found,) = engine.replica.append((DraftEntry(kind, type_, receipt, b"", to, request_id),))
    return found


@dataclass(frozen=True, slots=True)
class RevealProvision:
    """Look at what was provided, as one department.

    The receipt is written in the transaction that returns the value: a look that could not be
    written down did not happen.
    """

    place: Place  # of the request
    decision: Place
    department: str
    actor: str
    key: hpke.SealKey = field(repr=False)

    def run(self, engine: Engine) -> tuple[Revealed, AppendReceipt]:
        """The value, and where its receipt stands.

        Raises HuyingError: NOT_ENTITLED for another department, WRONG_STAGE for what is denied,
        withdrawn or over, and as `open_decision`.
        """
        check_may_write(engine)
        engine.replica.flush()
        asked = read_request(engine, self.place)
        message = asked.message
        if asked.asker != engine.identity.code or self.department != message.department:
            raise HuyingError(Code.NOT_ENTITLED, f"department: it was asked for by {asked.asker}")
        decision = read_decision(engine, self.decision, asked)
        _refuse_ended(stage_of(decision, message.expires_micros, now_micros(engine)))
        entry = read_entry(engine, (message.entry.origin, message.entry.index))
        if entry is None:
            raise HuyingError(Code.NOT_FOUND, "the entry that was asked about is not held here")
        revealed = open_decision(message, asked.record, asked.digest, decision, entry, self.key)
        return revealed, _receive(engine, asked, wire.PROVISION_USE_SHOWN, self.actor)


def _refuse_ended(stage: wire.ProvisionStage.ValueType) -> None:
    """Raises HuyingError(WRONG_STAGE) for every stage but APPROVED."""
    said = {
        wire.PROVISION_STAGE_DENIED: "the home denied it; disclosure show has the reason",
        wire.PROVISION_STAGE_WITHDRAWN: "the home has withdrawn it",
        wire.PROVISION_STAGE_EXPIRED: "its time is over; ask again",
    }
    if stage != wire.PROVISION_STAGE_APPROVED:
        raise HuyingError(Code.WRONG_STAGE, said.get(stage, "the home has not decided yet"))


@dataclass(frozen=True, slots=True)
class DropProvision:
    """Erase what was sealed from this node's own store, and tell the home that it is gone.

    The home erases it everywhere; this node does not wait for that.
    """

    place: Place  # of the request
    decision: Place | None  # the approval; None where it never came here
    actor: str = "node"

    def run(self, engine: Engine) -> None:
        """Writes the receipt once, however often it is called. Raises as `check_may_write`."""
        check_may_write(engine)
        engine.replica.flush()
        asked = read_request(engine, self.place)
        if self.decision is not None:
            origin, index = self.decision
            if parse_origin(origin).code != asked.message.home:
                raise HuyingError(Code.NOT_FOUND, f"no decision of {asked.message.home}: {origin}")
            slot = sealed_slot(asked.message.home)
            engine.replica.erasures.adopt([Span(origin, index, index + 1, bytes((slot,)))])
        _receive(engine, asked, wire.PROVISION_USE_DROPPED, self.actor, once("drop", asked))
