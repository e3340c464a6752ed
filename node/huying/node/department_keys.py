r"""The keys of a county's departments: what a home provides to one of them is sealed to its key.

    keys/departments/<hash>.key    32 secret bytes in base64, mode 0600

The file is named after the department: the first 16 bytes of SHA-256("huying/department/v1\n" and
its name) in hex, for a name is no file name. A key is made once and never replaced: what was sealed
to it would be lost. The public key is published in the department's record.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.node import keys

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = ["FOLDER", "key_file", "load_key", "public_key"]

FOLDER = "departments"


def key_file(config: Config, name: str) -> Path:
    """Where the private key of a department lies, or would lie."""
    digest = sha256(b"huying/department/v1\n" + name.encode()).hexdigest()[:32]
    return config.keys_dir / FOLDER / f"{digest}.key"


def load_key(config: Config, name: str) -> SealKey:
    """The private key of a department. Raises HuyingError(KEY): missing, damaged, or readable."""
    path = key_file(config, name)
    return SealKey(keys.load_hpke(path.parent, path.name).private_key)


def public_key(config: Config, name: str, *, create: bool = False) -> bytes:
    """The public key of a department, 32 bytes; `create`: make the key where there is none.

    Raises HuyingError: NOT_FOUND where there is none, KEY where it can't be read or made.
    """
    path = key_file(config, name)
    if path.exists():
        return load_key(config, name).public_key
    if not create:
        raise HuyingError(
            Code.NOT_FOUND, "department: this node has no key of that name; huying department add"
        )
    keys.private_folder(path.parent)
    return keys.create_hpke(path).public_key
