"""What an operator decides about keys, each as one transaction of the engine.

    RotateFeed   close the own epoch and go on under another key
    RenewKeys    announce a new certificate or HPKE key
    Revoke       end a child's epoch at the size held here
    Confirm      let a key count that a parent below enrolled without the old key's word
    Accept       take over the keys that a child claims
    Reenter      list what of the own feed was stranded, and write it again

Nothing of it needs a link: a node that is cut off rotates as well, and a parent revokes what it
holds. docs/FEED.md, "Keys".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from huying.common.codes import ancestors, parse_origin
from huying.common.effects import AppendReceipt, DraftEntry, Notice, NoticeKind
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.feed.note import Signer
from huying.common.intake import judge_entry
from huying.common.limits import STRANDED_ENTRIES_MAX
from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import EpochStatus
from huying.common.membership.succession import make_succession
from huying.common.records.registry import STATEMENT_TYPES
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from huying.common.engine import Engine

__all__ = [
    "Accept",
    "Confirm",
    "Reenter",
    "RenewKeys",
    "Revoke",
    "RotateFeed",
    "Rotated",
    "Stranded",
    "begin_epoch",
    "check_may_write",
    "statement_draft",
]


def check_may_write(engine: Engine) -> None:
    """Refuse where the node must not write its own feed now.

    Raises HuyingError(RECOVERING, FORKED or DRAINING), or BUSY in the seconds after a start in
    which the parent is asked.
    """
    refusals = {
        "recovering": Code.RECOVERING,
        "forked": Code.FORKED,
        "draining": Code.DRAINING,
    }
    if engine.state in refusals:
        raise HuyingError(refusals[engine.state], engine.identity.code)
    if not engine.confirmed:
        raise HuyingError(Code.BUSY, "the parent has not confirmed this feed yet; try again")


def statement_draft(engine: Engine, kind: int, type_: int, message: Message) -> DraftEntry:
    """An entry about trust, for all above and below to read; the same words are written once."""
    said = message.SerializeToString(deterministic=True)
    place = f"{engine.identity.origin} {type_}\n".encode()
    return DraftEntry(
        kind=kind,
        type=type_,
        message=message,
        record=sha256(b"huying/statement/v1\n" + place + said).digest()[:16],
        request_id=sha256(b"huying/statement-request/v1\n" + place + said).digest()[:16],
    )


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a change of epochs did."""

    origin: str  # of the feed that is written from now on
    closed_origin: str
    closed_size: int


def begin_epoch(
    engine: Engine,
    signer: Signer,
    succession: trust_pb2.Succession,
    lost: tuple[trust_pb2.IndexRange, ...] = (),
) -> AppendReceipt:
    """Open the own feed's next epoch, within the transaction; its first entry says what it follows.

    Raises HuyingError(KEY) where the signer is not of the next epoch.
    """
    if parse_origin(signer.name).epoch <= engine.identity.epoch:
        raise HuyingError(Code.KEY, f"{signer.name} is no later epoch of this node")
    replica, roster = engine.replica, engine.roster
    replica.statements.keep()
    if roster.feed_key(signer.name) is None:
        roster.open_epoch(signer.key)
    replica.begin_epoch(signer)
    opening = trust_pb2.Open(succession=succession, lost=lost)
    draft = statement_draft(engine, feed_pb2.KIND_OPEN, feed_pb2.RECORD_TYPE_OPEN, opening)
    (receipt,) = replica.append((draft,))
    engine.rounds.pulse_soon()  # or readers would not know for a minute whether it is alive
    engine.notify(Notice(NoticeKind.EPOCH, signer.name))
    return receipt


@dataclass(frozen=True, slots=True)
class RotateFeed:
    """Close the own epoch; `signer` signs the next. The key's file must be durable already."""

    signer: Signer
    detail: str = ""

    def run(self, engine: Engine) -> Rotated:
        """Raises HuyingError(KEY), or as `check_may_write`."""
        check_may_write(engine)
        replica, old = engine.replica, engine.identity.feed_signer
        replica.flush()
        own = replica.own
        reason = trust_pb2.SUCCESSION_REASON_ROTATED
        close = trust_pb2.Close(
            succession=make_succession(
                own.origin,
                own.size,
                replica.root_at(own, own.size),
                self.signer,
                old,
                reason,
                self.detail,
            )
        )
        replica.append(
            (statement_draft(engine, feed_pb2.KIND_CLOSE, feed_pb2.RECORD_TYPE_CLOSE, close),)
        )
        replica.flush()
        final = replica.own
        if engine.roster.feed_key(self.signer.name) != self.signer.key:
            raise HuyingError(Code.KEY, f"{self.signer.name} is not the key of the next epoch")
        follows = make_succession(
            final.origin,
            final.size,
            replica.root_at(final, final.size),
            self.signer,
            old,
            reason,
            self.detail,
        )
        begin_epoch(engine, self.signer, follows)
        return Rotated(self.signer.name, final.origin, final.size)


@dataclass(frozen=True, slots=True)
class RenewKeys:
    """Announce a new certificate (DER) or HPKE key; an empty one stays as it is."""

    certificate: bytes = b""
    hpke_key: bytes = b""

    def run(self, engine: Engine) -> AppendReceipt:
        """Raises as `check_may_write`, and HuyingError(INVALID_ARGUMENT)."""
        check_may_write(engine)
        message = trust_pb2.NodeKeys(certificate=self.certificate, hpke_key=self.hpke_key)
        kind, type_ = feed_pb2.KIND_ROSTER, feed_pb2.RECORD_TYPE_NODE_KEYS
        (receipt,) = engine.replica.append((statement_draft(engine, kind, type_, message),))
        return receipt


