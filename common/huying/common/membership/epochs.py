"""What statements about keys do to the roster: who may say what, and when a key counts.

A parent names its children's keys (MEMBER), a feed its own next key (CLOSE, OPEN) and its node's
certificate (NODE_KEYS), and whoever stands above a parent confirms what the parent alone must not
decide (CONFIRMATION). The key of a later epoch counts where

a. a Close that the epoch before holds names it, which needs no one else's word;
b. its parent's Member carries the old key's signature;
c. its parent is the root of the line, above which nobody stands;
d. a Confirmation of somebody above the parent names it.

Otherwise it waits, and the feed with it. A key that changed without the old key's word is always
alarmed, even where it counts. What is refused is quarantined, and stays to be looked at.
docs/FEED.md, "Keys".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from huying.common.codes import Origin, ancestors, parse_origin
from huying.common.effects import DraftEntry, Notice, NoticeKind
from huying.common.errors import Code, HuyingError
from huying.common.limits import WAITING_KEYS_MAX
from huying.common.membership.certificates import check_certificate, check_hpke_key
from huying.common.membership.early_keys import EarlyKeys
from huying.common.membership.members import member_draft, member_message, says_as_much
from huying.common.membership.roster import EpochStatus, Pin
from huying.common.membership.succession import Succession, open_succession
from huying.common.records.registry import member_record
from huying.common.state import Applied
from huying.wire.v1 import feed_pb2, trust_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Announced", "Epochs"]

_ROTATED: Final = trust_pb2.SUCCESSION_REASON_ROTATED


@dataclass(frozen=True, slots=True)
class Announced:
    """A node's newest word on its own certificate, and the entry that says so."""

    certificate: bytes  # DER; empty where it never said
    origin: str
    index: int


