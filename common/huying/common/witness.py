"""Witnessing: a second node's word that a feed has one history.

A witness cosigns a checkpoint whose whole span it durably holds, since a fork might hide in a span
it does not, and only forward. The signature belongs in the transaction that stores what it speaks
for: it is persisted before it is given. docs/FEED.md, "Cosignature".
"""

from __future__ import annotations

from huying.common.checkpoint import cosign, merge_signatures, open_checkpoint
from huying.common.errors import Code, HuyingError
from huying.common.note import Signer, VerifierKey, parse_note
from huying.common.state import FeedState, StoredCheckpoint

__all__ = ["countersign", "merge_cosignature"]


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


def merge_cosignature(
    held: StoredCheckpoint, data: bytes, own: VerifierKey, witness: VerifierKey
) -> StoredCheckpoint:
    """A checkpoint of the own feed with the line that `witness` added to it in the note `data`.

    Raises HuyingError(BAD_NOTE); BAD_SIGNATURE for a line that is missing or does not verify; FORK
    where the own key signed another root at that size.
    """
    note = parse_note(data)
    if parse_note(held.note).text != note.text:
        open_checkpoint(data, own)
        raise HuyingError(Code.FORK, f"the own feed has two roots at size {held.size}")
    if (witness.name, witness.key_id) not in {line.identity for line in note.signatures}:
        raise HuyingError(Code.BAD_SIGNATURE, f"no cosignature by {witness.name}")
    # The text is the one that was signed here, so just the witness's line is to be verified.
    merged = merge_signatures(held.note, data, (witness,))
    return StoredCheckpoint(held.size, held.root, merged)
