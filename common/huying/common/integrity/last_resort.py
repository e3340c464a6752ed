"""What an operator may ask of a node that does not write: how it stands, and to begin anew.

    ShowRecovery   what is held, what is needed, who was asked, what nobody held
    BeginEpoch     give the epoch up: the next one, under another key, from what is held

The second is the last resort. What the node may have signed beyond what it holds stays signed; the
next epoch's first entry says what it follows and which entries nobody could give back, and the
parent takes it over just by its own operator's word. docs/FEED.md, "Restore, clone, fork".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import HEAD_SLOT
from huying.common.feed.note import Signer
from huying.common.integrity.lost import LostRange, coalesced
from huying.common.membership.succession import make_succession
from huying.common.membership.trust import Rotated, begin_epoch
from huying.wire.v1 import trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["BeginEpoch", "Neighbour", "RecoveryView", "ShowRecovery", "check_may_begin"]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of those who may hold this node's feed."""

    code: str
    connected: bool
    heard: bool
    shown_size: int
    answered: bool


@dataclass(frozen=True, slots=True)
class RecoveryView:
    """How the own feed stands. Sizes count entries."""

    origin: str
    state: str
    reason: str
    held_size: int
    mark_size: int | None
    needed_size: int
    neighbours: tuple[Neighbour, ...]
    unreachable: tuple[int, int] | None  # indexes that may have left the node, and nobody shows
    lost: tuple[LostRange, ...]  # openings that are neither here nor erased


@dataclass(frozen=True, slots=True)
class ShowRecovery:
    """Look, and change nothing."""

    def run(self, engine: Engine) -> RecoveryView:
        """The node's standing, as it is now."""
        recovery, own = engine.recovery, engine.replica.own
        shown, answered = recovery.shown(), recovery.answered()
        connected = {one.peer for one in engine.sessions.values() if one.greeted}
        reason = recovery.reason if engine.state in ("recovering", "forked") else ""
        if recovery.is_on:
            reason = f"{reason}; {recovery.standstill()}"
        return RecoveryView(
            origin=own.origin,
            state=engine.state,
            reason=reason,
            held_size=own.size,
            mark_size=recovery.mark[1] if recovery.mark is not None else None,
            needed_size=recovery.needed_size() if recovery.is_on else own.size,
            neighbours=tuple(
                Neighbour(
                    code, code in connected, code in shown, shown.get(code, 0), code in answered
                )
                for code in recovery.neighbours()
            ),
            unreachable=_unreachable(engine),
            lost=coalesced(
                LostRange(one.index, one.index + 1, one.slots) for one in recovery.lacking()
            ),
        )


def _unreachable(engine: Engine) -> tuple[int, int] | None:
    """Entries that may have left the node, and that none of those who were heard shows."""
    if not engine.recovery.is_on:
        return None
    start = max((engine.replica.own.size, *engine.recovery.shown().values()))
    stop = engine.recovery.needed_size()
    return (start, stop) if start < stop else None


@dataclass(frozen=True, slots=True)
class BeginEpoch:
    """Go on in the next epoch; the key file of `signer` must be durable already."""

    signer: Signer
    reason: str

    def run(self, engine: Engine) -> Rotated:
        """Raises HuyingError(WRONG_STAGE) for a node that is well, or KEY."""
        check_may_begin(engine)
        own, old = engine.replica.own, engine.identity.feed_signer
        forked = engine.state == "forked"
        reason = trust_pb2.SUCCESSION_REASON_FORKED if forked else trust_pb2.SUCCESSION_REASON_LOST
        succession = make_succession(
            own.origin,
            own.size,
            engine.replica.root_at(own, own.size),
            self.signer,
            old,
            reason,
            self.reason,
        )
        lost = []
        if engine.recovery.is_on and own.size < engine.recovery.needed_size():
            stop = engine.recovery.needed_size()
            lost.append(trust_pb2.IndexRange(start=own.size, stop=stop, slots=bytes((HEAD_SLOT,))))
        engine.recovery.give_up()
        begin_epoch(engine, self.signer, succession, tuple(lost))
        return Rotated(self.signer.name, own.origin, own.size)


def check_may_begin(engine: Engine) -> None:
    """Refuse where no epoch may be given up.

    Raises HuyingError(WRONG_STAGE) for a node that is well, and for one whose later epoch is known:
    another key for it would be a second one.
    """
    if engine.state not in ("recovering", "forked"):
        raise HuyingError(
            Code.WRONG_STAGE, f"the node is {engine.state}: use huying key rotate feed"
        )
    identity = engine.identity
    known = {one.origin for one in engine.roster.epochs_of(identity.code)} | {*engine.replica.feeds}
    own = [one for one in map(parse_origin, known) if one.code == identity.code]
    newest = max(own, key=lambda one: one.epoch)
    if newest.epoch > identity.epoch:
        raise HuyingError(
            Code.WRONG_STAGE,
            f"{newest} was begun already, and its key is not here: restore a newer backup,"
            " or join anew with a token of the parent's",
        )
