"""Writing a bundle: what a session would have sent to one neighbour, for a gap no socket crosses.

A bundle opens with the greeting of a session, and holds what that session would bring: segments cut
for the recipient by the disclosure rule, answers to what it asked for, this node's own questions,
and the newest pulses. It begins at what the recipient is known to hold, which its receipts, its
short codes and its own bundles tell. Where nothing comes back, each bundle repeats all since then;
or, if the operator takes it that the last one arrived, it joins on to that one and says so.

Everything happens in one transaction with the bookkeeping, and nothing here knows of files.
docs/SYNC.md, "Bundles".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from huying.common import limits
from huying.common.bundles.bundle import seal_bundle
from huying.common.bundles.bundle_ledger import BundleLedger, BundlePeer, SentBundle
from huying.common.codes import ancestors, parse_origin
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.feed.segment import parse_frame
from huying.common.integrity.evidence import ForkEvidence
from huying.common.ports import Store
from huying.common.state import FeedState
from huying.common.sync.outgoing import cut_segment
from huying.common.sync.pulse import make_pulse
from huying.common.sync.session import Session
from huying.common.sync.wants import windows
from huying.wire.v1 import bundle_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = [
    "NO_LINK",
    "ExportBundle",
    "Exported",
    "LedgerFactory",
    "depth_of",
    "file_session",
    "questions",
]

WANT_BYTES_MAX: Final = 1024  # of one that is kept: a feed's name, numbers and slots

LedgerFactory = Callable[[Store], BundleLedger]

NO_LINK: Final = 0  # shells number their links from 1
_TAIL_BYTES: Final = limits.MIB  # kept free for the questions and the pulses
_FRAME_BYTES: Final = 6  # what a frame costs in the payload beside itself
_REFUSALS: Final = {"recovering": Code.RECOVERING, "forked": Code.FORKED}


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was written."""

    data: bytes = field(repr=False)
    number: int
    entries: int
    more: bool  # the limit of one bundle was reached; the next one goes on with `after_last`


@dataclass(slots=True)
class _Load:
    """The frames of a bundle in the making."""

    room_bytes: int
    frames: list[bytes] = field(default_factory=list)

    def add(self, frame: sync_pb2.Frame) -> bool:
        """Put a frame in, if it fits; False where it does not."""
        size_bytes = frame.ByteSize() + _FRAME_BYTES
        if size_bytes > self.room_bytes or len(self.frames) >= limits.BUNDLE_FRAMES_MAX:
            return False
        self.room_bytes -= size_bytes
        self.frames.append(frame.SerializeToString())
        return True


@dataclass(frozen=True, slots=True)
class ExportBundle:
    """The operation that writes one bundle."""

    recipient: str
    secret: bytes = field(repr=False)  # 16 random bytes
    open_ledger: LedgerFactory = field(repr=False)
    after_last: bool = False  # take it that what was written before has arrived
    from_start: bool = False  # take it that the recipient holds nothing
    payload_bytes_max: int = limits.BUNDLE_PAYLOAD_BYTES_MAX

    def run(self, engine: Engine) -> Exported:
        """Write it, and take note of it.

        Raises HuyingError: NOT_ENROLLED for who is no neighbour, KEY where no key of it is known
        to seal to, RECOVERING or FORKED where this node must not speak for its feed.
        """
        if (refusal := _REFUSALS.get(engine.state)) is not None:
            raise HuyingError(refusal, engine.identity.code)
        session = file_session(engine, self.recipient)
        pin = engine.roster.pin(self.recipient)
        if pin is None or not pin.hpke_key:
            raise HuyingError(Code.KEY, f"no key of {self.recipient} to seal to is known")
        ledger = self.open_ledger(engine.replica.store)
        peer = ledger.bundle_peer(self.recipient)
        if self.from_start:
            peer = replace(peer, acked={}, confirmed=0)
        sizes, after = self._joins(peer, ledger)
        load = _Load(self.payload_bytes_max - _TAIL_BYTES)
        load.add(engine.hello(session))
        reached, entries, more = _segments(engine, session, load, sizes)
        _answers(engine, session, load, peer)
        load.room_bytes += _TAIL_BYTES
        _evidence(engine, session, load)
        for want in questions(engine, session):
            load.add(sync_pb2.Frame(want=want))
        _pulses(engine, session, load, reached)
        number = peer.exported + 1
        header = bundle_pb2.BundleHeader(
            network=engine.identity.network,
            sender=engine.identity.code,
            recipient=self.recipient,
            number=number,
            time_micros=int(engine.clock.now() * 1e6),
            after=after,
        )
        payload = bundle_pb2.BundlePayload(
            frames=load.frames, secret=self.secret, imported=peer.imported
        )
        data, digest = seal_bundle(header, payload, pin.hpke_key, engine.identity.feed_signer)
        ledger.put_bundle_peer(replace(peer, exported=number))
        ledger.add_sent_bundle(
            SentBundle(self.recipient, number, digest, self.secret, reached), engine.clock.now()
        )
        return Exported(data, number, entries, more)

    def _joins(self, peer: BundlePeer, ledger: BundleLedger) -> tuple[Mapping[str, int], int]:
        """The sizes that the bundle joins on to, and the number they are known from."""
        if self.after_last and not self.from_start and peer.exported > peer.confirmed:
            for sent in ledger.sent_bundles(self.recipient)[:1]:
                return sent.sizes, sent.number
        return peer.acked, peer.confirmed


