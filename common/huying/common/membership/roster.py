"""Whose signatures count: the keys this node was given, and those its feeds brought.

A node starts from *pins* (its ancestors, and what its operator names) and learns the rest from
statements: a parent's feed names its children's keys, a node's own feed names its next key, so
trust replicates like everything else. A key lives for one *epoch* of a feed, and each epoch is an
origin of its own; the roster keeps every epoch of every node it ever heard of, and the keys that
still wait for somebody's word. What may change it is decided in `huying.common.membership.epochs`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace

from huying.common.codes import ancestors, is_within, parse_origin, witness_name
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import KeyType, Signer, VerifierKey

__all__ = ["Epoch", "EpochStatus", "Identity", "Pin", "Roster", "Waiting"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, with the keys it signs with."""

    network: str
    code: str
    feed_signer: Signer  # its name is the origin, "<network>/feed/<code>/e<epoch>"
    witness_signer: Signer
    former: tuple[VerifierKey, ...] = ()  # feed keys of the node's epochs before

    @property
    def origin(self) -> str:
        """The name of the own feed's present epoch."""
        return self.feed_signer.name

    @property
    def epoch(self) -> int:
        """The number of the present epoch."""
        return parse_origin(self.origin).epoch


@dataclass(frozen=True, slots=True)
class Pin:
    """The public keys of one node. Keys are C2SP verifier key strings."""

    code: str
    name: str
    feed_key: str
    witness_key: str
    certificate_sha256: bytes = b""
    certificate: bytes = b""  # DER
    hpke_key: bytes = b""  # X25519, 32 bytes
    address: str = ""  # HOST:PORT its children dial

    @property
    def origin(self) -> str:
        """The epoch that the feed key is for. Raises HuyingError(KEY)."""
        return VerifierKey.parse(self.feed_key).name


class EpochStatus(enum.Enum):
    """Where an epoch stands here."""

    ACTIVE = "active"
    WAITING = "waiting"  # its key came without the old key's word, and nobody above confirmed it
    CLOSED = "closed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of one node's feed, whose key counts or once counted."""

    origin: str
    key: VerifierKey
    status: EpochStatus = EpochStatus.ACTIVE
    stop: int | None = None  # entries from this index on are refused; None: no bound is known
    reason: str = ""  # of a revocation, in the operator's words


@dataclass(frozen=True, slots=True)
class Waiting:
    """A key that its node's parent named, and that waits for the word of somebody above it."""

    pin: Pin
    writer: str  # the parent that named it


@dataclass(slots=True)
class _Known:
    """All that the roster has learnt; a transaction that fails goes back to a copy."""

    epochs: dict[str, Epoch]  # by origin
    origins: dict[str, tuple[str, ...]]  # by code, oldest first
    waiting: dict[str, Waiting]  # by feed key
    witnesses: dict[str, VerifierKey]  # by code
    pins: dict[str, Pin]  # by code: the newest epoch's keys
    enrolled_by: dict[str, str]  # by code: the parent that speaks for it
    certificates: dict[str, tuple[bytes, ...]]  # by code: DER, newest first, at most two
    children: dict[str, Pin]


