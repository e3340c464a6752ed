"""Which Ed25519 public keys must never be trusted.

A verifier that takes any 32 bytes for a key can be fooled: for a key of small order one signature
verifies every message, and of a key whose secret is printed in a standard anybody can sign. Such
keys are refused where a key is first read, in configuration, at enrolment or in a roster entry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = ["PUBLISHED_KEYS", "SMALL_ORDER_KEYS", "check_public_key"]

_P: Final = 2**255 - 19  # the field of Curve25519, RFC 8032 section 5.1
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SIGN: Final = 1 << 255
_KEYS_CACHED_MAX: Final = 4096

# y of the two pairs of points of order 8.
_ORDER_8_LOW: Final = int("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
_ORDER_8_HIGH: Final = _P - _ORDER_8_LOW

# Every encoding that a lenient decoder reads as one of the eight points of order 1, 2, 4 and 8:
# y = 1, -1, 0 and the four of order 8; then y = 0 and 1 written as p and p + 1, and y = 1 and -1,
# where x is 0, written with the sign bit.
SMALL_ORDER_KEYS: Final = frozenset(
    (y | sign).to_bytes(32, "little")
    for y in (0, 1, _P - 1, _P, _P + 1, _ORDER_8_LOW, _ORDER_8_HIGH)
    for sign in (0, _SIGN)
)

# Keys whose secret is public: the seeds of 32 zero and 32 0xff bytes, and RFC 8032 section 7.1.
PUBLISHED_KEYS: Final = frozenset(
    bytes.fromhex(key)
    for key in (
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    )
)


@lru_cache(maxsize=_KEYS_CACHED_MAX)
def check_public_key(public_key: bytes) -> None:
    """Refuse a public key that is not one point of the curve in its one encoding, or is weak.

    Raises HuyingError(KEY), naming what is wrong with it.
    """
    if len(public_key) != 32:
        raise HuyingError(Code.KEY, "public key: an Ed25519 key has 32 bytes")
    if public_key in SMALL_ORDER_KEYS:
        raise HuyingError(Code.KEY, "public key: of small order, one signature fits every message")
    if public_key in PUBLISHED_KEYS:
        raise HuyingError(Code.KEY, "public key: its secret is published")
    y = int.from_bytes(public_key, "little") & (_SIGN - 1)
    if y >= _P:
        raise HuyingError(Code.KEY, "public key: not the canonical encoding of a point")
    # x^2 = (y^2 - 1) / (d y^2 + 1) has a root just where the product of the two has one.
    square = y * y % _P
    if pow((square - 1) * (_D * square + 1), (_P - 1) // 2, _P) != 1:
        raise HuyingError(Code.KEY, "public key: not a point of the curve")
