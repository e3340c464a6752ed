"""One link's side of the protocol: what is sent, what is unacknowledged, what comes next.

A session starts with a `Hello` from both sides that says what each durably holds; the receiver's
word is where a stream resumes. From then on either side sends the segments that the other may
read, feed by feed in turns, within a window of unacknowledged bytes; the window and the segments
grow with the throughput measured, so that a thin link makes durable progress and a thick one is
kept busy. Commits with nothing readable for the peer wait for the next readable entry or pulse.

A session reads the replica and never changes it. docs/SYNC.md, "Session".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from huying.common.codes import is_within, parse_origin
from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.integrity.witness import cosigned_by
from huying.common.limits import (
    HELLO_FEEDS_MAX,
    SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN,
    SEGMENT_TARGET_SECONDS,
    UNACKED_BYTES_MAX,
)
from huying.common.replica import Replica
from huying.common.state import FeedState
from huying.common.sync.link_order import LinkOrder
from huying.common.sync.outgoing import any_readable, cut_segment
from huying.wire.v1 import sync_pb2

__all__ = ["PROTOCOL_MAX", "PROTOCOL_MIN", "Session"]

PROTOCOL_MIN: Final = 1
PROTOCOL_MAX: Final = 1

ACK_SECONDS_MAX: Final = 5.0  # a segment unacknowledged for longer is sent again
SILENCES_MAX: Final = 4  # doublings of that time
# A greeting costs a look at every feed. A batch that is handled again greets again.
GREETINGS_MAX: Final = 4
REFUSED_PAUSE_SECONDS_MIN: Final = 1.0
REFUSED_PAUSE_SECONDS_MAX: Final = 60.0
# A window of eight segments keeps the link busy while the first are being verified.
WINDOW_SEGMENTS: Final = 8
_RATE_WEIGHT: Final = 0.3


_NO_SIZES: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(slots=True)
class _Flight:
    """A segment on its way."""

    stop: int
    size_bytes: int
    sent: float  # monotonic seconds


@dataclass(slots=True)
class _Outflow:
    """How far one feed has gone to the peer."""

    acked: int  # the peer durably holds this many entries
    cursor: int  # the next entry to send
    scanned: int = 0  # up to here, from the cursor, nothing is readable for the peer
    announced: int = 0  # newest checkpoint size told
    flush: bool = False  # send even what the peer can't read
    deferred: bool = False  # the peer can't verify this origin yet; it will say when
    paused_until: float = 0.0
    pause_seconds: float = REFUSED_PAUSE_SECONDS_MIN
    silences: int = 0  # times in a row that nothing was acknowledged in time
    flights: deque[_Flight] = field(default_factory=deque)


class Session:
    """The protocol state of one link."""

    def __init__(
        self, replica: Replica, link: int, peer: str, direction: Direction, now: float
    ) -> None:
        self.link = link
        self.peer = peer
        self.direction = direction
        self.opened = now
        self.greeted = False
        self._greetings = 0
        self.sent_bytes = 0
        self.received_bytes = 0
        self.order = LinkOrder()
        self.said_recovering = False  # this node asked the peer for its own feed, on this link
        self.peer_recovers = False  # the peer asks for its own feed
        self.took_own_back = False  # it did so once, and what was lost may come back from it
        self.conflicts: set[str] = set()  # feeds of which the peer holds another history
        self._replica = replica
        self._serving: tuple[int, list[str]] = (0, [])
        self._past: frozenset[str] = frozenset()  # the child's own earlier epochs
        self._outflows: dict[str, _Outflow] = {}
        self._turn = 0
        self._unacked_bytes = 0
        self._rate = 2.0 * SEGMENT_BYTES_MIN / SEGMENT_TARGET_SECONDS  # bytes per second
        self._acked_at = now
        self._limited = False  # the window, not the lack of entries, held the last pump back

    # Which feeds travel this link.

    def serves(self, origin: str) -> bool:
        """Whether a feed goes to this peer: up, my own and those below; down, mine and above."""
        code, own = parse_origin(origin).code, self._replica.identity.code
        if origin in self._past:
            return True
        if self.direction is Direction.UP:
            return is_within(code, own) or self.peer_recovers  # then all that came through it
        if self.peer_recovers and is_within(code, self.peer):
            return True  # what it lost of its own and of those below it
        return code == own or not is_within(code, own)

    def accepts(self, origin: str) -> bool:
        """Whether a feed may come from this peer."""
        try:
            parsed = parse_origin(origin)
        except HuyingError:
            return False
        if parsed.network != self._replica.identity.network:
            return False
        own = self._replica.identity.code
        earlier = parsed.code == own and parsed.epoch < self._replica.identity.epoch
        if earlier and self.direction is Direction.UP:
            return True  # its own past, where it was lost
        if self.took_own_back:  # its own, and what reaches it by this neighbour alone
            up = self.direction is Direction.UP
            if is_within(parsed.code, own) if up else is_within(own, parsed.code):
                return True
        if self.direction is Direction.UP:
            return not is_within(parsed.code, own)
        return is_within(parsed.code, self.peer)

    def answers(self, origin: str) -> bool:
        """Whether the peer may ask about a feed: one that goes to it, or its own, damaged there."""
        return self.serves(origin) or parse_origin(origin).code == self.peer

    def carries(self, origin: str) -> bool:
        """Whether a feed is any business of the peer's, whichever way it travels."""
        return self.accepts(origin) or self.answers(origin)

    # Greeting.

    def hello(
        self, wall_seconds: float, *, recovering: bool = False, base: Mapping[str, int] = _NO_SIZES
    ) -> sync_pb2.Hello:
        """What this node holds of every feed in play on the link.

        A `recovering` node asks for its own feed by it, and takes it until the link ends: what is
        on its way when it has recovered is nobody's fault. `base` is what it held, by origin, when
        it began to recover: each neighbour starts there, for each may have what another has not.
        """
        replica = self._replica
        self.said_recovering = recovering
        self.took_own_back |= recovering
        message = sync_pb2.Hello(
            version_min=PROTOCOL_MIN,
            version_max=PROTOCOL_MAX,
            network=replica.identity.network,
            code=replica.identity.code,
            time_micros=int(wall_seconds * 1e6),
            recovering=recovering,
        )
        for feed in replica.feeds.values():
            if len(message.held) >= HELLO_FEEDS_MAX:
                break
            accepted = self.accepts(feed.origin)
            if accepted:
                self.order.told(feed.origin, feed.size)
            if accepted or self.serves(feed.origin):
                size = feed.size
                if feed.origin != replica.identity.origin and self.took_own_back and accepted:
                    size = min(size, base.get(feed.origin, 0 if base else size))
                held = message.held.add(
                    origin=feed.origin, size=size, root=replica.root_at(feed, size)
                )
                if parse_origin(feed.origin).code == self.peer:
                    held.cosigned = feed.cosigned.note if feed.cosigned is not None else b""
                    held.newest = feed.head.note if feed.head is not None else b""
                elif feed.origin == replica.identity.origin:
                    held.newest = feed.head.note if feed.head is not None else b""
                    held.witnessed = cosigned_by(replica, self.peer)
        return message

    def on_hello(self, message: sync_pb2.Hello) -> None:
        """Take the peer's word on where to resume.

        Raises HuyingError(VERSION_MISMATCH, WRONG_NETWORK, NOT_ENROLLED, LIMIT_EXCEEDED,
        FRAME_MALFORMED, or UNEXPECTED_FRAME where the peer greets over and over).
        """
        if message.version_min > PROTOCOL_MAX or message.version_max < PROTOCOL_MIN:
            raise HuyingError(
                Code.VERSION_MISMATCH,
                f"the peer speaks {message.version_min} to {message.version_max}, "
                f"this node {PROTOCOL_MIN} to {PROTOCOL_MAX}",
            )
        if message.network != self._replica.identity.network:
            raise HuyingError(Code.WRONG_NETWORK, "the peer names another network")
        if message.code != self.peer:
            raise HuyingError(Code.NOT_ENROLLED, "the peer's code is not its certificate's")
        if len(message.held) > HELLO_FEEDS_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"over {HELLO_FEEDS_MAX} feeds in a Hello")
        if len({held.origin for held in message.held}) < len(message.held):
            raise HuyingError(Code.FRAME_MALFORMED, "a Hello names a feed twice")
        self._greetings += 1
        if self._greetings > GREETINGS_MAX:
            raise HuyingError(Code.UNEXPECTED_FRAME, "another Hello on a link that was greeted")
        self.greeted = True
        self.peer_recovers = message.recovering
        self._serving = (0, [])
        self._past = self._epochs_before(message)
        self._outflows.clear()
        self._unacked_bytes = 0
        self.conflicts.clear()
        for held in message.held:
            if not self.serves_safely(held.origin):
                continue
            feed = self._replica.feeds.get(held.origin)
            if feed is None or feed.frozen:
                continue
            if held.size <= feed.size and held.root != self._replica.root_at(feed, held.size):
                self.conflicts.add(held.origin)
                continue
            self._outflows[held.origin] = _Outflow(
                held.size, held.size, announced=held.size, flush=self.peer_recovers
            )

    def _epochs_before(self, message: sync_pb2.Hello) -> frozenset[str]:
        """The feeds of the child's earlier epochs: what it shall have back, if it lost them."""
        if self.direction is Direction.UP:
            return frozenset()
        own = [held.origin for held in message.held if self.accepts(held.origin)]
        epochs = [one.epoch for one in map(parse_origin, own) if one.code == self.peer]
        newest = max(epochs, default=0)
        return frozenset(
            origin
            for origin in self._replica.feeds
            if (parsed := parse_origin(origin)).code == self.peer and parsed.epoch < newest
        )

    def serves_safely(self, origin: str) -> bool:
        """`serves` for a name that a peer sent."""
        try:
            return self.serves(origin)
        except HuyingError:
            return False

    # Sending.

    def cursor(self, origin: str) -> int:
        """How many entries of a feed have been sent to the peer."""
        flow = self._outflows.get(origin)
        return flow.cursor if flow is not None else 0

    def serves_own(self, origin: str) -> bool:
        """Whether this is an epoch of the own feed, by a name that a peer sent."""
        known = self._replica.feeds.get(origin)
        return known is not None and parse_origin(origin).code == self._replica.identity.code

    def acked(self, origin: str) -> int:
        """How many entries of a feed the peer durably holds, as it said."""
        flow = self._outflows.get(origin)
        return flow.acked if flow is not None else 0

    def flush(self) -> None:
        """Let the next pump send what the peer can't read, too."""
        for flow in self._outflows.values():
            flow.flush = True

    def pump(self, now: float) -> Iterator[sync_pb2.Frame]:
        """The segments that may go out now. Call again after an `Ack` or a commit."""
        if not self.greeted:
            return
        self._retransmit(now)
        origins = self._served()
        idle = 0
        while origins and idle < len(origins) and self._unacked_bytes < self._window():
            self._turn = (self._turn + 1) % len(origins)
            feed = self._replica.feeds[origins[self._turn]]
            frame = self._next_segment(feed, now)
            if frame is None:
                idle += 1
                continue
            idle = 0
            yield frame
        self._limited = self._unacked_bytes >= self._window()

    def _served(self) -> list[str]:
        """The feeds that go to this peer. Feeds are never forgotten, so their count tells news."""
        known = len(self._replica.feeds)
        if self._serving[0] != known:
            self._serving = (known, [one for one in self._replica.feeds if self.serves(one)])
        return [one for one in self._serving[1] if one not in self.conflicts]

    def _window(self) -> int:
        return min(UNACKED_BYTES_MAX, WINDOW_SEGMENTS * self._segment_bytes())

    def _segment_bytes(self) -> int:
        wanted = int(self._rate * SEGMENT_TARGET_SECONDS)
        return max(SEGMENT_BYTES_MIN, min(SEGMENT_BYTES_MAX, wanted))

    def _next_segment(self, feed: FeedState, now: float) -> sync_pb2.Frame | None:
        flow = self._outflows.get(feed.origin)
        if flow is None:
            flow = self._outflows[feed.origin] = _Outflow(0, 0, flush=self.peer_recovers)
        if flow.deferred or feed.head is None or feed.frozen or now < flow.paused_until:
            return None
        stop = self._replica.roster.stop_of(feed.origin)
        if stop is not None and flow.cursor >= stop:
            return None  # nobody takes what lies behind the end of an epoch
        if flow.cursor >= feed.size and (not flow.flush or flow.announced >= feed.head.size):
            flow.flush = False
            return None
        if not flow.flush and not self._has_readable(feed, flow):
            return None
        cut = cut_segment(
            self._replica.store,
            feed,
            self.peer,
            flow.cursor,
            self._segment_bytes(),
            announced=flow.announced,
        )
        if cut is None:
            return None
        frame = sync_pb2.Frame(segment=cut.segment)
        size_bytes = cut.segment.ByteSize()
        flow.cursor = cut.stop
        flow.announced = max(flow.announced, feed.head.size if cut.segment.rest else cut.stop)
        if cut.segment.items:
            flow.flights.append(_Flight(cut.stop, size_bytes, now))
            self._unacked_bytes += size_bytes
        return frame

    def _has_readable(self, feed: FeedState, flow: _Outflow) -> bool:
        """Whether anything from the cursor on is readable; looks at each entry once."""
        start = max(flow.cursor, flow.scanned)
        if start >= feed.size:
            return False
        if any_readable(self._replica.store, feed, self.peer, start):
            return True
        flow.scanned = feed.size
        return False

    def _retransmit(self, now: float) -> None:
        """Go back to what is acknowledged where the peer has been silent for too long."""
        for flow in self._outflows.values():
            if flow.flights and now >= flow.flights[0].sent + self._patience(flow):
                # A peer that is just slow must not be sent the same again and again.
                flow.silences = min(flow.silences + 1, SILENCES_MAX)
                self._rewind(flow)
            if flow.paused_until <= now:
                flow.paused_until = 0.0  # or it would be a timer that is always due
                flow.deferred = False

    def _patience(self, flow: _Outflow) -> float:
        """How many seconds an acknowledgement may take."""
        expected = max(ACK_SECONDS_MAX, 4 * self._unacked_bytes / max(self._rate, 1.0))
        return expected * float(1 << flow.silences)

    def _rewind(self, flow: _Outflow) -> None:
        self._unacked_bytes -= sum(flight.size_bytes for flight in flow.flights)
        flow.flights.clear()
        flow.cursor = flow.scanned = flow.acked

    def on_ack(self, message: sync_pb2.Ack, now: float) -> None:
        """The peer durably holds so much; what it can't verify yet waits for its next word."""
        flow = self._outflows.get(message.origin)
        feed = self._replica.feeds.get(message.origin)
        if flow is None or feed is None:
            return
        if message.deferred:
            self._rewind(flow)
            flow.deferred = True
            flow.paused_until = now + REFUSED_PAUSE_SECONDS_MAX  # in case the word is lost
            return
        if flow.deferred:
            flow.deferred = False
            flow.paused_until = 0.0
            flow.acked = flow.cursor = message.size
            return
        flow.acked = max(flow.acked, message.size)
        flow.cursor = max(flow.cursor, flow.acked)
        flow.pause_seconds = REFUSED_PAUSE_SECONDS_MIN
        acked_bytes = 0
        sent = now
        while flow.flights and flow.flights[0].stop <= message.size:
            flight = flow.flights.popleft()
            acked_bytes += flight.size_bytes
            sent = min(sent, flight.sent)
        if acked_bytes:
            flow.silences = 0
            self._unacked_bytes -= acked_bytes
            elapsed = max(now - max(sent, self._acked_at), 1e-3)
            measured = acked_bytes / elapsed
            # A link that had little to carry says nothing about what it could carry.
            if measured > self._rate or self._limited:
                self._rate += _RATE_WEIGHT * (measured - self._rate)
            self._acked_at = now

    def on_refusal(self, origin: str, code: Code, now: float) -> None:
        """A segment was refused: go back to what the peer holds, and wait unless one was lost."""
        flow = self._outflows.get(origin)
        if flow is None:
            return
        self._rewind(flow)
        if code is not Code.START_MISMATCH:
            flow.paused_until = now + flow.pause_seconds
            flow.pause_seconds = min(2 * flow.pause_seconds, REFUSED_PAUSE_SECONDS_MAX)

    def next_timer(self) -> float:
        """When `pump` has something to do though nothing happened; monotonic seconds."""
        timers = [
            flow.flights[0].sent + self._patience(flow) if flow.flights else flow.paused_until
            for flow in self._outflows.values()
            if flow.flights or flow.paused_until
        ]
        return min(timers, default=float("inf"))

    # Late answers.

    def answer(
        self, want: sync_pb2.Want, entries: list[sync_pb2.DisclosedEntry]
    ) -> Iterator[sync_pb2.Frame]:
        """`entries` in frames of at most a segment's bytes; the last says so."""
        frame = sync_pb2.Disclose(origin=want.origin, start=want.start, stop=want.stop)
        size_bytes = 0
        for entry in entries:
            entry_bytes = entry.ByteSize()
            if size_bytes + entry_bytes > SEGMENT_BYTES_MAX:
                yield sync_pb2.Frame(disclose=frame)
                frame = sync_pb2.Disclose(origin=want.origin, start=want.start, stop=want.stop)
                size_bytes = 0
            frame.entries.append(entry)
            size_bytes += entry_bytes
        frame.last = True
        yield sync_pb2.Frame(disclose=frame)
