"""Invites: what a parent keeps of each join token, one file of mode 0600 per token.

    invites/<token id>.toml    code, name, MAC key, expiry, state, refused attempts

`huying roster invite` writes them, whether or not the node runs; whoever enrols children (the
running node, or `huying roster enrol` while none runs) reads them at each attempt and is the only
one to change them. The token can't be made again from a file; but who reads the MAC key could
forge a request, so the file is as private as a key.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.limits import INVITES_MAX, TOKEN_HOURS_MAX
from huying.common.membership.join_token import (
    SECRET_BYTES,
    TOKEN_ID_BYTES,
    JoinToken,
    format_token,
    mac_key,
    token_id,
)
from huying.common.membership.roster import Pin
from huying.node.keys import write_private
from huying.node.pins import quote

__all__ = ["OPEN", "USED", "Invite", "InviteFolder", "Offer", "issue"]

OPEN: Final = "open"
USED: Final = "used"
_EXPIRED: Final = "expired"
_FILE: Final = re.compile(rf"[0-9a-f]{{{2 * TOKEN_ID_BYTES}}}\.toml")
_FILE_BYTES_MAX: Final = 4096
_HOUR_SECONDS: Final = 3600.0
_KEPT_SECONDS: Final = 30 * 86400.0  # what is over stays to be looked at this long


@dataclass(frozen=True, slots=True)
class Invite:
    """What is kept of one token."""

    token_id: bytes
    code: str
    name: str
    mac_key: bytes = field(repr=False)
    expires_seconds: int  # unix time
    state: str = OPEN
    failures: int = 0  # attempts that were refused
    used_by: bytes = b""  # digest of the keys that enrolled with it
    roster_index: int = 0  # of the Member entry, where it was used

    def state_at(self, now: float) -> str:
        """open, used or expired."""
        return _EXPIRED if self.state == OPEN and now >= self.expires_seconds else self.state


class InviteFolder:
    """The files. One process changes them, and that is whoever holds the node's store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, invite: Invite, now: float) -> None:
        """Keep a new one, and let go of those that were over a month ago.

        Raises HuyingError(LIMIT_EXCEEDED) where too many are kept; KEY where it can't be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = self.all()
        for old in kept:
            if old.expires_seconds + _KEPT_SECONDS < now:
                with contextlib.suppress(FileNotFoundError):
                    self._path(old.token_id).unlink()
        if len(kept) >= INVITES_MAX:
            raise HuyingError(Code.LIMIT_EXCEEDED, f"invites: over {INVITES_MAX} in a month")
        write_private(self._path(invite.token_id), _render(invite))

    def find(self, token: bytes) -> Invite | None:
        """The invite of a token id, or None. Raises HuyingError(KEY) for a damaged file."""
        path = self._path(token)
        return _read(path) if path.exists() else None

    def all(self) -> list[Invite]:
        """Every invite, by expiry. Raises HuyingError(KEY) for a damaged file."""
        paths = [path for path in self._folder.glob("*.toml") if _FILE.fullmatch(path.name)]
        return sorted(map(_read, paths), key=lambda one: (one.expires_seconds, one.token_id))

    def put(self, invite: Invite) -> None:
        """Replace a file, whole or not at all, durably. Raises HuyingError(STORE_FAILED)."""
        path = self._path(invite.token_id)
        temporary = path.with_suffix(".tmp")
        try:
            temporary.unlink(missing_ok=True)
            write_private(temporary, _render(invite))
            temporary.replace(path)
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except (OSError, HuyingError) as error:
            why = error.strerror if isinstance(error, OSError) else error.detail
            raise HuyingError(Code.STORE_FAILED, f"{path}: can't be replaced: {why}") from None

    def _path(self, token: bytes) -> Path:
        return self._folder / f"{token.hex()}.toml"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a parent's operator offers, beside the secret."""

    network: str
    code: str
    name: str
    parent: Pin  # with the SHA-256 of its certificate
    root: Pin
    address: str = ""
    fallback_address: str = ""
    epoch: int = 1


def issue(folder: InviteFolder, offer: Offer, hours: float, now: float) -> tuple[str, Invite]:
    """A new token's text, and the invite that is kept of it.

    Raises HuyingError(INVALID_ARGUMENT): over 24 hours, or a code that is not below the parent;
    and as `InviteFolder.add`.
    """
    if not 0 < hours <= TOKEN_HOURS_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"hours: over 0, at most {TOKEN_HOURS_MAX:g}")
    if offer.parent.code not in codes.ancestors(codes.parse_code(offer.code)):
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"code: {offer.code} is not below {offer.parent.code}"
        )
    token = JoinToken(
        network=offer.network,
        code=offer.code,
        name=offer.name,
        secret=secrets.token_bytes(SECRET_BYTES),
        expires_seconds=int(now + hours * _HOUR_SECONDS),
        parent=offer.parent,
        root=replace(offer.root, certificate_sha256=b""),
        address=offer.address,
        fallback_address=offer.fallback_address,
        epoch=offer.epoch,
    )
    text = format_token(token)
    invite = Invite(
        token_id=token_id(token.secret),
        code=token.code,
        name=token.name,
        mac_key=mac_key(token.secret),
        expires_seconds=token.expires_seconds,
    )
    folder.add(invite, now)
    return text, invite


def _render(invite: Invite) -> str:
    lines = []
    for one in fields(invite):
        value = getattr(invite, one.name)
        if one.name == "token_id":
            continue
        text = str(value) if isinstance(value, int) else quote(_text(value))
        lines.append(f"{one.name} = {text}")
    return "\n".join(lines) + "\n"


def _text(value: str | bytes) -> str:
    return value.hex() if isinstance(value, bytes) else value


def _read(path: Path) -> Invite:
    try:
        with path.open("rb") as file:
            table = tomllib.loads(file.read(_FILE_BYTES_MAX).decode())
        return _build(bytes.fromhex(path.stem), table)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError):
        # The text may hold the MAC key, so no part of it is shown.
        raise HuyingError(Code.KEY, f"{path}: not an invite; remove it") from None


def _build(token: bytes, table: dict[str, Any]) -> Invite:
    """Raises ValueError."""
    expected: Sequence[tuple[str, type]] = (
        ("code", str),
        ("name", str),
        ("mac_key", str),
        ("expires_seconds", int),
        ("state", str),
        ("failures", int),
        ("used_by", str),
        ("roster_index", int),
    )
    if table.keys() != {name for name, _ in expected}:
        raise ValueError
    if not all(type(table[name]) is kind for name, kind in expected):
        raise ValueError
    if table["state"] not in (OPEN, USED):
        raise ValueError
    hexed = {name: bytes.fromhex(table[name]) for name in ("mac_key", "used_by")}
    if len(hexed["mac_key"]) != 32:
        raise ValueError
    return Invite(token, **{**table, **hexed})
