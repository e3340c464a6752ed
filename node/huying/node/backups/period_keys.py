"""Period keys: one key a month, under which that month's backups are encrypted.

A key is a file of its own, `2026-11.key`, mode 0600, in a folder that the operator copies to a
place away from the node; a backup names the period and the key's id. Whoever deletes every copy of
a period's key deletes what its backups hold: that is how an erasure reaches backups that are years
old and in other people's hands.

    huying-backup-key/v1 <network> <code> <period> <key id, hex> <base64 of 32 bytes>
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, encode_base64
from huying.node import keys

__all__ = ["KEYS_VARIABLE", "PeriodKey", "find", "for_time", "keep", "period_of"]

KEYS_VARIABLE: Final = "HUYING_BACKUP_KEYS"  # of the environment: a folder of period keys
_LABEL: Final = "huying-backup-key/v1"
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PeriodKey:
    """One period's key, and where it lies."""

    period: str
    key: bytes = field(repr=False)
    path: Path
    made: bool = False  # just now

    @property
    def key_id(self) -> str:
        """16 hex digits that tell the key from others."""
        return _key_id(self.key)


def period_of(seconds: float) -> str:
    """The period of a time, in UTC: 2026-11."""
    return time.strftime("%Y-%m", time.gmtime(seconds))


def for_time(folder: Path, network: str, code: str, seconds: float) -> PeriodKey:
    """The key of the period that `seconds` (unix time) lies in; made where there is none.

    Raises HuyingError(KEY): a file that can't be read or written, is another node's, or damaged.
    """
    period = period_of(seconds)
    path = folder / f"{period}.key"
    if not path.exists():
        keys.private_folder(folder)
        key = secrets.token_bytes(_KEY_BYTES)
        material = encode_base64(key).decode()
        keys.write_private(path, f"{_LABEL} {network} {code} {period} {_key_id(key)} {material}\n")
        return PeriodKey(period, key, path, made=True)
    found = _read(path)
    if (found.network, found.code, found.period) != (network, code, period):
        raise HuyingError(Code.KEY, f"{path}: the key of {found.period} of {found.code}")
    return PeriodKey(period, found.key, path)


def find(period: str, key_id: str, folders: Iterable[Path]) -> PeriodKey:
    """The key with that id, from the first of the folders that has it.

    Raises HuyingError(BACKUP_KEY), naming where it was looked for and what is wrong with a file of
    that name that does not serve.
    """
    looked: list[str] = []
    seen: set[Path] = set()
    for folder in folders:
        path = folder / f"{period}.key"
        if folder.resolve() in seen or not folder.is_dir():
            continue
        seen.add(folder.resolve())
        try:
            found = _read(path)
        except HuyingError as error:
            looked.append(str(path) if not path.exists() else error.detail)
            continue
        if _key_id(found.key) == key_id:
            return PeriodKey(period, found.key, path)
        looked.append(f"{path}: another key, {_key_id(found.key)}")
    places = "".join(f"\nnot in {one}" for one in looked)
    raise HuyingError(
        Code.BACKUP_KEY,
        f"no key {key_id} of {period}; name its folder with --keys DIR{places}",
    )


def keep(key: PeriodKey, folder: Path) -> Path:
    """Copy a key into `folder` where no file of its name is; the file of that name now.

    What is there is never replaced: it may be another key, which opens other backups. Raises
    HuyingError(KEY).
    """
    path = folder / f"{key.period}.key"
    if not path.exists():
        keys.private_folder(folder)
        keys.write_private(path, keys.read_private(key.path).decode("utf-8"))
    return path


@dataclass(frozen=True, slots=True)
class _Read:
    network: str
    code: str
    period: str
    key: bytes = field(repr=False)


def _read(path: Path) -> _Read:
    """One key file. Raises HuyingError(KEY), naming the file."""
    parts = keys.read_private(path).decode("utf-8", "replace").removesuffix("\n").split(" ")
    if len(parts) != 6 or parts[0] != _LABEL or not parts[5].isascii():
        raise HuyingError(Code.KEY, f"{path}: not a backup key")
    try:
        key = decode_base64(parts[5].encode(), Code.KEY, "backup key")
    except HuyingError:
        raise HuyingError(Code.KEY, f"{path}: not a backup key") from None
    if len(key) != _KEY_BYTES or _key_id(key) != parts[4]:
        raise HuyingError(Code.KEY, f"{path}: damaged; take another copy of it")
    return _Read(parts[1], parts[2], parts[3], key)


def _key_id(key: bytes) -> str:
    return sha256(b"huying/backup-key-id/v1\n" + key).hexdigest()[:16]
