"""How one epoch of a feed follows another: the old key's word, and the new key's.

A key lives for one epoch. The message that names the next key carries a signature of the new one,
which proves that its holder meant this feed, and wherever the old key is still at hand a signature
of the old one. With both it explains itself to anybody who knows the old key, offline; without the
old key's word it is a claim, and whether it counts is for the operators above to say.
docs/FEED.md, "Keys".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import KeyType, Signer, VerifierKey
from huying.common.state import FeedState
from huying.wire.v1 import trust_pb2

__all__ = ["Succession", "choose_epoch", "held_epochs", "make_succession", "open_succession"]

_LABEL: Final = b"huying/succession/v1\n"


@dataclass(frozen=True, slots=True)
class Succession:
    """A succession that was checked as far as its signatures go."""

    origin: str  # of the epoch before
    size: int
    root: bytes
    key: VerifierKey  # of the next epoch
    is_explained: bool  # the old key signed it, as it is known here
    reason: int  # trust_pb2.SuccessionReason
    named: VerifierKey | None  # what it says the old key is; its signature was checked


def _signed_bytes(message: trust_pb2.Succession) -> bytes:
    bare = trust_pb2.Succession()
    bare.CopyFrom(message)
    bare.old_signature = bare.new_signature = b""
    return _LABEL + bare.SerializeToString(deterministic=True)


def make_succession(
    origin: str,
    size: int,
    root: bytes,
    new: Signer,
    old: Signer | None,
    reason: trust_pb2.SuccessionReason.ValueType,
    detail: str = "",
) -> trust_pb2.Succession:
    """Name `new` as the key after epoch `origin`, of which `size` entries with `root` are known.

    `old` is that epoch's key, or None where it is lost.
    """
    message = trust_pb2.Succession(
        origin=origin,
        size=size,
        root=root,
        feed_key=str(new.key),
        reason=reason,
        detail=detail,
        old_feed_key="" if old is None else str(old.key),
    )
    data = _signed_bytes(message)
    message.new_signature = new.sign_raw(data)
    if old is not None:
        assert old.name == origin, "the old key signs for its own epoch"
        message.old_signature = old.sign_raw(data)
    return message


def open_succession(message: trust_pb2.Succession, old: VerifierKey | None) -> Succession:
    """Check a succession; `old` is the key known for the epoch before, or None.

    Raises HuyingError(KEY) where the new key is none of a later epoch of the same feed, and
    HuyingError(BAD_SIGNATURE) where a signature is missing that must be there, or does not verify.
    """
    key = VerifierKey.parse(message.feed_key)
    before, after = parse_origin(message.origin), parse_origin(key.name)
    if key.type is not KeyType.ORIGIN:
        raise HuyingError(Code.KEY, f"the next key of {before.code} is of another use")
    if (before.network, before.code) != (after.network, after.code) or after.epoch <= before.epoch:
        raise HuyingError(Code.KEY, f"{key.name} is no later epoch of {message.origin}")
    data = _signed_bytes(message)
    key.verify_raw(data, message.new_signature)
    is_explained = False
    named = VerifierKey.parse(message.old_feed_key) if message.old_feed_key else None
    if named is not None and (named.name, named.type) != (message.origin, KeyType.ORIGIN):
        raise HuyingError(Code.KEY, f"{named.name} is not the key of {message.origin}")
    if message.old_signature and (old is not None or named is not None):
        signed_by = named if old is None else old
        assert signed_by is not None
        signed_by.verify_raw(data, message.old_signature)
        is_explained = old is not None
    return Succession(
        message.origin, message.size, message.root, key, is_explained, int(message.reason), named
    )


def choose_epoch(keys: Sequence[int], stored: int, marked: int) -> int:
    """Which epoch a starting node goes on in.

    `keys` are the epochs whose private keys are there, `stored` the newest own epoch in the store
    and `marked` that of the high-water mark, 0 where there is none. A key beyond both was made for
    a rotation that did not happen; where the key of what was held is gone, a rotation did happen
    that the store has forgotten. Raises HuyingError(KEY) where no key fits.
    """
    held = max(stored, marked)
    if held in keys:
        return held
    later = [epoch for epoch in keys if epoch > held]
    if not later:
        raise HuyingError(
            Code.KEY,
            f"feed-e{held}.key: missing; restore it from its backup; where the backup is older "
            "than the key: docs/runbook/rebuild.md, then huying rebuild",
        )
    return max(later) if held else min(later)


def held_epochs(
    feeds: Iterable[FeedState], mark: tuple[str, int, bytes] | None, code: str
) -> tuple[int, int]:
    """The newest own epoch in the store, and that of the high-water mark, for `choose_epoch`."""
    own = [origin.epoch for feed in feeds if (origin := parse_origin(feed.origin)).code == code]
    marked = parse_origin(mark[0]) if mark is not None else None
    return max(own, default=0), marked.epoch if marked is not None and marked.code == code else 0