class Roster:
    """Every key this node trusts, by origin and by code, and where each node stands."""

    def __init__(self, identity: Identity, parent: str | None, pins: Iterable[Pin]) -> None:
        self.code = identity.code
        self.network = identity.network
        self.parent = parent
        self._known = _Known({}, {}, {}, {}, {}, {}, {}, {})
        for key in (*identity.former, identity.feed_signer.key):
            self.open_epoch(key)
        for pin in pins:
            self.add(pin)
            if is_within(pin.code, self.code) and pin.code != self.code:
                self._known.children[pin.code] = pin
                self._known.enrolled_by[pin.code] = self.code

    # The transaction.

    def save(self) -> object:
        """What `restore` goes back to."""
        known = self._known
        return _Known(
            dict(known.epochs),
            dict(known.origins),
            dict(known.waiting),
            dict(known.witnesses),
            dict(known.pins),
            dict(known.enrolled_by),
            dict(known.certificates),
            dict(known.children),
        )

    def restore(self, saved: object) -> None:
        """Forget what was learnt since `save`."""
        assert isinstance(saved, _Known)
        self._known = saved

    # Learning.

    def check(self, pin: Pin) -> VerifierKey:
        """The feed key of keys that could be a node's of this network.

        Raises HuyingError(KEY) for a weak or malformed key, or a name that is not the node's.
        """
        feed_key = VerifierKey.parse(pin.feed_key)
        witness_key = VerifierKey.parse(pin.witness_key)
        origin = parse_origin(feed_key.name)
        if origin.network != self.network or origin.code != pin.code:
            raise HuyingError(Code.KEY, f"the feed key of {pin.code} is named {feed_key.name}")
        if witness_key.name != witness_name(self.network, pin.code):
            raise HuyingError(Code.KEY, f"the witness key of {pin.code} is {witness_key.name}'s")
        if feed_key.type is not KeyType.ORIGIN or witness_key.type is not KeyType.COSIGNATURE:
            raise HuyingError(Code.KEY, f"the keys of {pin.code} are of another use")
        return feed_key

    def add(self, pin: Pin) -> bool:
        """Trust a node's keys on the operator's word; True where the feed key is news.

        Raises as `check`, and HuyingError(KEY) for another key for an origin already known.
        """
        key = self.check(pin)
        known = self._known.epochs.get(key.name)
        if known is not None and known.key != key:
            raise HuyingError(Code.KEY, f"another key for {key.name} than the one known")
        if known is None:
            self.open_epoch(key)
        newest = self._known.pins.get(pin.code)
        if newest is None or parse_origin(newest.origin).epoch <= parse_origin(key.name).epoch:
            self.describe(pin)
        return known is None

    def describe(self, pin: Pin) -> None:
        """Take what a node's parent says of it now: name, address, and the keys beside the feed's.

        A new certificate does not end the one before, which the node may still be showing.
        """
        known = self._known
        known.witnesses[pin.code] = VerifierKey.parse(pin.witness_key)
        known.pins[pin.code] = pin
        if pin.code in known.children:
            known.children[pin.code] = pin
        if pin.certificate:
            before = known.certificates.get(pin.code, ())
            kept = tuple(one for one in before if one != pin.certificate)
            known.certificates[pin.code] = (pin.certificate, *kept)[:2]

    def open_epoch(self, key: VerifierKey) -> None:
        """A key counts from now on; what waited for its epoch, or for one before, is void."""
        named = parse_origin(key.name)
        code = named.code
        self._known.epochs[key.name] = Epoch(key.name, key)
        origins = {*self._known.origins.get(code, ()), key.name}
        self._known.origins[code] = tuple(sorted(origins, key=lambda one: parse_origin(one).epoch))
        for text, waiting in list(self._known.waiting.items()):
            meant = parse_origin(waiting.pin.origin)
            if meant.code == code and meant.epoch <= named.epoch:
                del self._known.waiting[text]

    def end_epoch(
        self, origin: str, status: EpochStatus, stop: int | None, reason: str = ""
    ) -> None:
        """An epoch is over; entries from `stop` on are refused. An earlier bound stays."""
        epoch = self._known.epochs[origin]
        bounds = [bound for bound in (epoch.stop, stop) if bound is not None]
        if epoch.status is EpochStatus.REVOKED:
            status, reason = epoch.status, epoch.reason
        self._known.epochs[origin] = replace(
            epoch, status=status, stop=min(bounds, default=None), reason=reason
        )

    def hold(self, pin: Pin, writer: str) -> None:
        """Keep a key that waits for somebody's word."""
        self._known.waiting[pin.feed_key] = Waiting(pin, writer)

    def enrol(self, code: str, writer: str) -> None:
        """`writer` is the parent that speaks for a node from now on."""
        self._known.enrolled_by[code] = writer

    def adopt(self, pin: Pin) -> None:
        """A node is a child of this one, whatever its feed key still waits for."""
        known = self._known
        before = known.children.get(pin.code)
        known.children[pin.code] = pin
        if before is not None and before.feed_key != pin.feed_key:
            known.certificates.pop(pin.code, None)  # made anew: what it showed before is void
        if pin.certificate:
            kept = [c for c in known.certificates.get(pin.code, ()) if c != pin.certificate]
            known.certificates[pin.code] = (pin.certificate, *kept)[:2]

    def dismiss(self, code: str) -> bool:
        """A node is a child of this one no more; False where it was none."""
        self._known.certificates.pop(code, None)
        return self._known.children.pop(code, None) is not None

    # Keys.

    def feed_key(self, origin: str) -> VerifierKey | None:
        """The key that signs this feed, or None where the roster does not tell yet."""
        epoch = self._known.epochs.get(origin)
        return epoch.key if epoch is not None else None

    def epoch(self, origin: str) -> Epoch | None:
        """An epoch whose key counts, or once counted."""
        return self._known.epochs.get(origin)

    def epochs_of(self, code: str) -> tuple[Epoch, ...]:
        """A node's epochs, oldest first; those that wait are not among them."""
        return tuple(self._known.epochs[one] for one in self._known.origins.get(code, ()))

    def waiting(self) -> tuple[Waiting, ...]:
        """The keys that wait for somebody's word."""
        return tuple(self._known.waiting.values())

    def stop_of(self, origin: str) -> int | None:
        """The index from which on entries of this feed are refused, if it was ended at one."""
        epoch = self._known.epochs.get(origin)
        return epoch.stop if epoch is not None else None

    def feed_keys_of(self, code: str) -> tuple[VerifierKey, ...]:
        """The key of the newest epoch known of a node, if any."""
        return tuple(epoch.key for epoch in self.epochs_of(code)[-1:])

    def witness_keys(self) -> tuple[VerifierKey, ...]:
        """The keys of all known witnesses."""
        return tuple(self._known.witnesses.values())

    def witness_key(self, code: str) -> VerifierKey | None:
        """One node's witness key."""
        return self._known.witnesses.get(code)

    def certificates_of(self, code: str) -> tuple[bytes, ...]:
        """The TLS certificates (DER) that a node may show: the newest, and the one before it."""
        return self._known.certificates.get(code, ())

    # Nodes.

    @property
    def children(self) -> dict[str, Pin]:
        """This node's children, by code. A revoked one is none until it is enrolled anew."""
        return self._known.children

    def is_member(self, code: str) -> bool:
        """Whether the node is known here: what is kept for others is kept for these alone."""
        return code in self._known.pins

    def pin(self, code: str) -> Pin | None:
        """What is known of a node's newest epoch."""
        return self._known.pins.get(code)

    def pins(self) -> tuple[Pin, ...]:
        """Every known node's keys, in the order they were learnt."""
        return tuple(self._known.pins.values())

    def name(self, code: str) -> str:
        """What a node's division is called; empty where nobody said."""
        pin = self._known.pins.get(code)
        return pin.name if pin is not None else ""

    def is_witness_of(self, code: str) -> bool:
        """Whether this node cosigns the checkpoints of `code`: its parent's and its children's."""
        return code == self.parent or code in self.children

    def readers(self) -> tuple[str, ...]:
        """Those who may have a class in the own feed: known ancestors, and all known below."""
        return tuple(
            code
            for code in self._known.pins
            if code in ancestors(self.code) or (code != self.code and is_within(code, self.code))
        )

    def link_towards(self, code: str) -> str | None:
        """The neighbour on the line to `code`: the child whose region holds it, or the parent."""
        if code == self.code:
            return None
        if is_within(code, self.code):
            behind = [child for child in self.children if is_within(code, child)]
            return max(behind, key=lambda child: len(ancestors(child)), default=None)
        return self.parent

    def parent_of(self, code: str) -> str | None:
        """Who speaks for a node: who enrolled it, or its nearest enrolled ancestor."""
        return self._known.enrolled_by.get(code) or self.nearest_above(code)

    def nearest_above(self, code: str) -> str | None:
        """A node's nearest ancestor that is known here."""
        known = self._known.pins
        return next((one for one in ancestors(code) if one in known or one == self.code), None)

    def is_root(self, code: str) -> bool:
        """Whether nobody known stands above a node."""
        return self.nearest_above(code) is None
