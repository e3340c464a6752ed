"""`huying feed verify`: a proof file, checked with nothing but the keys.

It needs no node, no database and no network: whoever holds the origin's verifier key can run it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.common.feed.note import VerifierKey

__all__ = ["read_feed_keys", "read_keys", "read_witnesses", "verify_file"]

_PIN_FILE_BYTES_MAX: Final = 64 * 1024


def read_keys(
    key: str, pin: Path | None, witnesses: Sequence[str]
) -> tuple[VerifierKey, list[VerifierKey]]:
    """The origin's key, given as text or in its pin file, and those of the witnesses, likewise.

    Raises HuyingError(INVALID_ARGUMENT), naming the option.
    """
    if bool(key) == (pin is not None):
        raise HuyingError(Code.INVALID_ARGUMENT, "--key: either it or --pin says whose feed it is")
    text = key if pin is None else _pinned(pin, "feed_key", "--pin")
    origin_key = _key(text, "--key" if pin is None else "--pin")
    return origin_key, read_witnesses(witnesses)


def read_witnesses(witnesses: Sequence[str]) -> list[VerifierKey]:
    """The keys of witnesses, as text or in pin files. Raises HuyingError(INVALID_ARGUMENT)."""
    return [_witness(text) for text in witnesses]


def read_feed_keys(keys: Sequence[str]) -> list[VerifierKey]:
    """The keys of feeds, as text or in pin files. Raises HuyingError(INVALID_ARGUMENT)."""
    return [
        _key(_pinned(Path(text), "feed_key", "--key") if _is_pin(text) else text, "--key")
        for text in keys
    ]


def verify_file(
    path: Path, origin_key: VerifierKey, witness_keys: Sequence[VerifierKey]
) -> dict[str, Any]:
    """What the proof in `path` shows, each part of it checked.

    The cosignatures of all `witness_keys` must be there; others are counted and not checked. Raises
    HuyingError(BAD_PROOF, BAD_NOTE, BAD_SIGNATURE, BAD_LEAF or OPENING_MISMATCH; INVALID_ARGUMENT
    for a file that can't be read).
    """
    from huying.common.feed.merkle import leaf_hash
    from huying.common.feed.note import parse_note
    from huying.common.feed.tlog_proof import parse_proof, unpack_extra, verify_proof
    from huying.common.limits import PROOF_FILE_BYTES_MAX
    from huying.node.api.entries import check_openings, view_entry
    from huying.node.cli.render import entry_document

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
    lines = parse_note(proof.checkpoint_note).signatures
    known = {origin, *seen_by}
    check_openings(origin, leaf, openings)
    return {
        "valid": True,
        "origin": origin,
        "index": proof.index,
        "size": verified.checkpoint.size,
        "root": verified.checkpoint.root.hex(),
        "leaf_hash": leaf_hash(leaf).hex(),
        "cosigned": [{"witness": name, "time_seconds": at} for name, at in verified.cosignatures],
        "cosignatures_unchecked": sum(line.name not in known for line in lines),
        "entry": entry_document(view_entry(origin, leaf, openings)),
    }


def _key(text: str, option: str) -> VerifierKey:
    """A key that a person typed: a wrong one is their input's fault, not that of a node's key."""
    from huying.common.feed.note import VerifierKey

    try:
        return VerifierKey.parse(text)
    except HuyingError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: {error.detail}") from None


def _witness(text: str) -> VerifierKey:
    pinned = _pinned(Path(text), "witness_key", "--witness") if _is_pin(text) else text
    return _key(pinned, "--witness")


def _is_pin(text: str) -> bool:
    return Path(text).suffix == ".toml"  # no key ends so: its base64 has no point


def _pinned(path: Path, name: str, option: str) -> str:
    """One key of a pin file. The rest of it is the node's matter, and would need its libraries."""
    try:
        with path.open("rb") as file:
            table = tomllib.loads(file.read(_PIN_FILE_BYTES_MAX).decode("utf-8"))
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: {path}: {error.strerror}") from None
    except ValueError:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: {path}: no pin file") from None
    found = table.get(name)
    if not isinstance(found, str):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{option}: {path}: has no {name}")
    return found
