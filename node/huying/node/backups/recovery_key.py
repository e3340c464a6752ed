"""The recovery key: what a node's sealed copies open with, once everything else is burnt.

Its public half stands among the node's keys, and having it there is what switches the sealed copies
on. Its private half goes into a file that the operator takes away; the node never reads it again,
and nobody can make it anew.

    keys/recovery.pub    huying-recovery-public/v1 <network> <code> <base64 of 32 bytes>
    FILE                 huying-recovery-key/v1 <network> <code> <base64 of 32 bytes>
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huying.common.copies.sealed import key_id
from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, encode_base64
from huying.common.feed.hpke import KEY_BYTES, SealKey
from huying.node import keys
from huying.node.config import Config
from huying.node.store.database import translated

__all__ = ["PUBLIC_FILE", "RecoveryKey", "create", "load_private", "load_public", "switch_on"]

PUBLIC_FILE: Final = "recovery.pub"
_PRIVATE: Final = "huying-recovery-key/v1"
_PUBLIC: Final = "huying-recovery-public/v1"


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """A key that was made."""

    private_file: Path
    public_file: Path
    key_id: str  # 16 hex digits
    replaced: str  # the key before, or empty


def create(config: Config, file: Path, *, replace: bool = False) -> RecoveryKey:
    """Make a key: the private half into `file`, mode 0600, the public half among the node's keys.

    Raises HuyingError(KEY): `file` exists or can't be written, or there is a key already and it is
    not to be replaced.
    """
    public_file = config.keys_dir / PUBLIC_FILE
    before = load_public(config)
    if before and not replace:
        raise HuyingError(
            Code.KEY, f"{public_file}: there is a recovery key already; --replace makes another"
        )
    secret = secrets.token_bytes(KEY_BYTES)
    public = SealKey(secret).public_key
    keys.write_private(file, _line(_PRIVATE, config, secret))
    # Last: from now on it is sealed to a key that is surely there.
    _write_public(config, public)
    return RecoveryKey(
        file, public_file, key_id(public).hex(), key_id(before).hex() if before else ""
    )


def switch_on(config: Config, key: SealKey) -> bool:
    """Seal to this key again, where a rebuilt node seals to none; True where it does so now.

    Raises HuyingError(KEY or STORE_FAILED).
    """
    if load_public(config):
        return False
    _write_public(config, key.public_key)
    return True


def _write_public(config: Config, public: bytes) -> None:
    """In one step, so that there is always a whole key or none."""
    path = config.keys_dir / PUBLIC_FILE
    temporary = path.with_name(f"{PUBLIC_FILE}.new")
    with translated():
        temporary.unlink(missing_ok=True)
    keys.write_private(temporary, _line(_PUBLIC, config, public))
    with translated():
        temporary.replace(path)


def load_public(config: Config) -> bytes:
    """The public half, empty where sealed copies are off. Raises HuyingError(KEY)."""
    path = config.keys_dir / PUBLIC_FILE
    if not path.exists():
        return b""
    return _parse(path, _PUBLIC, config.node.network, config.node.code)


def load_private(path: Path, network: str, code: str) -> SealKey:
    """The private half. Raises HuyingError(KEY): missing, readable by others, another node's."""
    return SealKey(_parse(path, _PRIVATE, network, code))


def _line(label: str, config: Config, key: bytes) -> str:
    return f"{label} {config.node.network} {config.node.code} {encode_base64(key).decode()}\n"


def _parse(path: Path, label: str, network: str, code: str) -> bytes:
    parts = keys.read_private(path).decode("utf-8", "replace").removesuffix("\n").split(" ")
    if len(parts) != 4 or parts[0] != label or not parts[3].isascii():
        raise HuyingError(Code.KEY, f"{path}: not a recovery key of this form: {label}")
    if (parts[1], parts[2]) != (network, code):
        raise HuyingError(Code.KEY, f"{path}: the key of {parts[2]} in {parts[1]}")
    try:
        key = decode_base64(parts[3].encode(), Code.KEY, "recovery key")
    except HuyingError:
        key = b""
    if len(key) != KEY_BYTES:
        raise HuyingError(Code.KEY, f"{path}: damaged; take another copy of it")
    return key
