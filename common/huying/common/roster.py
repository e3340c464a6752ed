"""Whose signatures count: the keys this node was given, and those its feeds brought.

A node starts from *pins* (its ancestors and its own children, from files an operator placed) and
learns the rest from MEMBER entries: a parent's feed names the keys of its children, so trust
replicates like everything else. The first key seen for an origin stays; another one for the same
origin is refused and reported, since a key lives for one epoch and an epoch has one key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from huying.common.codes import ancestors, is_within, parse_origin, witness_name
from huying.common.errors import Code, HuyingError
from huying.common.note import KeyType, Signer, VerifierKey

__all__ = ["Identity", "Pin", "Roster"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, with the keys it signs with."""

    network: str
    code: str
    feed_signer: Signer  # its name is the origin, "<network>/feed/<code>/e<epoch>"
    witness_signer: Signer

    @property
    def origin(self) -> str:
        """The name of the own feed's present epoch."""
        return self.feed_signer.name


@dataclass(frozen=True, slots=True)
class Pin:
    """The public keys of one node. Keys are C2SP verifier key strings."""

    code: str
    name: str
    feed_key: str
    witness_key: str
    certificate_sha256: bytes = b""


class Roster:
    """Every key this node trusts, by origin and by code, and where each node stands."""

    def __init__(self, identity: Identity, parent: str | None, pins: Iterable[Pin]) -> None:
        self.code = identity.code
        self.network = identity.network
        self.parent = parent
        self._feed_keys: dict[str, VerifierKey] = {}
        self._witness_keys: dict[str, VerifierKey] = {}
        self._names: dict[str, str] = {}
        self._by_code: dict[str, Pin] = {}
        self.children: dict[str, Pin] = {}
        for pin in pins:
            self.add(pin)
            if is_within(pin.code, self.code) and pin.code != self.code:
                self.children[pin.code] = pin

    def add(self, pin: Pin) -> bool:
        """Trust a node's keys; True where they are news.

        Raises HuyingError(KEY) for a weak or malformed key, a name that is not the node's, another
        key for an origin already known, or another epoch of a node already known: whoever stands
        above a node could make one up.
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
        known = self._feed_keys.get(feed_key.name)
        if known is not None:
            if known != feed_key:
                raise HuyingError(Code.KEY, f"another key for {feed_key.name} than the one known")
            return False
        if pin.code in self._by_code:
            raise HuyingError(
                Code.KEY, f"a key for {feed_key.name}, and another epoch of {pin.code} is known"
            )
        self._feed_keys[feed_key.name] = feed_key
        self._witness_keys[pin.code] = witness_key
        self._names[pin.code] = pin.name
        self._by_code[pin.code] = pin
        return True

    def feed_key(self, origin: str) -> VerifierKey | None:
        """The key that signs this feed, or None where the roster does not tell yet."""
        return self._feed_keys.get(origin)

    def feed_keys_of(self, code: str) -> tuple[VerifierKey, ...]:
        """The key of the newest epoch known of a node, if any."""
        pin = self._by_code.get(code)
        return (self._feed_keys[VerifierKey.parse(pin.feed_key).name],) if pin else ()

    def is_member(self, code: str) -> bool:
        """Whether the node is known here: what is kept for others is kept for these alone."""
        return code in self._by_code

    def name(self, code: str) -> str:
        """What a node's division is called; empty where nobody said."""
        return self._names.get(code, "")

    def witness_keys(self) -> tuple[VerifierKey, ...]:
        """The keys of all known witnesses."""
        return tuple(self._witness_keys.values())

    def witness_key(self, code: str) -> VerifierKey | None:
        """One node's witness key."""
        return self._witness_keys.get(code)

    def pins(self) -> tuple[Pin, ...]:
        """Every known node's keys, in the order they were learnt."""
        return tuple(self._by_code.values())

    def is_witness_of(self, code: str) -> bool:
        """Whether this node cosigns the checkpoints of `code`: its parent's and its children's."""
        return code == self.parent or code in self.children

    def readers(self) -> tuple[str, ...]:
        """Those who may have a class in the own feed: known ancestors, and all known below."""
        return tuple(
            code
            for code in self._by_code
            if code in ancestors(self.code) or (code != self.code and is_within(code, self.code))
        )

    def link_towards(self, code: str) -> str | None:
        """The neighbour on the line to `code`: the child whose region holds it, or the parent."""
        if is_within(code, self.code):
            return next((child for child in self.children if is_within(code, child)), None)
        return self.parent
