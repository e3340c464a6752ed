"""What a node does after every step, and when nothing happens at all.

One round sends what the links have room for, signs the pulses that are due, asks for what is
missing, and names the feeds of which something is being kept from this node. It runs after the
step's transaction, and changes nothing durable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from huying.common import limits
from huying.common.codes import parse_origin
from huying.common.effects import Direction
from huying.common.errors import Code
from huying.common.ports import Entropy
from huying.common.sync.pulse import make_pulse
from huying.wire.v1 import sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine
    from huying.common.sync.session import Session

__all__ = ["HELLO_SECONDS_MAX", "Rounds"]

HELLO_SECONDS_MAX: Final = 10.0  # a link on which nobody greets is closed
PULSE_AGE_INTERVALS: Final = 1.5  # an origin that is there has sent another one by then


class Rounds:
    """The rounds of one engine."""

    def __init__(self, engine: Engine, entropy: Entropy) -> None:
        self._engine = engine
        self._entropy = entropy
        self._pulse_due = 0.0  # monotonic seconds
        self._told_lost = False

    def go(self) -> None:
        """One round."""
        now = self._engine.clock.monotonic()
        if now >= self._pulse_due:
            self._pulse(now)
        self._pump(now)
        self._pass_pulses_on(now)
        self._ask(now)
        engine = self._engine
        engine.recovery.go(now)
        self._mark_kept_back()
        self._tell_lost()

    def pulse_soon(self) -> None:
        """A link opened: have its peer know at once how far the own feed has come."""
        self._pulse_due = self._engine.clock.monotonic()

    def timers(self) -> Iterator[float]:
        """When a round has something to do though nothing came; monotonic seconds."""
        engine = self._engine
        yield self._pulse_due
        for origin in engine.replica.wanted():
            if self._holder(origin) is not None:
                yield engine.wants.next_due(origin)
        for session in engine.sessions.values():
            yield session.next_timer() if session.greeted else session.opened + HELLO_SECONDS_MAX

    def _pulse(self, now: float) -> None:
        """Sign a pulse for every reader of the own feed."""
        engine = self._engine
        jitter = self._entropy.uniform(1 - limits.PULSE_JITTER, 1 + limits.PULSE_JITTER)
        self._pulse_due = now + engine.settings.pulse_seconds * jitter
        for session in engine.sessions.values():
            session.flush()
        own = engine.replica.own
        if own.size == 0 or engine.state in ("recovering", "forked"):
            return
        digest = engine.replica.root_at(own, own.size)
        wall = engine.clock.now()
        for reader in engine.roster.readers():
            pulse = make_pulse(
                engine.identity.feed_signer, reader, own.size, digest, wall, own.classes
            )
            engine.pulses.post(own.origin, reader, own.size, pulse, now)

    def _pump(self, now: float) -> None:
        engine = self._engine
        for session in list(engine.sessions.values()):
            if not session.greeted and now >= session.opened + HELLO_SECONDS_MAX:
                engine.close(session.link, Code.UNEXPECTED_FRAME, "no Hello came")
                continue
            for frame in session.pump(now):
                engine.send(session, frame)

    def _pass_pulses_on(self, now: float) -> None:
        engine = self._engine
        engine.pulses.forget_silent(now - engine.settings.pulse_seconds * PULSE_AGE_INTERVALS)
        routes = {
            reader: session
            for reader in engine.pulses.readers()
            if (session := engine.session_towards(reader)) is not None
        }
        for session, frame in engine.pulses.due(routes):
            engine.send(session, frame)

    def _ask(self, now: float) -> None:
        """Ask for what is missing, wherever the line to its origin is up."""
        engine = self._engine
        wanted = engine.replica.wanted()
        engine.wants.forget_settled(wanted)
        for origin, rows in wanted.items():
            holder = self._holder(origin)
            if holder is not None:
                for want in engine.wants.due(origin, rows, now):
                    engine.send(holder, sync_pb2.Frame(want=want))

    def _holder(self, origin: str) -> Session | None:
        """Whom to ask: the line to the origin, or, of the own feed, whoever has a copy of it."""
        engine = self._engine
        code = parse_origin(origin).code
        if code != engine.identity.code:
            return engine.session_towards(code)
        greeted = [session for session in engine.sessions.values() if session.greeted]
        above = [session for session in greeted if session.direction is Direction.UP]
        return next(iter(above or greeted), None)

    def _is_behind(self, origin: str) -> bool:
        """Whether the origin signed entries, in this epoch or a later one, that are not here."""
        replica, code = self._engine.replica, parse_origin(origin).code
        if origin not in replica.missing:
            return False
        feeds = (f for f in replica.feeds.values() if parse_origin(f.origin).code == code)
        return any(replica.remote_head(feed) > feed.size for feed in feeds)

    def _mark_kept_back(self) -> None:
        """Name the feeds of which something is being kept from this node, and clear the others."""
        engine = self._engine
        now, grace = engine.clock.now(), engine.settings.withheld_grace_seconds
        for origin, seen in engine.observations.items():
            behind = self._is_behind(origin)
            vain = engine.wants.withheld(origin, now, grace, behind=behind)
            towards = engine.session_towards(parse_origin(origin).code)
            if towards is not None and towards.peer_recovers:  # it will say what it lost
                vain = [one for one in vain if now - one.since >= limits.WITHHELD_BEHIND_SECONDS]
            hidden = not engine.losses.asked_in_vain(origin, vain)
            withheld = origin in engine.replica.missing if seen.withheld else hidden
            if withheld and not seen.withheld:
                engine.withheld_gaps += 1
                engine.alarm(Code.WITHHELD, feed=origin, detail="asked for, and not given")
            tail_cut, replayed = seen.tail_is_cut(), seen.head_is_replayed()
            if tail_cut and not seen.tail_cut:
                engine.alarm(Code.TAIL_CUT, feed=origin, detail=seen.tail())
            if replayed and not seen.replayed:
                what = "checkpoints" if seen.old_checkpoints.confirmed else "pulses"
                engine.alarm(Code.HEAD_REPLAYED, feed=origin, detail=f"old {what} come again")
            seen.withheld, seen.tail_cut, seen.replayed = withheld, tail_cut, replayed

    def _tell_lost(self) -> None:
        """Say once that something of the own feed was asked for in vain: nobody holds it."""
        engine = self._engine
        own = engine.identity.origin
        lost = own in engine.replica.missing and bool(
            engine.wants.withheld(own, engine.clock.now(), engine.settings.withheld_grace_seconds)
        )
        if lost and not self._told_lost:
            engine.alarm(Code.LOST, feed=own, detail="damaged here, and no neighbour holds it")
        self._told_lost = lost
