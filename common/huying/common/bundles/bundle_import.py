"""Reading a bundle: every check in a fixed order, then all of it in one transaction, or nothing.

1. whole: the file is a bundle and does not end early           BUNDLE_TRUNCATED, BUNDLE_TAMPERED
2. ours: this network, this node                                BUNDLE_NOT_FOR_US
3. true: the sender is a neighbour, its signature verifies,
   the seal opens, the content unpacks                          NOT_ENROLLED, BUNDLE_TAMPERED
4. in turn: not imported before, not older than one that was,
   and nothing it takes for granted is missing      BUNDLE_REPEATED, BUNDLE_OUT_OF_ORDER, BUNDLE_GAP

Then its frames are handled as if a link had brought them. A feed that is refused (it is frozen, or
ended) stops no other; it is named. A sender that began another epoch behind the gap signs by a key
that only the bundle itself can bring: then the signature is checked once its content was heard,
inside the transaction, which undoes all of it where the key did not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from huying.common import limits
from huying.common.bundles.bundle import (
    Parcel,
    check_signature,
    open_payload,
    parse_bundle,
    sign_receipt,
)
from huying.common.bundles.bundle_ledger import BundleLedger, BundlePeer
from huying.common.bundles.carriage import WANT_BYTES_MAX, LedgerFactory, file_session, questions
from huying.common.bundles.short_code import short_code
from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.feed.segment import parse_frame
from huying.common.membership.roster import EpochStatus
from huying.common.state import Missing
from huying.common.sync.pulse import peek_pulse
from huying.common.sync.session import Session
from huying.wire.v1 import bundle_pb2, feed_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["ImportBundle", "Imported"]


@dataclass(frozen=True, slots=True)
class Imported:
    """A bundle that was read."""

    sender: str
    number: int
    entries: int  # that were news
    skipped: tuple[str, ...]  # feeds of which something was refused
    receipt: bytes = field(repr=False)
    code: str = field(repr=False)  # the short code


@dataclass(frozen=True, slots=True)
class ImportBundle:
    """The operation that reads one bundle."""

    data: bytes = field(repr=False)
    keys: Sequence[SealKey] = field(repr=False)  # this node's, the newest first
    open_ledger: LedgerFactory = field(repr=False)

    def run(self, engine: Engine) -> Imported:
        """Raises HuyingError as the module says, and what the sender's greeting is refused with."""
        parcel = parse_bundle(self.data)
        header, own = parcel.header, engine.identity
        if header.recipient != own.code or header.network != own.network:
            raise HuyingError(
                Code.BUNDLE_NOT_FOR_US, f"it is for {header.recipient}, this is {own.code}"
            )
        session = file_session(engine, header.sender)
        verified = _verify(engine, parcel)
        payload = open_payload(parcel, self.keys)
        ledger = self.open_ledger(engine.replica.store)
        peer = ledger.bundle_peer(header.sender)
        _check_turn(parcel, peer, ledger)
        delivery = _Delivery(engine, session, peer)
        for data in payload.frames:
            delivery.take(data)
        engine.appends.project()
        if not verified and not _verify(engine, parcel):
            raise HuyingError(Code.NOT_ENROLLED, f"{header.origin}: nobody named its key here")
        delivery.finish()
        now = engine.clock.now()
        ledger.put_bundle_peer(
            replace(
                delivery.peer,
                imported=header.number,
                wants=tuple(delivery.wants),
                exported=max(peer.exported, payload.imported),
                confirmed=max(peer.confirmed, payload.imported),
            )
        )
        ledger.add_imported_bundle(header.sender, header.number, parcel.digest, now)
        engine.replica.commit()  # so that the receipt can show what this node cosigns by it
        engine.contacts[header.sender] = now
        return Imported(
            sender=header.sender,
            number=header.number,
            entries=delivery.entries,
            skipped=tuple(delivery.skipped),
            receipt=_receipt(engine, session, header),
            code=short_code(payload.secret),
        )


