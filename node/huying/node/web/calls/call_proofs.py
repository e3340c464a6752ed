"""What is verified of one entry: computed anew from the database when somebody looks.

The node verified it before it was stored. Here the same is done again, with nothing but the leaf,
the hashes and the keys: a reader sees what was checked, and may take the proof file away
(`huying feed verify` checks it, offline).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from huying.common.errors import HuyingError
from huying.common.feed.leaf import ADDRESSED, unpack_openings
from huying.common.feed.merkle import leaf_hash
from huying.common.feed.note import VerifierKey
from huying.common.feed.tlog_proof import parse_proof, unpack_extra, verify_proof
from huying.node import pins
from huying.node.api.entries import check_openings
from huying.node.cli.offline import feed_key
from huying.node.cli.prove import find_feed, make_proof, read_entry
from huying.node.config import Config
from huying.node.membership.enrol import own_pin
from huying.node.store.reader import Reader

__all__ = ["EntryProof", "prove"]


@dataclass(frozen=True, slots=True)
class EntryProof:
    """What one entry's proof shows. Where it does not hold, `error` says why."""

    origin: str
    index: int
    key: str = ""  # of the feed; empty where none is pinned here
    size: int = 0  # of the feed at the checkpoint
    root: str = ""  # hex
    leaf: str = ""  # its hash, hex
    hashes: int = 0  # in the path from the leaf to the root
    witnesses: tuple[tuple[str, int], ...] = ()  # name and unix seconds
    file: bytes = b""
    error: HuyingError | None = None


def prove(reader: Reader, config: Config, origin: str, index: int) -> EntryProof:
    """Blocks. Shows what all parties may read, never a contact or an internal note.

    Raises HuyingError as the store does; what does not verify is told in `error`.
    """
    any_reader: Any = reader  # every query of it is one that a reader of a file has
    try:
        feed = find_feed(any_reader, origin)
        held = unpack_openings(read_entry(any_reader, feed, index).openings)
        shared = [f"{opening[0]:#04x}" for opening in held if opening[0] & ADDRESSED]
        data = make_proof(any_reader, feed, index, shared)
        key = feed_key(config, any_reader, origin)
        proof = parse_proof(data)
        leaf, openings = unpack_extra(proof.extra)
        witnesses = _witnesses(reader, config)
        verified = verify_proof(proof, leaf_hash(leaf), VerifierKey.parse(key), witnesses)
        check_openings(origin, leaf, openings)
    except HuyingError as error:
        return EntryProof(origin, index, error=error)
    return EntryProof(
        origin=origin,
        index=index,
        key=key,
        size=verified.checkpoint.size,
        root=verified.checkpoint.root.hex(),
        leaf=leaf_hash(leaf).hex(),
        hashes=len(proof.proof),
        witnesses=tuple(verified.cosignatures),
        file=data,
    )


def _witnesses(reader: Reader, config: Config) -> list[VerifierKey]:
    """The witness keys that are known here, one for each name. Raises HuyingError(KEY)."""
    files = [*pins.load_folder(config.pins_dir), own_pin(config)]
    known = [*(one.witness_key for one in reader.members()), *(one.witness_key for one in files)]
    keys = [VerifierKey.parse(key) for key in known if key]
    return list({key.name: key for key in keys}.values())
