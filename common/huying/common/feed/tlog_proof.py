"""Proof files (c2sp.org/tlog-proof@v1): one entry of a feed, provable offline.

Anyone who has the verifier keys can check one; it needs no node and no database.

    c2sp.org/tlog-proof@v1
    extra <base64 of the leaf and the openings that are shown>
    index 5
    <base64 of one hash a line, from the leaf's sibling up>

    <the checkpoint, a signed note>

What `extra` holds is not trusted for standing there: the leaf is proven by its RFC 6962 leaf hash,
and each opening by its commitment in the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, decode_decimal, encode_base64
from huying.common.feed.checkpoint import Checkpoint, cosignatures, open_checkpoint
from huying.common.feed.merkle import HASH_BYTES
from huying.common.feed.merkle_proof import verify_inclusion
from huying.common.feed.note import VerifierKey
from huying.common.limits import (
    COMPARTMENTS_MAX,
    ENTRY_BYTES_MAX,
    PROOF_FILE_BYTES_MAX,
    PROOF_HASHES_MAX,
    TREE_SIZE_MAX,
)

__all__ = [
    "TlogProof",
    "Verified",
    "format_proof",
    "pack_extra",
    "parse_proof",
    "unpack_extra",
    "verify_proof",
]

_HEADER: Final = b"c2sp.org/tlog-proof@v1"
_EXTRA: Final = b"extra "
_INDEX: Final = b"index "
_LENGTH_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class TlogProof:
    """The content of a proof file. Nothing in it is to be believed before `verify_proof`."""

    index: int
    proof: tuple[bytes, ...]  # 32 bytes each, from the leaf's sibling up
    checkpoint_note: bytes
    extra: bytes = b""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a proof shows: that the leaf is in this tree, and who saw the tree when."""

    checkpoint: Checkpoint
    cosignatures: tuple[tuple[str, int], ...]  # (witness key name, unix seconds)


def format_proof(proof: TlogProof) -> bytes:
    """The file's bytes, which `parse_proof` reads back.

    Raises HuyingError(BAD_PROOF) for what would not parse.
    """
    data = _format(proof)
    if parse_proof(data) != proof:
        raise HuyingError(Code.BAD_PROOF, "proof file: does not read back as it was written")
    return data


def _format(proof: TlogProof) -> bytes:
    lines = [_HEADER]
    if proof.extra:
        lines.append(_EXTRA + encode_base64(proof.extra))
    lines.append(b"%b%d" % (_INDEX, proof.index))
    lines += [encode_base64(digest) for digest in proof.proof]
    return b"\n".join(lines) + b"\n\n" + proof.checkpoint_note


def parse_proof(data: bytes) -> TlogProof:
    """Read a proof file, verifying nothing; the note in it is checked by `verify_proof`.

    Raises HuyingError(BAD_PROOF): over PROOF_FILE_BYTES_MAX, a line out of form or not in its one
    spelling, over PROOF_HASHES_MAX hashes.
    """
    if len(data) > PROOF_FILE_BYTES_MAX:
        raise HuyingError(Code.BAD_PROOF, f"proof file: over {PROOF_FILE_BYTES_MAX} bytes")
    top, blank, checkpoint_note = data.partition(b"\n\n")
    if not blank or not checkpoint_note:
        raise HuyingError(Code.BAD_PROOF, "proof file: no checkpoint after a blank line")
    header, *lines = top.split(b"\n")
    if header != _HEADER:
        raise HuyingError(Code.BAD_PROOF, f"proof file: does not begin with {_HEADER.decode()}")
    extra = b""
    if lines and lines[0].startswith(_EXTRA):
        text = lines.pop(0).removeprefix(_EXTRA)
        extra = decode_base64(text, Code.BAD_PROOF, "proof file: extra")
    if not lines or not lines[0].startswith(_INDEX):
        raise HuyingError(Code.BAD_PROOF, "proof file: no index line")
    text = lines.pop(0).removeprefix(_INDEX)
    index = decode_decimal(text, TREE_SIZE_MAX - 1, Code.BAD_PROOF, "proof file: index")
    if len(lines) > PROOF_HASHES_MAX:
        raise HuyingError(Code.BAD_PROOF, f"proof file: over {PROOF_HASHES_MAX} hashes")
    hashes = tuple(decode_base64(line, Code.BAD_PROOF, "proof file: hash") for line in lines)
    if any(len(digest) != HASH_BYTES for digest in hashes):
        raise HuyingError(Code.BAD_PROOF, f"proof file: a hash is not {HASH_BYTES} bytes")
    proof = TlogProof(index, hashes, checkpoint_note, extra)
    if _format(proof) != data:
        raise HuyingError(Code.BAD_PROOF, "proof file: does not re-format to itself")
    return proof


def verify_proof(
    proof: TlogProof,
    leaf_hash: bytes,
    origin_key: VerifierKey,
    witness_keys: Sequence[VerifierKey] = (),
) -> Verified:
    """Check that the leaf stands at the proof's index of a feed that `origin_key` signed.

    `leaf_hash` is the RFC 6962 hash of the leaf that the caller has, or took from `extra`. How many
    witnesses are enough is for the caller to say. Raises HuyingError(BAD_NOTE), (BAD_SIGNATURE) or
    (BAD_PROOF), for the first step that fails:

    1. the checkpoint is a well-formed note, signed by the origin, and no known key's line is false
    2. the hashes fold from the leaf to the checkpoint's root
    """
    opened = open_checkpoint(proof.checkpoint_note, origin_key, witness_keys)
    checkpoint = opened.checkpoint
    verify_inclusion(proof.index, checkpoint.size, leaf_hash, proof.proof, checkpoint.root)
    return Verified(checkpoint, tuple(cosignatures(opened.note, witness_keys)))


def pack_extra(leaf: bytes, openings: Iterable[bytes]) -> bytes:
    """The leaf and the openings that are shown, each behind its length in two bytes.

    Raises HuyingError(INVALID_ARGUMENT) for more than `unpack_extra` takes.
    """
    parts = (leaf, *openings)
    if len(parts) > 1 + COMPARTMENTS_MAX or sum(map(len, parts)) > ENTRY_BYTES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"extra: over {COMPARTMENTS_MAX} openings or {ENTRY_BYTES_MAX} bytes",
        )
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)


def unpack_extra(extra: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The leaf and the openings that `pack_extra` packed.

    Raises HuyingError(BAD_PROOF): no leaf, a part cut short, over COMPARTMENTS_MAX openings or
    ENTRY_BYTES_MAX bytes.
    """
    parts: list[bytes] = []
    at = 0
    while at < len(extra):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(extra[at:start], "big")
        if start > len(extra) or at > len(extra):
            raise HuyingError(Code.BAD_PROOF, "extra: a part is cut short")
        parts.append(extra[start:at])
    if not parts:
        raise HuyingError(Code.BAD_PROOF, "extra: no leaf")
    if len(parts) > 1 + COMPARTMENTS_MAX or sum(map(len, parts)) > ENTRY_BYTES_MAX:
        raise HuyingError(
            Code.BAD_PROOF, f"extra: over {COMPARTMENTS_MAX} openings or {ENTRY_BYTES_MAX} bytes"
        )
    return parts[0], tuple(parts[1:])
