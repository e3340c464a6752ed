"""Hashing passwords with argon2id, and drawing them.

A password is hashed exactly as it was typed: nothing is trimmed, folded or cut. One hash takes 19
MiB and some 50 ms, so at most two are made at once; `huying.node.web.access.password_rules` says
which passwords may be chosen.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw

from huying.common import limits
from huying.common.errors import Code, HuyingError

__all__ = ["COST", "Cost", "Hashing", "draw_password"]

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
# What is read out and typed by hand: no l, i, o, 0, 1.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_DRAWN_GROUPS: Final = 4
_DRAWN_GROUP_CHARACTERS: Final = 5  # 20 characters of 31: 99 bits


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash takes; stored with each hash, so it may be raised at any time."""

    memory_kib: int
    passes: int
    lanes: int = 1

    def __str__(self) -> str:
        return f"{self.memory_kib},{self.passes},{self.lanes}"

    @classmethod
    def parse(cls, text: str) -> Cost:
        """What `str` made of one. Raises HuyingError(CORRUPT)."""
        try:
            memory_kib, passes, lanes = map(int, text.split(","))
        except ValueError:
            raise HuyingError(Code.CORRUPT, "console.db: a hash without its cost") from None
        return cls(memory_kib, passes, lanes)


# OWASP's Password Storage Cheat Sheet asks for 19 MiB and two passes or more; a village's machine
# has no more memory to give, so it makes one pass more.
COST: Final = Cost(memory_kib=19 * 1024, passes=3)

_PLACES: Final = threading.BoundedSemaphore(limits.PASSWORD_HASHES_MAX)


class Hashing:
    """Argon2id at one cost."""

    def __init__(self, cost: Cost = COST) -> None:
        self.cost = cost
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._nobody = ""

    def hash(self, password: str) -> str:
        """The hash in PHC form, with its salt and its cost. Raises HuyingError(BUSY)."""
        with _Place():
            return self._hasher.hash(_bytes(password))

    def verify(self, encoded: str, password: str) -> bool:
        """Whether this is the password of a hash. Raises HuyingError(BUSY or CORRUPT)."""
        with _Place():
            try:
                return self._hasher.verify(encoded, _bytes(password))
            except InvalidHashError:
                raise HuyingError(Code.CORRUPT, "a password's hash does not parse") from None
            except VerificationError:
                return False

    def verify_nobody(self, password: str) -> None:
        """As much work as `verify`, for a login that does not exist. Raises HuyingError(BUSY)."""
        if not self._nobody:
            self._nobody = self.hash(secrets.token_urlsafe())
        self.verify(self._nobody, password)

    def is_outdated(self, encoded: str) -> bool:
        """Whether a hash was made at another cost."""
        return self._hasher.check_needs_rehash(encoded)

    def raw(self, secret: str, salt: bytes, cost: Cost) -> bytes:
        """32 bytes of argon2id, where many secrets share a salt. Raises HuyingError(BUSY)."""
        with _Place():
            return hash_secret_raw(
                _bytes(secret),
                salt,
                time_cost=cost.passes,
                memory_cost=cost.memory_kib,
                parallelism=cost.lanes,
                hash_len=_HASH_BYTES,
                type=Type.ID,
            )


class _Place:
    """One of the few places for a hash that is being made."""

    def __enter__(self) -> None:
        if not _PLACES.acquire(timeout=limits.PASSWORD_HASH_WAIT_SECONDS):
            raise HuyingError(Code.BUSY, "too many people are signing in at once")

    def __exit__(self, *_exception: object) -> None:
        _PLACES.release()


def _bytes(text: str) -> bytes:
    # A form may carry half of a surrogate pair; it is a wrong password, and no fault of ours.
    return text.encode("utf-8", "surrogatepass")


def draw_password() -> str:
    """A random password that can be read out: four groups of five."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_DRAWN_GROUP_CHARACTERS))
        for _ in range(_DRAWN_GROUPS)
    )
    return "-".join(groups)