def _verify(engine: Engine, parcel: Parcel) -> bool:
    """Check the sender's signature; False where its key is not known yet.

    Raises HuyingError: BUNDLE_TAMPERED, or REVOKED for a key that was.
    """
    epoch = engine.roster.epoch(parcel.header.origin)
    if epoch is None:
        return False
    if epoch.status is EpochStatus.REVOKED:
        raise HuyingError(Code.REVOKED, f"{parcel.header.origin} signed the bundle")
    check_signature(parcel, epoch.key)
    return True


def _check_turn(parcel: Parcel, peer: BundlePeer, ledger: BundleLedger) -> None:
    """Step 4."""
    header = parcel.header
    known = ledger.imported_bundle(header.sender, header.number)
    if known == parcel.digest:
        raise HuyingError(Code.BUNDLE_REPEATED, f"number {header.number} of {header.sender}")
    newest = f"number {peer.imported} of {header.sender} is the newest imported"
    if header.number <= peer.imported:
        raise HuyingError(Code.BUNDLE_OUT_OF_ORDER, f"this is number {header.number}; {newest}")
    if header.after > peer.imported:
        raise HuyingError(
            Code.BUNDLE_GAP,
            f"number {header.after} of {header.sender} is missing: this is number {header.number},"
            f" which goes on behind it; {newest}",
        )


class _Delivery:
    """The frames of one bundle on their way into the replica."""

    def __init__(self, engine: Engine, session: Session, peer: BundlePeer) -> None:
        self.entries = 0
        self.skipped: dict[str, None] = {}
        self.wants: list[bytes] = []
        self.peer = peer
        self._engine = engine
        self._session = session
        self._missed = dict(engine.replica.missing)
        self._answered: list[sync_pb2.Disclose] = []

    def take(self, data: bytes) -> None:
        """Handle one frame. Raises HuyingError(FRAME_MALFORMED) and the like for a false bundle."""
        frame = parse_frame(data)
        kind = frame.WhichOneof("frame")
        if not self._session.greeted and kind != "hello":
            raise HuyingError(Code.UNEXPECTED_FRAME, f"{kind} before hello")
        if kind == "hello":
            self._greet(frame.hello)
        elif kind == "segment":
            self._take_segment(frame)
        elif kind == "disclose":
            self._take_safely(frame, frame.disclose.origin)
            if frame.disclose.last:
                self._answered.append(frame.disclose)
        elif kind == "want":
            if len(self.wants) < limits.BUNDLE_WANTS_MAX and len(data) <= WANT_BYTES_MAX:
                self.wants.append(data)
        elif kind == "pulse":
            self._take_pulse(frame)
        elif kind == "refusal" and frame.refusal.code == Code.FORK:
            self._engine.appends.project()  # evidence is checked by a key that may be news
            self._take_safely(frame, frame.refusal.origin)

    def _greet(self, hello: sync_pb2.Hello) -> None:
        """What the sender held when it wrote: an acknowledgement, though not a fresh one."""
        engine, session = self._engine, self._session
        session.on_hello(hello)
        engine.forks.greeted(session, hello)
        acked = dict(self.peer.acked)
        for held in hello.held:
            feed = engine.replica.feeds.get(held.origin)
            if feed is None or not session.serves_safely(held.origin):
                continue
            if held.origin in session.conflicts:
                detail = "the sender of the bundle holds another history"
                engine.alarm(Code.BAD_PROOF, held.origin, session.peer, detail)
            else:
                acked[held.origin] = max(acked.get(held.origin, 0), min(held.size, feed.size))
        self.peer = replace(self.peer, acked=acked)

    def _take_segment(self, frame: sync_pb2.Frame) -> None:
        engine, origin = self._engine, frame.segment.origin
        if origin in self.skipped:
            return
        if engine.roster.feed_key(origin) is None:
            engine.appends.project()  # an entry of this bundle may name it
        feed = engine.replica.feeds.get(origin)
        held = feed.size if feed is not None else 0
        if frame.segment.items and _stop(frame.segment) <= held:
            return  # bundles repeat what was not acknowledged
        if engine.roster.feed_key(origin) is None:
            engine.alarm(
                Code.UNKNOWN_ORIGIN, peer=self._session.peer, detail="nobody named its key"
            )
            self.skipped[origin[: limits.ORIGIN_BYTES_MAX]] = None
            return
        self._take_safely(frame, origin)
        feed = engine.replica.feeds.get(origin)
        self.entries += feed.size - held if feed is not None else 0

    def _take_safely(self, frame: sync_pb2.Frame, origin: str) -> None:
        """What is refused of one feed stops no other."""
        try:
            self._engine.conversation.take(self._session, frame)
        except HuyingError as error:
            known = self._engine.roster.feed_key(origin) is not None
            self._engine.forks.trouble(self._session, origin if known else "", error)
            self.skipped[origin[: limits.ORIGIN_BYTES_MAX]] = None

    def _take_pulse(self, frame: sync_pb2.Frame) -> None:
        """A bundle may have lain in a drawer: its pulses are as old as they say, at least."""
        engine = self._engine
        pulse = peek_pulse(frame.pulse)
        if pulse.reader != engine.identity.code or engine.roster.feed_key(pulse.origin) is None:
            return
        before = engine.observation(pulse.origin).pulse
        self._take_safely(frame, pulse.origin)
        seen = engine.observation(pulse.origin)
        if seen.pulse is not before and seen.pulse_observed is not None:
            seen.pulse_observed = min(seen.pulse_observed, pulse.time)

    def finish(self) -> None:
        """Name the feeds of which something was asked for, and is missing from the answer."""
        engine = self._engine
        now = engine.clock.now()
        for answer in self._answered:
            seen = engine.observation(answer.origin)
            asked = self._missed.get(answer.origin, ())
            rows = [
                row
                for row in engine.replica.missing.get(answer.origin, ())
                if row in asked and row.since <= now  # what was granted, nobody owes at once
            ]
            if not seen.withheld and any(_covers(answer, row) for row in rows):
                seen.withheld = True
                engine.withheld_gaps += 1
                engine.alarm(Code.WITHHELD, feed=answer.origin, detail="asked for, and not given")


