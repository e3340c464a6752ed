"""Taking an acknowledgement of a bundle: the receipt file, or the short code that a person says.

A receipt is the recipient's word on what it holds, cosignatures included, and it is the word that
counts: where it holds less than it once did, the next bundle begins there. A short code says that
the bundle was read, so it stands for everything the bundle took its recipient to.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from huying.common import limits
from huying.common.bundles.bundle import check_receipt, parse_receipt
from huying.common.bundles.bundle_ledger import BundlePeer
from huying.common.bundles.carriage import WANT_BYTES_MAX, LedgerFactory, file_session
from huying.common.bundles.short_code import parse_short_code, short_code
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.feed.segment import parse_frame
from huying.common.integrity.witness import adopt_cosignature
from huying.common.membership.roster import EpochStatus
from huying.common.sync.session import Session
from huying.wire.v1 import bundle_pb2, sync_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["TakeReceipt", "TakeShortCode", "Taken"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A bundle that its recipient acknowledged."""

    recipient: str
    number: int
    outstanding: int  # bundles written since, of which nothing is known


@dataclass(frozen=True, slots=True)
class TakeReceipt:
    """The operation that takes a receipt file."""

    data: bytes = field(repr=False)
    open_ledger: LedgerFactory = field(repr=False)

    def run(self, engine: Engine) -> Taken:
        """Take it, or nothing of it.

        Raises HuyingError: as `parse_receipt`; BUNDLE_NOT_FOR_US for a receipt of another node's
        bundle; NOT_ENROLLED where its writer or the writer's key is not known; REVOKED where the
        key was; BUNDLE_TAMPERED;
        BUNDLE_OUT_OF_ORDER for one that is older than one taken.
        """
        body, signed, signature = parse_receipt(self.data)
        own = engine.identity
        if body.sender != own.code or body.network != own.network:
            raise HuyingError(
                Code.BUNDLE_NOT_FOR_US, f"a receipt for {body.sender}, this is {own.code}"
            )
        session = file_session(engine, body.recipient)
        epoch = engine.roster.epoch(body.origin)
        if epoch is None:
            raise HuyingError(Code.NOT_ENROLLED, f"{body.origin}: nobody named its key here")
        if epoch.status is EpochStatus.REVOKED:
            raise HuyingError(Code.REVOKED, f"{body.origin} signed the receipt")
        check_receipt(signed, signature, epoch.key)
        ledger = self.open_ledger(engine.replica.store)
        peer = ledger.bundle_peer(body.recipient)
        if body.number < peer.confirmed:
            raise HuyingError(
                Code.BUNDLE_OUT_OF_ORDER,
                f"a receipt for number {body.number}; number {peer.confirmed} is acknowledged",
            )
        ledger.put_bundle_peer(_acknowledged(engine, session, body, peer))
        engine.contacts[body.recipient] = engine.clock.now()
        return Taken(body.recipient, body.number, max(0, peer.exported - body.number))


@dataclass(frozen=True, slots=True)
class TakeShortCode:
    """The operation that takes a short code."""

    recipient: str
    typed: str = field(repr=False)
    open_ledger: LedgerFactory = field(repr=False)

    def run(self, engine: Engine) -> Taken:
        """Take it.

        Raises HuyingError: INVALID_ARGUMENT for a mistyped code; NOT_ENROLLED for who is no
        neighbour; NOT_FOUND for a code that is none of the bundles written for it.
        """
        code = parse_short_code(self.typed)
        file_session(engine, self.recipient)
        ledger = self.open_ledger(engine.replica.store)
        peer = ledger.bundle_peer(self.recipient)
        for sent in ledger.sent_bundles(self.recipient):
            if hmac.compare_digest(short_code(sent.secret), code):
                acked = {**peer.acked, **sent.sizes}
                if sent.number >= peer.confirmed:
                    ledger.put_bundle_peer(replace(peer, confirmed=sent.number, acked=acked))
                engine.contacts[self.recipient] = engine.clock.now()
                return Taken(self.recipient, sent.number, max(0, peer.exported - sent.number))
        raise HuyingError(
            Code.NOT_FOUND,
            f"no bundle written for {self.recipient} has this code; it is well typed",
        )


def _acknowledged(
    engine: Engine, session: Session, body: bundle_pb2.BundleReceiptBody, peer: BundlePeer
) -> BundlePeer:
    """Where the peer stands by its own word; keeps the cosignatures it returned."""
    acked: dict[str, int] = {}
    wants: list[bytes] = []
    for data in body.frames:
        frame = parse_frame(data)
        kind = frame.WhichOneof("frame")
        if kind == "want":
            if len(wants) < limits.BUNDLE_WANTS_MAX and len(data) <= WANT_BYTES_MAX:
                wants.append(data)
        elif kind == "ack" and session.serves_safely(frame.ack.origin):
            feed = engine.replica.feeds.get(frame.ack.origin)
            if feed is not None:
                acked[frame.ack.origin] = min(frame.ack.size, feed.size)
                _adopt(engine, session, frame.ack)
    return replace(
        peer,
        acked=acked,
        confirmed=body.number,
        exported=max(peer.exported, body.number),
        wants=tuple(wants),
    )


def _adopt(engine: Engine, session: Session, ack: sync_pb2.Ack) -> None:
    """Keep a cosignature of the own feed; the acknowledgement stands without it."""
    if not ack.cosigned or ack.origin != engine.identity.origin:
        return
    try:
        adopt_cosignature(engine.replica, session.peer, ack.cosigned)
    except HuyingError as error:
        if error.code in STORE_FAULTS:
            raise
        engine.alarm(error.code, ack.origin, session.peer, error.detail)