class Epochs:
    """Keeps one engine's roster by what its feeds say."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._roster = engine.roster
        self._early = EarlyKeys(engine.roster)
        self._confirmed: dict[tuple[str, str], frozenset[str]] = {}  # (code, key): by whom
        # What the own feed has to say of its children, in this order: each key explains the next.
        self._owed: dict[str, tuple[trust_pb2.Member, ...]] = {}
        self._said: frozenset[str] = frozenset()  # the own feed named these children
        self._heard: frozenset[str] = frozenset()  # origins that a Member named
        self.announced: dict[str, Announced] = {}  # by code
        self.opened: trust_pb2.Succession | None = None  # the newest own epoch without a Close
        engine.replica.statements.reactions.update(
            {
                feed_pb2.RECORD_TYPE_MEMBER: self._on_member,
                feed_pb2.RECORD_TYPE_CLOSE: self._on_close,
                feed_pb2.RECORD_TYPE_OPEN: self._on_open,
                feed_pb2.RECORD_TYPE_CONFIRMATION: self._on_confirmation,
                feed_pb2.RECORD_TYPE_NODE_KEYS: self._on_node_keys,
            }
        )
        engine.replica.statements.keepers += (self._roster, self, self._early)

    # The transaction.

    def save(self) -> object:
        """What `restore` goes back to."""
        said = self._said, self._heard, self.opened
        return dict(self._confirmed), dict(self._owed), dict(self.announced), *said

    def restore(self, saved: object) -> None:
        """Forget what was learnt since `save`."""
        assert isinstance(saved, tuple)
        self._confirmed, self._owed, self.announced, *said = saved
        self._said, self._heard, self.opened = said

    def owed(self) -> tuple[DraftEntry, ...]:
        """What the own feed has to say of its children's own words."""
        return tuple(
            member_draft(message, self._roster.code)
            for messages in self._owed.values()
            for message in messages
        )

    def unsaid(self) -> list[Pin]:
        """The children that the operator named, and the own feed has not yet."""
        return [pin for code, pin in self._roster.children.items() if code not in self._said]

    # A parent's word.

    def _on_member(self, entry: Applied, replaying: bool) -> None:
        """Raises HuyingError(BAD_RECORD, KEY, TYPE_NOT_ALLOWED or KEY_CHANGED)."""
        member = entry.message
        assert isinstance(member, trust_pb2.Member)
        if entry.head.record != member_record(member.code):
            raise HuyingError(Code.BAD_RECORD, f"not the record of member {member.code}")
        pin = Pin(
            member.code,
            member.name,
            member.feed_key,
            member.witness_key,
            member.certificate_sha256,
            member.certificate,
            member.hpke_key,
            member.address,
        )
        _check_details(pin)
        key = self._roster.check(pin)
        if member.code == self._roster.code and entry.home == self._roster.code:
            raise HuyingError(Code.TYPE_NOT_ALLOWED, "nobody enrols itself")
        epoch = self._roster.epoch(key.name)
        if epoch is not None and epoch.key != key:
            self._alarm(key.name, f"{entry.home} names another key than the one known", replaying)
            raise HuyingError(Code.KEY_CHANGED, f"another key for {key.name} than the one known")
        self._judge_writer(entry.home, pin, is_known=epoch is not None)
        if member.HasField("revocation"):
            self._revoke(entry, member, replaying)
        elif epoch is not None:
            self._describe(entry.home, pin)
        elif self._roster.epochs_of(pin.code):
            self._succeed(entry, pin, replaying)
        else:
            self._roster.open_epoch(key)
            self._describe(entry.home, pin)
        self._heard |= {pin.origin}
        if entry.home == self._roster.code:
            self._said |= {pin.code}
            self._said_now(member)
        self._tell(replaying)

    def _judge_writer(self, writer: str, pin: Pin, *, is_known: bool) -> None:
        """Only a node's parent speaks for it, and somebody further up where no key is new.

        So a node can be taken over by its grandparent with the keys it has, but not with others.
        Raises HuyingError(TYPE_NOT_ALLOWED).
        """
        if writer not in ancestors(pin.code):
            raise HuyingError(Code.TYPE_NOT_ALLOWED, f"{writer} is not above {pin.code}")
        parent = self._roster.parent_of(pin.code)
        if writer == parent:
            return
        before = self._roster.pin(pin.code)
        is_same = is_known and before is not None and before.witness_key == pin.witness_key
        if not is_same:
            detail = f"{writer} names keys of {pin.code}, whose parent is {parent}"
            raise HuyingError(Code.TYPE_NOT_ALLOWED, detail)

    def _describe(self, writer: str, pin: Pin) -> None:
        roster = self._roster
        newest = roster.pin(pin.code)
        if newest is not None and _epoch(newest) > _epoch(pin):
            return  # an older Member, told again
        roster.enrol(pin.code, writer)
        epoch = roster.epoch(pin.origin)
        if epoch is not None and epoch.status is EpochStatus.REVOKED:
            return
        if writer == roster.code:
            roster.adopt(pin)
        elif pin.code in roster.children:
            roster.dismiss(pin.code)  # it moved to another parent
            self._close_links(pin.code, Code.NOT_ENROLLED, f"{writer} is its parent now")
        roster.describe(pin)

    def _succeed(self, entry: Applied, pin: Pin, replaying: bool) -> None:
        """The key of a later epoch: decide whether it counts, and what becomes of the last one."""
        roster, writer = self._roster, entry.home
        assert isinstance(entry.message, trust_pb2.Member)
        message = entry.message.succession
        last = roster.epochs_of(pin.code)[-1]
        known = [one.origin for one in roster.epochs_of(pin.code)]
        later = [origin for origin in known if parse_origin(origin).epoch > _epoch(pin)]
        if later and self._heard.isdisjoint(later) and self._is_history(pin, known[0], message):
            roster.open_epoch(roster.check(pin))
            roster.end_epoch(pin.origin, EpochStatus.CLOSED, None)
            return
        if parse_origin(last.origin).epoch >= _epoch(pin):
            detail = f"{pin.origin} is no later epoch than {last.origin}"
            raise HuyingError(Code.KEY_CHANGED, detail)
        succession = self._open(message, pin) if message.ByteSize() else None
        is_early = bool(message.old_signature) and self._early.is_early(entry)
        if not is_early:
            if succession is not None and self.has_word(succession):
                self._take_over(writer, pin, succession)
                return
            detail = f"{writer} names a key without the word of the old one"
            self._alarm(pin.origin, detail, replaying)
            by = self._confirmed.get((pin.code, pin.feed_key), frozenset())
            if roster.is_root(writer) or any(one in ancestors(writer) for one in by):
                self._take_over(writer, pin, succession)
                return
        waiting = {one.pin.feed_key for one in roster.waiting() if one.pin.code == pin.code}
        if len(waiting - {pin.feed_key}) >= WAITING_KEYS_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"{WAITING_KEYS_MAX} keys of it wait")
        roster.hold(pin, writer)
        if is_early:
            self._early.keep(entry, pin)
        if writer == roster.code:
            roster.adopt(pin)  # its link is its parent's own affair; what it signs has to wait

    def _is_history(self, pin: Pin, oldest: str, message: trust_pb2.Succession) -> bool:
        """Whether it is what a newcomer hears; one skipped between two known may be made up."""
        if _is_later(oldest, pin.origin):
            return True
        return message.ByteSize() > 0 and self._open(message, pin).is_explained

    def has_word(self, succession: Succession) -> bool:
        """Whether the key that counts until now signed it.

        One before it was replaced, and one that was revoked may be in anybody's hands.
        """
        last = self._roster.epochs_of(parse_origin(succession.origin).code)[-1:]
        return succession.is_explained and any(
            one.origin == succession.origin and one.status is not EpochStatus.REVOKED
            for one in last
        )

    def _open(self, message: trust_pb2.Succession, pin: Pin) -> Succession:
        """Raises HuyingError(KEY or BAD_SIGNATURE)."""
        succession = open_succession(message, self._roster.feed_key(message.origin))
        if str(succession.key) != pin.feed_key:
            raise HuyingError(Code.KEY, f"the succession names another key than {pin.origin}")
        return succession

    def _take_over(self, writer: str, pin: Pin, succession: Succession | None) -> None:
        """The key counts; every epoch before it is over."""
        roster = self._roster
        for epoch in roster.epochs_of(pin.code):
            if epoch.status is EpochStatus.ACTIVE:
                stop = None
                if succession is not None and succession.origin == epoch.origin:
                    stop = _stop(succession)
                    if succession.reason == _ROTATED:
                        self._early.closed_elsewhere(epoch.origin)
                roster.end_epoch(epoch.origin, EpochStatus.CLOSED, stop)
        roster.open_epoch(roster.check(pin))
        self._describe(writer, pin)

    def _revoke(self, entry: Applied, member: trust_pb2.Member, replaying: bool) -> None:
        revocation, roster = member.revocation, self._roster
        epoch = roster.epoch(revocation.origin)
        if epoch is None or revocation.origin != epoch.key.name:
            raise HuyingError(Code.BAD_RECORD, f"{revocation.origin} is not known")
        if str(epoch.key) != member.feed_key or entry.home != roster.parent_of(member.code):
            raise HuyingError(
                Code.TYPE_NOT_ALLOWED, f"{entry.home} may not revoke a key of {member.code}"
            )
        roster.end_epoch(
            epoch.origin, EpochStatus.REVOKED, revocation.size, revocation.reason[:200]
        )
        if member.code == roster.code:
            self._alarm(epoch.origin, f"{entry.home} revoked this node's key", replaying, True)
        newest = roster.pin(member.code)
        if newest is not None and newest.feed_key == member.feed_key:
            roster.dismiss(member.code)
            self._owed.pop(member.code, None)
            self._close_links(member.code, Code.REVOKED, f"revoked: {revocation.reason[:200]}")

    def _close_links(self, code: str, why: Code, detail: str) -> None:
        for session in list(self._engine.sessions.values()):
            if session.peer == code:
                self._engine.end(session, why, detail)

    # A feed's word about itself.

    def _on_close(self, entry: Applied, replaying: bool) -> None:
        """Raises HuyingError(BAD_RECORD, KEY, BAD_SIGNATURE or KEY_CHANGED)."""
        message, roster = entry.message, self._roster
        assert isinstance(message, trust_pb2.Close)
        origin = str(Origin(roster.network, entry.home, entry.epoch))
        succession = open_succession(message.succession, roster.feed_key(origin))
        if succession.origin != origin or succession.size != entry.index:
            raise HuyingError(Code.BAD_RECORD, "a Close closes its own feed, where it stands")
        if not succession.is_explained:
            raise HuyingError(Code.BAD_SIGNATURE, "a Close without the signature of its own key")
        known = roster.epoch(succession.key.name)
        if known is not None and known.key != succession.key:
            self._alarm(known.origin, "its Close names another key than the one known", replaying)
            raise HuyingError(Code.KEY_CHANGED, f"another key for {known.origin} is known")
        newest = roster.epochs_of(entry.home)[-1].origin
        if known is None and newest != origin and _is_later(succession.key.name, newest):
            self._alarm(newest, f"{origin} names another key to follow it", replaying)
            raise HuyingError(Code.KEY_CHANGED, f"{newest} follows {origin} already")
        roster.end_epoch(origin, EpochStatus.CLOSED, entry.index + 1)
        self._early.closed(origin)
        before = roster.pin(entry.home)
        if known is None:
            roster.open_epoch(succession.key)
            if before is not None and _epoch(before) < parse_origin(succession.key.name).epoch:
                roster.describe(replace(before, feed_key=str(succession.key)))
                if entry.home in roster.children:
                    after = replace(self._as_owed(before), feed_key=str(succession.key))
                    self._owe(after, message.succession)
        self._early.judge_again(
            lambda said, pin: self._succeed(said, pin, replaying),
            lambda pin, error: self._alarm(pin.origin, error.detail, replaying),
        )
        self._tell(replaying)

    def _on_open(self, entry: Applied, _replaying: bool) -> None:
        """Raises HuyingError(BAD_RECORD, KEY or BAD_SIGNATURE)."""
        message, roster = entry.message, self._roster
        assert isinstance(message, trust_pb2.Open)
        origin = str(Origin(roster.network, entry.home, entry.epoch))
        before = roster.feed_key(message.succession.origin)
        succession = open_succession(message.succession, before)
        if entry.index or succession.key.name != origin:
            raise HuyingError(Code.BAD_RECORD, "an Open is the first entry of the feed it names")
        if succession.key != roster.feed_key(origin):
            raise HuyingError(Code.KEY, "an Open names the key that signs its own feed")
        if entry.home == roster.code and succession.reason != _ROTATED:
            self.opened = message.succession
        if before is None and succession.named is not None and message.succession.old_signature:
            # A node that was told just the newest key learns how to read what came before it.
            roster.open_epoch(succession.named)
            roster.end_epoch(succession.origin, EpochStatus.CLOSED, None)

    def _on_node_keys(self, entry: Applied, replaying: bool) -> None:
        """A node's new certificate or HPKE key: its parent says so in turn, its children take it.

        Raises HuyingError(KEY).
        """
        message, roster = entry.message, self._roster
        assert isinstance(message, trust_pb2.NodeKeys)
        if message.certificate:
            check_certificate(message.certificate, entry.home)
        if message.hpke_key:
            check_hpke_key(message.hpke_key)
        origin = str(Origin(roster.network, entry.home, entry.epoch))
        before = self.announced.get(entry.home)
        if before is not None and _is_later(before.origin, origin):
            return  # history: a later epoch has spoken
        kept = before.certificate if before is not None else b""
        self.announced[entry.home] = Announced(message.certificate or kept, origin, entry.index)
        child = roster.children.get(entry.home)
        if child is not None and not _is_later(roster.epochs_of(entry.home)[-1].origin, origin):
            child = self._as_owed(child)
            certificate = message.certificate or child.certificate
            after = replace(
                child,
                certificate=certificate,
                certificate_sha256=(
                    sha256(certificate).digest() if certificate else child.certificate_sha256
                ),
                hpke_key=message.hpke_key or child.hpke_key,
            )
            if after != child:
                self._owe(after, None)
        self._tell(replaying)

    def _owe(self, pin: Pin, succession: trust_pb2.Succession | None) -> None:
        """Say this of a child soon, behind what it said before."""
        owed = self._owed.get(pin.code, ())
        self._owed[pin.code] = (*owed, member_message(pin, succession))

    def _as_owed(self, pin: Pin) -> Pin:
        """A child's keys, as they will be when all that is owed of it was said."""
        owed = self._owed.get(pin.code, ())
        if not owed:
            return pin
        last = owed[-1]
        return replace(
            pin,
            feed_key=last.feed_key,
            certificate=last.certificate,
            certificate_sha256=last.certificate_sha256,
            hpke_key=last.hpke_key,
        )

    def _said_now(self, member: trust_pb2.Member) -> None:
        """The own feed says this, and so nothing before it is owed any more."""
        owed = self._owed.get(member.code, ())
        said = [at for at, one in enumerate(owed) if says_as_much(member, one)]
        if said:
            owed = owed[said[0] + 1 :]
        self._owed = {code: rest for code, rest in self._owed.items() if code != member.code}
        if owed:
            self._owed[member.code] = owed

    # The word of somebody above the parent.

    def _on_confirmation(self, entry: Applied, replaying: bool) -> None:
        """Raises HuyingError(TYPE_NOT_ALLOWED)."""
        message, roster = entry.message, self._roster
        assert isinstance(message, trust_pb2.Confirmation)
        if entry.home not in ancestors(message.code):
            raise HuyingError(Code.TYPE_NOT_ALLOWED, f"{entry.home} is not above {message.code}")
        place = message.code, message.feed_key
        self._confirmed[place] = self._confirmed.get(place, frozenset()) | {entry.home}
        for waiting in roster.waiting():
            is_meant = (waiting.pin.code, waiting.pin.feed_key) == place
            if is_meant and entry.home in ancestors(waiting.writer):
                self._take_over(waiting.writer, waiting.pin, None)
        self._tell(replaying)

    # Telling.

    def _alarm(self, origin: str, detail: str, replaying: bool, is_revoked: bool = False) -> None:
        if not replaying:
            code = Code.REVOKED if is_revoked else Code.KEY_CHANGED
            self._engine.alarm(code, feed=origin, detail=detail)

    def _tell(self, replaying: bool) -> None:
        if not replaying:
            self._engine.notify(Notice(NoticeKind.ROSTER))


def _epoch(pin: Pin) -> int:
    return parse_origin(pin.origin).epoch


def _is_later(origin: str, other: str) -> bool:
    return parse_origin(origin).epoch > parse_origin(other).epoch


def _stop(succession: Succession) -> int | None:
    """Where the epoch before ends, by a succession that a parent passed on.

    A rotation's Close is the entry right behind the size it names. Where the end of the feed was
    lost, what others still hold of it stands. A new key without the old one's word ends it here.
    """
    if succession.reason == _ROTATED:
        return succession.size + 1
    if succession.is_explained:
        return None
    return succession.size


def _check_details(pin: Pin) -> None:
    """Raises HuyingError(KEY)."""
    if pin.certificate:
        check_certificate(pin.certificate, pin.code)
        if sha256(pin.certificate).digest() != pin.certificate_sha256:
            raise HuyingError(Code.KEY, f"the certificate of {pin.code} has another SHA-256")
    if pin.hpke_key:
        check_hpke_key(pin.hpke_key)