def _covers(answer: sync_pb2.Disclose, row: Missing) -> bool:
    return answer.start < row.stop and row.start < answer.stop


def _stop(segment: feed_pb2.Segment) -> int:
    """The index after its last entry, as it says; it is counted again when it is decoded."""
    lengths = (1 if item.HasField("entry") else len(item.hidden) // 32 for item in segment.items)
    return segment.start + sum(lengths)


def _receipt(engine: Engine, session: Session, header: bundle_pb2.BundleHeader) -> bytes:
    """What is held now of every feed that the sender serves, and what is missing of them."""
    frames: list[bytes] = []
    for feed in engine.replica.feeds.values():
        if len(frames) >= limits.HELLO_FEEDS_MAX:
            break
        if session.accepts(feed.origin):
            ack = sync_pb2.Ack(origin=feed.origin, size=feed.size)
            if feed.cosigned is not None and parse_origin(feed.origin).code == header.sender:
                ack.cosigned = feed.cosigned.note
            frames.append(sync_pb2.Frame(ack=ack).SerializeToString())
    frames += [sync_pb2.Frame(want=one).SerializeToString() for one in questions(engine, session)]
    body = bundle_pb2.BundleReceiptBody(
        network=header.network,
        sender=header.sender,
        recipient=header.recipient,
        number=header.number,
        frames=frames,
        time_micros=int(engine.clock.now() * 1e6),
    )
    return sign_receipt(body, engine.identity.feed_signer)
