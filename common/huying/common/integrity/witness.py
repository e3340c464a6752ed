"""Witnessing: a second node's word that a feed has one history.

A witness cosigns a checkpoint whose whole span it durably holds, since a fork might hide in a span
it does not, and only forward. The signature belongs in the transaction that stores what it speaks
for: it is persisted before it is given. docs/FEED.md, "Cosignature".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.checkpoint import (
    cosign,
    merge_signatures,
    open_checkpoint,
    parse_checkpoint,
)
from huying.common.feed.note import Signer, parse_note
from huying.common.integrity.evidence import ForkError, contradiction
from huying.common.state import FeedState, StoredCheckpoint

if TYPE_CHECKING:
    from huying.common.replica import Replica

WITNESSED_LOOK_MAX: Final = 1024  # checkpoints, newest first; a greeting is seldom

__all__ = ["adopt_cosignature", "compare", "cosigned_by", "countersign", "raise_floor"]


def countersign(feed: FeedState, witness: Signer, now: float) -> StoredCheckpoint | None:
    """The feed's newest checkpoint with this witness's line, or None where it must not be signed.

    `now` is unix seconds.
    """
    head = feed.head
    if head is None or feed.frozen or head.size != feed.size or feed.rest:
        return None
    if feed.cosigned is not None and head.size <= feed.cosigned.size:
        return None
    return StoredCheckpoint(head.size, head.root, cosign(witness, head.note, int(now)))


def compare(replica: Replica, origin: str, note: bytes) -> StoredCheckpoint:
    """The checkpoint in a note that somebody shows of a feed whose key is known here.

    Raises HuyingError(BAD_NOTE or BAD_SIGNATURE). Where the note contradicts what is held, the feed
    is frozen, within the transaction, and ForkError leaves.
    """
    key = replica.feed_key(origin)
    assert key is not None, "whoever compares has looked the key up"
    opened = open_checkpoint(note, key).checkpoint
    signed = StoredCheckpoint(opened.size, opened.root, note)
    feed = replica.feeds.get(origin)
    if feed is not None and signed.size <= feed.size:
        held = replica.root_at(feed, signed.size)
        evidence = contradiction(replica.store, feed, signed, held)
        if evidence is not None:
            replica.freeze(origin, evidence)
            raise ForkError(f"another history is signed at size {signed.size}", evidence)
    return signed


def adopt_cosignature(replica: Replica, peer: str, data: bytes) -> None:
    """Keep the line that witness `peer` added to a checkpoint of the own feed, in the note `data`.

    Raises HuyingError(NOT_ENROLLED, NOT_FOUND, BAD_NOTE); BAD_SIGNATURE for a line that is missing
    or does not verify; ForkError where the own key signed another root at that size.
    """
    witness = replica.roster.witness_key(peer)
    if witness is None:
        raise HuyingError(Code.NOT_ENROLLED, f"no witness key of {peer}")
    note = parse_note(data)
    signed = parse_checkpoint(note.text)
    own, size = replica.feeds.get(signed.origin), signed.size
    if own is None or parse_origin(signed.origin).code != replica.identity.code:
        raise HuyingError(Code.BAD_NOTE, "another feed's checkpoint")
    found = replica.store.checkpoints(own.feed_id, size - 1, size, newest_first=True, limit=1)
    if not found:
        raise HuyingError(Code.NOT_FOUND, f"no checkpoint of size {size} was kept")
    if parse_note(found[0].note).text != note.text:
        compare(replica, own.origin, data)
        raise HuyingError(Code.BAD_NOTE, "another feed's checkpoint")
    if (witness.name, witness.key_id) not in {line.identity for line in note.signatures}:
        raise HuyingError(Code.BAD_SIGNATURE, f"no cosignature by {witness.name}")
    # The text is the one that was signed here, so just the witness's line is to be verified.
    merged = StoredCheckpoint(
        size, found[0].root, merge_signatures(found[0].note, data, (witness,))
    )
    replica.store.put_checkpoint(own.feed_id, merged)
    witnessed = own.witnessed
    replica.put(
        replace(
            own,
            head=merged if own.head is not None and own.head.size == size else own.head,
            witnessed=merged if witnessed is None or witnessed.size <= size else witnessed,
        )
    )


def raise_floor(replica: Replica, origin: str, note: bytes) -> bool:
    """Adopt a cosignature of this witness's own that it has forgotten; True where it was news.

    From then on nothing below it, and no other root at its size, is cosigned. Raises
    HuyingError(BAD_NOTE); BAD_SIGNATURE where the origin's or this witness's line is missing or
    wrong; ForkError where it contradicts what is held.
    """
    own = replica.identity.witness_signer.key
    key = replica.feed_key(origin)
    assert key is not None, "whoever raises the floor has looked the key up"
    opened = open_checkpoint(note, key, (own,))
    if (own.name, own.key_id) not in {line.identity for line in opened.note.signatures}:
        raise HuyingError(Code.BAD_SIGNATURE, f"no cosignature by {own.name}")
    feed = replica.feeds.get(origin) or FeedState(0, origin)
    size = opened.checkpoint.size
    if feed.cosigned is not None and feed.cosigned.size >= size:
        return False
    signed = compare(replica, origin, note)
    replica.put(replace(feed, cosigned=signed))
    if size > feed.size:
        replica.expect(origin, signed)
    return True


def cosigned_by(replica: Replica, peer: str) -> bytes:
    """The newest note of the own feed that the witness `peer` cosigned, as far as it was kept.

    The newest checkpoints are looked through; empty where none of them has that witness's line.
    """
    witness = replica.roster.witness_key(peer)
    own = replica.own
    if witness is None or own.witnessed is None:
        return b""
    kept = replica.store.checkpoints(
        own.feed_id, 0, own.witnessed.size, newest_first=True, limit=WITNESSED_LOOK_MAX
    )
    line = b"\n\xe2\x80\x94 " + witness.name.encode() + b" "
    for checkpoint in sorted(kept, key=lambda one: -one.size):
        if line in checkpoint.note:
            return checkpoint.note
    return b""