def file_session(engine: Engine, code: str) -> Session:
    """A session without a link: it tells which feeds travel between the two.

    Raises HuyingError(NOT_ENROLLED) where the node is neither the parent nor a child.
    """
    if code != engine.roster.parent and code not in engine.roster.children:
        raise HuyingError(
            Code.NOT_ENROLLED, f"{code} is neither the parent of {engine.identity.code} nor a child"
        )
    now = engine.clock.monotonic()
    return Session(engine.replica, NO_LINK, code, engine.direction_of(code), now)


def depth_of(origin: str) -> tuple[int, str, int]:
    """Sorts feeds so that whoever names a key comes before the feed that is signed by it."""
    parsed = parse_origin(origin)
    return len(ancestors(parsed.code)), parsed.code, parsed.epoch


def questions(engine: Engine, session: Session) -> Iterator[sync_pb2.Want]:
    """What is missing here and the peer may have, 1,024 windows at most."""
    left = limits.BUNDLE_WANTS_MAX
    own = engine.identity.origin
    for origin, rows in engine.replica.wanted().items():
        if origin != own and not session.accepts(origin):
            continue
        for want in windows(origin, rows):
            if not left:
                return
            left -= 1
            yield want


def _evidence(engine: Engine, session: Session, load: _Load) -> None:
    """Forks that were found; the peer may be the one that is to halt."""
    for feed in engine.replica.feeds.values():
        if feed.frozen and session.carries(feed.origin):
            refusal = ForkEvidence.decode(feed.frozen).refusal(feed.origin, "")
            load.add(sync_pb2.Frame(refusal=refusal))


def _segments(
    engine: Engine, session: Session, load: _Load, sizes: Mapping[str, int]
) -> tuple[dict[str, int], int, bool]:
    """Fill the load: the sizes it takes the peer to, its entries, and whether more is left."""
    reached: dict[str, int] = {}
    entries, more = 0, False
    served = [feed for feed in engine.replica.feeds.values() if session.serves(feed.origin)]
    for feed in sorted(served, key=lambda one: depth_of(one.origin)):
        start = min(sizes.get(feed.origin, 0), feed.size)
        stop, whole = _fill(engine, session, load, feed, start)
        reached[feed.origin] = stop
        entries += stop - start
        more = more or not whole
    return reached, entries, more


def _fill(
    engine: Engine, session: Session, load: _Load, feed: FeedState, start: int
) -> tuple[int, bool]:
    """(size reached, whether all of the feed is in)."""
    announced = feed.head is None or feed.head.size <= feed.size
    while start < feed.size or not announced:
        # Towards the end they grow smaller, so that the last of the room is used.
        aim = min(limits.SEGMENT_BYTES_MAX, max(limits.SEGMENT_BYTES_MIN, load.room_bytes // 2))
        cut = cut_segment(engine.replica.store, feed, session.peer, start, aim)
        if cut is None:
            break
        if not load.add(sync_pb2.Frame(segment=cut.segment)):
            return start, False
        start, announced = cut.stop, cut.stop >= feed.size
    return start, True


def _answers(engine: Engine, session: Session, load: _Load, peer: BundlePeer) -> None:
    """What the peer's newest bundle or receipt asked for, as far as it may have it."""
    for data in peer.wants:
        try:
            for frame in engine.conversation.take(session, parse_frame(data)):
                if not load.add(frame):
                    return
        except HuyingError as error:
            if error.code in STORE_FAULTS:
                raise


def _pulses(engine: Engine, session: Session, load: _Load, reached: Mapping[str, int]) -> None:
    """The newest pulses for the peer, of feeds that the bundle takes as far as they speak."""
    own = engine.replica.own
    if own.size and reached.get(own.origin) == own.size:
        root = engine.replica.root_at(own, own.size)
        pulse = make_pulse(
            engine.identity.feed_signer,
            session.peer,
            own.size,
            root,
            engine.clock.now(),
            own.classes,
        )
        load.add(sync_pb2.Frame(pulse=pulse))
    for origin, size, kept in engine.pulses.kept_for((session.peer,)):
        if origin != own.origin and reached.get(origin, -1) >= size:
            load.add(sync_pb2.Frame(pulse=kept))
