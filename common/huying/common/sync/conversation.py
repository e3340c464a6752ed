"""What each frame of a peer does to the node, inside the transaction that it came in.

A frame that breaks the rules is answered with a named refusal and counted; only one that makes
the rest of the stream meaningless ends the link. What is to be sent because of a frame (an
acknowledgement, an answer) waits for `finish`, after the transaction is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from huying.common import limits
from huying.common.codes import parse_origin
from huying.common.copies.sealing import SEALED_FRAMES
from huying.common.effects import Direction, LinkUp, Received
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.feed.checkpoint import parse_checkpoint
from huying.common.feed.note import parse_note
from huying.common.feed.segment import decode_segment, parse_frame
from huying.common.integrity.evidence import ForkError
from huying.common.integrity.witness import adopt_cosignature
from huying.common.membership.roster import EpochStatus
from huying.common.state import Applied, ClassMark, FeedState, Missing
from huying.common.sync.late_answers import LateAnswers
from huying.common.sync.pulse import open_pulse, peek_pulse
from huying.common.sync.session import Session
from huying.wire.v1 import feed_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Conversation"]

_FATAL = frozenset(
    {
        Code.FRAME_TOO_LARGE,
        Code.VERSION_MISMATCH,
        Code.WRONG_NETWORK,
        Code.NOT_ENROLLED,
        Code.UNEXPECTED_FRAME,
    }
)

# A refusal after which the peer has to hear what is held: more than was refused may have come.
_HELD_ANEW = frozenset({Code.START_MISMATCH, Code.REVOKED, Code.EPOCH_CLOSED})


COSIGNATURE_SECONDS: Final = 0.25  # between two keepings of what witnesses return


class Conversation:
    """Handles frames for one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._touched: dict[tuple[int, str], None] = {}  # (link, origin) to acknowledge
        self._replies: list[tuple[Session, sync_pb2.Frame]] = []
        self._committed: dict[str, list[float]] = {}
        self._deferred: dict[int, set[str]] = {}  # by link: origins whose key may yet come
        # The newest cosigned note of each witness on each own epoch, not yet kept.
        self._returned: dict[tuple[str, str], bytes] = {}
        self._kept_at = float("-inf")  # monotonic seconds
        self._cosigned: dict[str, int] = {}
        self._late = LateAnswers(engine)

    # Around the transaction.

    def begin(self) -> None:
        """Forget what was to be said after a transaction that failed."""
        self._touched.clear()
        self._replies.clear()
        self._committed.clear()
        self._late.begin()
        engine = self._engine
        self._cosigned = {
            origin: feed.cosigned.size
            for origin, feed in engine.replica.feeds.items()
            if feed.cosigned is not None
        }

    def finish(self, changed: set[str]) -> None:
        """The transaction is durable: acknowledge, answer, and take note of what came."""
        engine = self._engine
        now = engine.clock.now()
        for origin in changed:
            feed = engine.replica.feeds[origin]
            if origin != engine.identity.origin:
                seen = engine.observation(origin)
                seen.announced(engine.replica.remote_head(feed), feed.size, now)
                if origin in self._committed:
                    seen.applied(feed.size, self._committed[origin], now)
        for link, origin in self._touched:
            session = engine.sessions.get(link)
            if session is not None:
                engine.send(session, self._ack(origin))
        for session, frame in self._replies:
            if session.link in engine.sessions:
                engine.send(session, frame)
        for link, origins in list(self._deferred.items()):
            session = engine.sessions.get(link)
            if session is None:
                del self._deferred[link]
                continue
            for origin in [one for one in origins if engine.roster.feed_key(one) is not None]:
                origins.remove(origin)
                engine.send(session, self._ack(origin))

    def _ack(self, origin: str) -> sync_pb2.Frame:
        feed = self._engine.replica.feeds.get(origin)
        ack = sync_pb2.Ack(origin=origin, size=feed.size if feed is not None else 0)
        cosigned = feed.cosigned if feed is not None else None
        if cosigned is not None and cosigned.size > self._cosigned.get(origin, -1):
            ack.cosigned = cosigned.note
        return sync_pb2.Frame(ack=ack)

    # Links.

    def on_link_up(self, link: LinkUp) -> None:
        """Greet; a newer link to a peer replaces the older one."""
        engine = self._engine
        if link.direction is Direction.DOWN and link.code not in engine.roster.children:
            detail = f"{link.code} is no child of this node"
            engine.refuse_link(link.link, Code.NOT_ENROLLED, detail)
            return
        older = [s for s in engine.sessions.values() if s.peer == link.code and s.link != link.link]
        for session in older:
            engine.close(session.link, Code.DRAINING, "a newer link took over")
        session = Session(
            engine.replica, link.link, link.code, link.direction, engine.clock.monotonic()
        )
        engine.sessions[link.link] = session
        self._replies.append((session, engine.hello(session)))

    # Frames.

    def on_frame(self, received: Received) -> None:
        """Handle one frame; a broken rule is refused by name."""
        engine = self._engine
        session = engine.sessions.get(received.link)
        if session is None:
            return
        session.received_bytes += len(received.frame)
        origin = ""
        try:
            frame = parse_frame(received.frame)
            kind = frame.WhichOneof("frame")
            if kind is None:
                return  # a frame of a later version
            engine.contacts[session.peer] = engine.clock.now()
            if not session.greeted and kind not in ("hello", "refusal"):
                raise HuyingError(Code.UNEXPECTED_FRAME, f"{kind} before hello")
            if kind == "segment":
                origin = frame.segment.origin[: limits.ORIGIN_BYTES_MAX]
            if kind in SEALED_FRAMES:
                engine.sealing.on_frame(session, frame)
            else:
                getattr(self, f"_on_{kind}")(session, getattr(frame, str(kind)))
        except HuyingError as error:
            if error.code in STORE_FAULTS:
                raise
            self._refuse(session, origin, error)

    def take(self, session: Session, frame: sync_pb2.Frame) -> list[sync_pb2.Frame]:
        """Handle a frame that came by file, in a session without a link; returns the replies.

        Raises what a link would be refused with.
        """
        kind = frame.WhichOneof("frame")
        before = len(self._replies)
        getattr(self, f"_on_{kind}")(session, getattr(frame, str(kind)))
        replies = [reply for _, reply in self._replies[before:]]
        del self._replies[before:]
        return replies

    def reply(self, session: Session, frame: sync_pb2.Frame) -> None:
        """Send a frame once this transaction is durable."""
        self._replies.append((session, frame))

    def _refuse(self, session: Session, origin: str, error: HuyingError) -> None:
        engine = self._engine
        if error.code is not Code.START_MISMATCH:
            known = engine.roster.feed_key(origin) is not None  # others are the peer's invention
            engine.alarm(
                error.code, feed=origin if known else "", peer=session.peer, detail=error.detail
            )
        refusal = sync_pb2.Refusal(code=error.code, detail=error.detail, origin=origin)
        if isinstance(error, ForkError):
            refusal = error.evidence.refusal(origin, error.detail)
            engine.forks.found(origin, error.evidence, but=session)
        self._replies.append((session, sync_pb2.Frame(refusal=refusal)))
        if origin and error.code in _HELD_ANEW:
            self._touched[session.link, origin] = None
        if error.code in _FATAL:
            engine.send(session, sync_pb2.Frame(refusal=refusal))
            engine.close(session.link, error.code, error.detail)

    def _on_hello(self, session: Session, hello: sync_pb2.Hello) -> None:
        engine = self._engine
        recovered = session.peer_recovers and not hello.recovering
        session.on_hello(hello)
        now = engine.clock.now()
        engine.clock_offsets[session.peer] = hello.time_micros / 1e6 - now
        for origin in session.conflicts:
            detail = "the peer says that it holds another history; nothing is sent to it"
            engine.alarm(Code.BAD_PROOF, feed=origin, peer=session.peer, detail=detail)
            engine.forks.show(session, origin)
        for held in hello.held:
            feed = engine.replica.feeds.get(held.origin)
            if session.accepts(held.origin) and held.origin != engine.identity.origin:
                if engine.roster.feed_key(held.origin) is None:
                    continue
                size = feed.size if feed is not None else 0
                engine.observation(held.origin).announced(held.size, size, now)
        engine.forks.greeted(session, hello)
        engine.claims.take(session, hello)
        if session.direction is Direction.UP and not hello.recovering:
            engine.confirmed = engine.confirmed_by_parent = True
            engine.refused_as_revoked = False
        behind = [
            pin.code
            for pin in engine.roster.pins()
            if engine.roster.link_towards(pin.code) == session.peer
        ]
        engine.pulses.link_opened(behind)
        own = engine.identity.origin
        served = [one for one in engine.replica.wanted() if one == own or session.accepts(one)]
        engine.wants.link_opened(served, engine.clock.monotonic())
        if recovered:
            engine.wants.peer_recovered(served, now)
        engine.rounds.pulse_soon()
        engine.sealing.greeted(session)

    def _on_segment(self, session: Session, message: feed_pb2.Segment) -> None:
        engine = self._engine
        origin = message.origin
        if not session.accepts(origin):
            raise HuyingError(Code.NOT_SERVED, "a feed that does not travel this link")
        if origin == engine.identity.origin:
            self._on_own_segment(session, message)
            return
        if engine.roster.feed_key(origin) is None:
            self._defer(session, origin)
            ack = sync_pb2.Ack(origin=origin, deferred=True)
            self._replies.append((session, sync_pb2.Frame(ack=ack)))
            return
        segment = decode_segment(message)
        if session.took_own_back:
            self._merge(session, message)
        try:
            intake = engine.replica.receive(segment)
        except HuyingError as error:
            if error.code is Code.STALE_SIZE:
                if session.took_own_back or session.peer_recovers:
                    self._touched[session.link, origin] = None
                    return  # whoever was restored offers what it has, and is told what is held
                self._compare_heads(session, origin, segment.note)
            raise
        if intake.stored:
            head = engine.replica.feeds[origin].head
            session.order.checkpoint(origin, head.size if head is not None else 0)
        else:
            self._compare_heads(session, origin, segment.note)
        self._touched[session.link, origin] = None
        for index, code, detail in intake.quarantined[:1]:
            engine.alarm(code, feed=origin, peer=session.peer, detail=f"entry {index}: {detail}")
        if intake.breaches:
            engine.breaches += intake.breaches
            engine.alarm(Code.BREACH, feed=origin, peer=session.peer)
        if intake.mismatches:
            engine.alarm(Code.OPENING_MISMATCH, feed=origin, peer=session.peer)
        if intake.stored:
            times = self._committed.setdefault(origin, [])
            times.extend(_commit_times(intake.applied))

    def _on_own_segment(self, session: Session, message: feed_pb2.Segment) -> None:
        """Entries of this node's own come back; but for recovery they are just an echo."""
        engine = self._engine
        if not engine.recovery.is_on:
            return
        self._merge(session, message)
        intake = engine.replica.receive(decode_segment(message))
        self._touched[session.link, message.origin] = None
        if intake.mismatches:
            engine.alarm(Code.OPENING_MISMATCH, feed=message.origin, peer=session.peer)

    def _merge(self, session: Session, message: feed_pb2.Segment) -> None:
        """Several neighbours give a recovering node the same entries: take what each has more."""
        replica = self._engine.replica
        feed = replica.feeds.get(message.origin)
        index = message.start
        for item in message.items:
            if feed is None or index >= feed.size:
                return
            if item.entry.openings:
                try:
                    replica.receive_disclosed(message.origin, index, item.entry)
                except HuyingError as error:
                    if error.code in STORE_FAULTS:
                        raise
                    self._engine.alarm(error.code, message.origin, session.peer, error.detail)
            index += len(item.hidden) // 32 or 1

    def _compare_heads(self, session: Session, origin: str, note: bytes) -> None:
        """A segment brought nothing: is its checkpoint, which the origin signed, an old one?"""
        engine = self._engine
        size = parse_checkpoint(parse_note(note).text).size
        seen = engine.observation(origin)
        difference = session.order.checkpoint(origin, size)
        if difference < 0:
            seen.old_checkpoints.again(engine.clock.now(), engine.settings.withheld_grace_seconds)
        elif difference > 0:
            seen.old_checkpoints.clear()

    def _defer(self, session: Session, origin: str) -> None:
        """Remember to say when the origin's key came. A peer can make up any number of names."""
        waiting = self._deferred.setdefault(session.link, set())
        code = parse_origin(origin).code
        of_one = sum(parse_origin(one).code == code for one in waiting)
        if len(waiting) < limits.HELLO_FEEDS_MAX and of_one < limits.DEFERRED_EPOCHS_MAX:
            waiting.add(origin)

    def _on_ack(self, session: Session, ack: sync_pb2.Ack) -> None:
        now = self._engine.clock.monotonic()
        session.on_ack(ack, now)
        own = self._engine.replica.own
        if session.direction is Direction.UP and ack.origin == own.origin and ack.size >= own.size:
            self._engine.refused_as_revoked = False
        if ack.cosigned and session.serves_own(ack.origin):
            self._returned[session.peer, ack.origin] = ack.cosigned
            if now >= self.cosignatures_due():
                self.keep_cosignatures()

    def cosignatures_due(self) -> float:
        """When what witnesses returned is to be kept; monotonic seconds."""
        return self._kept_at + COSIGNATURE_SECONDS if self._returned else float("inf")

    def keep_cosignatures(self) -> None:
        """Keep each witness's newest line on a checkpoint of the own feed, in this transaction.

        One is kept at once, and of a stream of them the newest now and then: each costs a
        signature to verify and a commit, and the newest speaks for all before it.
        """
        engine = self._engine
        returned, self._returned = self._returned, {}
        self._kept_at = engine.clock.monotonic()
        for (peer, origin), note in returned.items():
            try:
                adopt_cosignature(engine.replica, peer, note)
            except HuyingError as error:
                if error.code in STORE_FAULTS:
                    raise
                engine.alarm(error.code, origin, peer, error.detail)

    def _on_refusal(self, session: Session, refusal: sync_pb2.Refusal) -> None:
        engine = self._engine
        code = _code(refusal.code)
        session.on_refusal(refusal.origin, code, engine.clock.monotonic())
        if code is Code.FORK and refusal.first:
            engine.forks.told(session, refusal)
            return
        if code is Code.BAD_PROOF and refusal.first:
            engine.forks.shown(session, refusal.origin, refusal.first)
        about_own = refusal.origin in ("", engine.identity.origin)
        if code is Code.REVOKED and about_own and session.direction is Direction.UP:
            engine.refused_as_revoked = True
        if code is not Code.START_MISMATCH:
            engine.alarm(code, feed="", peer=session.peer, detail="refused by the peer")

    def _on_drain(self, session: Session, drain: sync_pb2.Drain) -> None:
        """The peer will close the stream; the dialler comes back by itself."""

    # Late answers.

    def _on_want(self, session: Session, want: sync_pb2.Want) -> None:
        for frame in self._late.want(session, want):
            self._replies.append((session, frame))

    def _on_disclose(self, session: Session, message: sync_pb2.Disclose) -> None:
        self._late.disclose(session, message)

    # Pulses.

    def _on_pulse(self, session: Session, message: feed_pb2.Pulse) -> None:
        engine = self._engine
        pulse = peek_pulse(message)
        if not session.accepts(pulse.origin):
            raise HuyingError(Code.NOT_SERVED, "a pulse that does not travel this link")
        key = engine.roster.feed_key(pulse.origin)
        if key is None:
            return
        open_pulse(message, key)
        epoch = engine.roster.epoch(pulse.origin)
        if epoch is not None and epoch.status is not EpochStatus.ACTIVE:
            return  # an epoch that has ended grows no more
        if pulse.reader != engine.identity.code:
            onward = engine.roster.link_towards(pulse.reader)
            if engine.roster.is_member(pulse.reader) and onward not in (None, session.peer):
                engine.pulses.post(
                    pulse.origin, pulse.reader, pulse.size, message, engine.clock.monotonic()
                )
            return
        feed = engine.replica.feeds.get(pulse.origin) or FeedState(0, pulse.origin)
        seen = engine.observation(pulse.origin)
        now, grace = engine.clock.now(), engine.settings.withheld_grace_seconds
        stale = engine.settings.stale_seconds
        if session.order.is_old_pulse(pulse.origin, pulse.time, pulse.size, now, stale):
            seen.old_pulses.again(now, grace)
            return
        if not seen.heard(pulse, feed.size, now, grace):
            return
        if not feed.feed_id or pulse.size > feed.size:
            return
        if engine.replica.root_at(feed, pulse.size) != pulse.root:
            detail = f"a pulse signs another root at size {pulse.size}"
            raise HuyingError(Code.FORK, detail)
        for name, total in pulse.totals.items():
            mark = feed.classes.get(name, ClassMark(0, -1))
            if total > mark.number:
                row = Missing(mark.index + 1, pulse.size, b"", name, mark.number + 1, total, now)
                engine.replica.add_gap(pulse.origin, row)


def _code(number: int) -> Code:
    """A peer's code; one that is not on the list reads as unknown."""
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN


def _commit_times(applied: list[Applied]) -> list[float]:
    return [entry.head.time_micros / 1e6 for entry in applied]
