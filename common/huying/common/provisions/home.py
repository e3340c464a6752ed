"""The home's side of a provision, each step as one transaction of the engine.

    DecideProvision    approve or deny, as a person decided
    SettleProvision    what a rule decides, or nobody has to
    WithdrawProvision  take an approval back, and erase what was sealed
    EndProvision       erase what was sealed, for its time is over

Of two who decide at once one wins and the other is told: a request is decided once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.late.requests import EraseSpans
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
from huying.common.provisions.terms import HeldEntry, obstacle, seal_openings
from huying.wire.v1 import calls_pb2, feed_pb2
from huying.wire.v1 import provision_pb2 as wire

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["DecideProvision", "EndProvision", "SettleProvision", "WithdrawProvision"]


def _decide(
    engine: Engine, asked: Asked, decision: wire.ProvisionDecision, request_id: bytes
) -> AppendReceipt:
    """Write a decision, once. Raises HuyingError(WRONG_STAGE) where one was written before."""
    decision.request.CopyFrom(asked.ref)
    decision.request_hash = asked.digest
    decision.request_record = asked.record
    kind, type_ = feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_PROVISION_DECISION
    draft = DraftEntry(kind, type_, decision, asked.record, (), request_id)
    (receipt,) = engine.replica.append((draft,))
    if receipt.repeated:
        raise HuyingError(Code.WRONG_STAGE, "this request was decided already; see disclosure show")
    return receipt


def _approve(engine: Engine, asked: Asked, entry: HeldEntry, decided_by: str, text: str) -> None:
    """Raises HuyingError(KEY, ENTRY_TOO_LARGE or WRONG_STAGE)."""
    latest = now_micros(engine) + int(PROVISION_SECONDS_MAX) * MICROS
    expires_micros = min(asked.message.expires_micros, latest)
    decision = wire.ProvisionDecision(
        verdict=wire.PROVISION_VERDICT_APPROVED,
        text=text,
        decided_by=decided_by,
        expires_micros=expires_micros,
        sealed=seal_openings(asked.message, asked.digest, entry, expires_micros),
    )
    _decide(engine, asked, decision, once("decision", asked))


def _deny(
    engine: Engine,
    asked: Asked,
    reason: wire.DenialReason.ValueType,
    decided_by: str,
    text: str = "",
) -> None:
    """Raises HuyingError(WRONG_STAGE)."""
    decision = wire.ProvisionDecision(
        verdict=wire.PROVISION_VERDICT_DENIED, reason=reason, text=text, decided_by=decided_by
    )
    _decide(engine, asked, decision, once("decision", asked))


def _target(engine: Engine, asked: Asked) -> HeldEntry | None:
    """The entry that a request speaks of, where it is one of this node's own."""
    ref, own = asked.message.entry, engine.identity
    try:
        origin = parse_origin(ref.origin)
    except HuyingError:
        return None
    if (origin.network, origin.code) != (own.network, own.code):
        return None
    return read_entry(engine, (ref.origin, ref.index))


def _obstacle(engine: Engine, asked: Asked, entry: HeldEntry | None) -> wire.DenialReason.ValueType:
    own = engine.identity.code
    return obstacle(asked.message, asked.asker, own, entry, now_micros(engine))


@dataclass(frozen=True, slots=True)
class DecideProvision:
    """What a person decided."""

    place: Place  # of the request
    verdict: wire.ProvisionVerdict.ValueType  # APPROVED or DENIED
    decided_by: str
    reason: wire.DenialReason.ValueType = wire.DENIAL_REASON_UNSPECIFIED
    text: str = ""

    def run(self, engine: Engine) -> None:
        """Write it down, once.

        Raises HuyingError: NOT_FOUND for no request, or where its entry is not this node's, or not
        as it says; WRONG_STAGE where it was decided, or its time is over; KEY where its key is
        none; ENTRY_TOO_LARGE where the openings do not fit into one entry.
        """
        check_may_write(engine)
        engine.replica.flush()
        asked = read_request(engine, self.place)
        if self.verdict == wire.PROVISION_VERDICT_DENIED:
            _deny(engine, asked, self.reason, self.decided_by, self.text)
            return
        entry = _target(engine, asked)
        why = _obstacle(engine, asked, entry)
        if why == wire.DENIAL_REASON_EXPIRED:
            raise HuyingError(Code.WRONG_STAGE, "the time that was asked for is over")
        if why or entry is None:
            name = wire.DenialReason.Name(why).removeprefix("DENIAL_REASON_")
            raise HuyingError(Code.NOT_FOUND, f"it can't be given, whoever asks: {name}; deny it")
        _approve(engine, asked, entry, self.decided_by, self.text)


@dataclass(frozen=True, slots=True)
class SettleProvision:
    """Decide where no person has to: what can't be given is denied, what a rule allows is given."""

    place: Place  # of the request
    rule: str = ""  # the name of the rule that allows it; empty: none does

    def run(self, engine: Engine) -> bool:
        """Whether something was decided. Raises as `DecideProvision`."""
        check_may_write(engine)
        engine.replica.flush()
        asked = read_request(engine, self.place)
        entry = _target(engine, asked)
        if why := _obstacle(engine, asked, entry):
            _deny(engine, asked, why, f"node:{engine.identity.code}")
        elif self.rule and entry is not None:
            _approve(engine, asked, entry, f"rule:{self.rule}", "")
        else:
            return False
        return True


@dataclass(frozen=True, slots=True)
class WithdrawProvision:
    """Take an approval back."""

    place: Place  # of the request
    approval: Place
    decided_by: str
    text: str = ""

    def run(self, engine: Engine) -> None:
        """Raises HuyingError(WRONG_STAGE) where nothing of it is given any more."""
        check_may_write(engine)
        engine.replica.flush()
        asked = read_request(engine, self.place)
        approval = read_decision(engine, self.approval, asked)
        if not approval.sealed:
            raise HuyingError(Code.WRONG_STAGE, "nothing of it is given any more: it has ended")
        origin, index = self.approval
        decision = wire.ProvisionDecision(
            verdict=wire.PROVISION_VERDICT_WITHDRAWN,
            text=self.text,
            decided_by=self.decided_by,
            expires_micros=approval.expires_micros,
            approval=calls_pb2.EntryRef(origin=origin, index=index),
        )
        _decide(engine, asked, decision, once("withdrawal", asked))
        EndProvision(self.approval, "withdrawn").run(engine)


@dataclass(frozen=True, slots=True)
class EndProvision:
    """Erase what was sealed in a decision of this node, wherever it went."""

    decision: Place
    reason: str = "expired"

    def run(self, engine: Engine) -> None:
        """Raises HuyingError(NOT_FOUND) where nothing of it is held."""
        origin, index = self.decision
        slots = bytes((sealed_slot(engine.identity.code),))
        EraseSpans((Span(origin, index, index + 1, slots),), self.reason).run(engine)