@dataclass(frozen=True, slots=True)
class Revoke:
    """End the newest epoch of a child where this node stands with it."""

    code: str
    reason: str

    def run(self, engine: Engine) -> AppendReceipt:
        """Raises HuyingError(NOT_FOUND) for what is no child, or as `check_may_write`."""
        check_may_write(engine)
        replica, pin = engine.replica, engine.roster.children.get(self.code)
        if pin is None:
            raise HuyingError(Code.NOT_FOUND, f"{self.code} is no child of this node")
        replica.flush()  # what came in this transaction counts
        epochs = engine.roster.epochs_of(self.code)
        counted = [one for one in epochs if one.status is EpochStatus.ACTIVE] or epochs[-1:]
        epoch = counted[-1]
        feed = replica.feeds.get(epoch.origin)
        size = feed.size if feed is not None else 0
        revocation = trust_pb2.Revocation(
            origin=epoch.origin,
            size=size,
            root=replica.root_at(feed, size) if feed is not None else b"",
            reason=self.reason,
        )
        member = member_message(replace(pin, feed_key=str(epoch.key)), None, revocation)
        (receipt,) = replica.append((member_draft(member, engine.identity.code),))
        return receipt


@dataclass(frozen=True, slots=True)
class Confirm:
    """Let the key count that waits for a grandchild, or somebody further down."""

    code: str
    reason: str

    def run(self, engine: Engine) -> AppendReceipt:
        """Raises HuyingError(NOT_FOUND) where no key of it waits for this node's word."""
        check_may_write(engine)
        own = engine.identity.code
        waiting = [one for one in engine.roster.waiting() if one.pin.code == self.code]
        waiting = [one for one in waiting if own in ancestors(one.writer)]
        if not waiting:
            raise HuyingError(Code.NOT_FOUND, f"no key of {self.code} waits for {own}")
        message = trust_pb2.Confirmation(
            code=self.code, feed_key=waiting[-1].pin.feed_key, reason=self.reason
        )
        kind, type_ = feed_pb2.KIND_ROSTER, feed_pb2.RECORD_TYPE_CONFIRMATION
        (receipt,) = engine.replica.append((statement_draft(engine, kind, type_, message),))
        return receipt


@dataclass(frozen=True, slots=True)
class Accept:
    """Name the key that a child claims in its greeting, with what it shows for it."""

    code: str

    def run(self, engine: Engine) -> AppendReceipt:
        """Raises HuyingError(NOT_FOUND) where the child claims nothing, or as `check_may_write`."""
        check_may_write(engine)
        claim = engine.claims.heard.get(self.code)
        pin = engine.roster.children.get(self.code)
        if claim is None or pin is None:
            detail = f"{self.code} claims no other key; a claim is heard when the child links anew"
            raise HuyingError(Code.NOT_FOUND, f"{detail}, within a minute or so: huying status")
        member = member_message(replace(pin, feed_key=claim.feed_key), claim)
        (receipt,) = engine.replica.append((member_draft(member, engine.identity.code),))
        engine.claims.heard.pop(self.code)
        return receipt


@dataclass(frozen=True, slots=True)
class Stranded:
    """An own entry behind the end that a revocation set."""

    origin: str
    index: int
    type: int
    record: bytes
    reentered: bool


@dataclass(frozen=True, slots=True)
class Reenter:
    """List the stranded entries held here; `write`: say those of the own feed again, once each."""

    write: bool

    def run(self, engine: Engine) -> list[Stranded]:
        """Raises as `check_may_write` where it writes; REVOKED where the own epoch is the one."""
        replica, roster = engine.replica, engine.roster
        if self.write:
            check_may_write(engine)
            epoch = roster.epoch(engine.identity.origin)
            if epoch is not None and epoch.status is EpochStatus.REVOKED:
                raise HuyingError(Code.REVOKED, "begin a new epoch first")
        found: list[Stranded] = []
        for feed in list(replica.feeds.values()):
            epoch = roster.epoch(feed.origin)
            if epoch is None or epoch.stop is None or epoch.stop >= feed.size:
                continue
            own = parse_origin(feed.origin).code == engine.identity.code
            stop = min(feed.size, epoch.stop + STRANDED_ENTRIES_MAX - len(found))
            reader = replica.reader_of(feed)
            stored = replica.store.entries(feed.feed_id, epoch.stop, stop)
            for index, entry in enumerate(stored, start=epoch.stop):
                if entry.leaf is None:
                    continue
                verdict = judge_entry(reader, entry.leaf, unpack_openings(entry.openings))
                if verdict.head is None or verdict.message is None:
                    continue
                request = sha256(b"huying/stranded/v1\n%b %d" % (feed.origin.encode(), index))
                request_id = request.digest()[:16]
                known = own and replica.known_request(request_id) is not None
                again = own and verdict.head.type not in STATEMENT_TYPES
                if self.write and again and not known:
                    replica.append(
                        (
                            DraftEntry(
                                verdict.head.kind,
                                verdict.head.type,
                                verdict.message,
                                verdict.head.record,
                                tuple(verdict.head.to),
                                request_id,
                            ),
                        )
                    )
                    known = True
                record = verdict.head.record
                found.append(Stranded(feed.origin, index, verdict.head.type, record, known))
        return found
