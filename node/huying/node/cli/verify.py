"""`huying feed verify`: a proof file, checked with nothing but the keys.

It needs no node, no database and no network: whoever holds the origin's verifier key can run it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.common.note import VerifierKey

__all__ = ["verify_file"]


def verify_file(path: Path, key: str, witnesses: list[str]) -> dict[str, Any]:
    """What the proof in `path` shows, each part of it checked.

    `key` is the origin's verifier key, `witnesses` those whose cosignatures must be there. Raises
    HuyingError(BAD_PROOF, BAD_NOTE, BAD_SIGNATURE, BAD_LEAF or OPENING_MISMATCH; INVALID_ARGUMENT
    for a key that is none).
    """
    from huying.common.limits import PROOF_FILE_BYTES_MAX
    from huying.common.merkle import leaf_hash
    from huying.common.tlog_proof import parse_proof, unpack_extra, verify_proof
    from huying.node.api.entries import check_openings, view_entry
    from huying.node.cli.render import entry_document

    origin_key = _key(key, "--key")
    witness_keys = [_key(text, "--witness") for text in witnesses]
    try:
        with path.open("rb") as file:
            data = file.read(PROOF_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{path}: {error.strerror}") from None
    proof = parse_proof(data)
    leaf, openings = unpack_extra(proof.extra)
    verified = verify_proof(proof, leaf_hash(leaf), origin_key, witness_keys)
    seen_by = dict(verified.cosignatures)
    for witness in witness_keys:
        if witness.name not in seen_by:
            raise HuyingError(Code.BAD_SIGNATURE, f"{witness.name}: did not cosign this checkpoint")
    origin = verified.checkpoint.origin
    check_openings(origin, leaf, openings)
    return {
        "valid": True,
        "origin": origin,
        "index": proof.index,
        "size": verified.checkpoint.size,
        "root": verified.checkpoint.root.hex(),
        "leaf_hash": leaf_hash(leaf).hex(),
        "cosigned": [{"witness": name, "time_seconds": at} for name, at in verified.cosignatures],
        "entry": entry_document(view_entry(origin, leaf, openings)),
    }


def _key(text: str, option: str) -> VerifierKey:
    """A key that a person typed: a wrong one is their input's fault, not that of a node's key."""
    from huying.common.note import VerifierKey

    try:
        return VerifierKey.parse(text)
    except HuyingError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: {error.detail}") from None
