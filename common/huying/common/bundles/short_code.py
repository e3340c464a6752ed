"""The short code: a bundle's acknowledgement that a person reads out, or writes on paper.

    7K3D-9QXM-0VTA

Eleven characters carry 55 bits of a hash of the bundle's secret, which only its recipient could
read; the twelfth is the check symbol of Crockford's base 32 (the value modulo 37). A code whose
check symbol would be one of the five that are no digits or letters of the alphabet is drawn again,
so that a code can always be typed and said. Reading takes small letters, hyphens and blanks, and I,
L and O for 1, 1 and 0.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = ["parse_short_code", "short_code"]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LABEL: Final = b"huying/bundle-code/v1\n"
_DIGITS: Final = 11
_BITS: Final = 5 * _DIGITS
_CHECK_MODULUS: Final = 37
_READ_AS: Final = str.maketrans("ILO", "110", "- ")


def short_code(secret: bytes) -> str:
    """The code of the bundle that held `secret`, in three groups of four."""
    attempt = 0
    while True:
        digest = sha256(_LABEL + attempt.to_bytes(4, "big") + secret).digest()
        value = int.from_bytes(digest[:8], "big") >> (64 - _BITS)
        if value % _CHECK_MODULUS < len(_ALPHABET):
            break
        attempt += 1
    text = _spell(value)
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _spell(value: int) -> str:
    digits = [_ALPHABET[value >> shift & 31] for shift in range(_BITS - 5, -1, -5)]
    return "".join((*digits, _ALPHABET[value % _CHECK_MODULUS]))


def parse_short_code(typed: str) -> str:
    """A code as a person typed it, in the form of `short_code`.

    Raises HuyingError(INVALID_ARGUMENT) for a mistyped one: one wrong character, or two that
    changed places, never pass. A code that passes may still be another bundle's.
    """
    text = typed.strip().upper().translate(_READ_AS)
    if len(text) != _DIGITS + 1:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"code: mistyped: it has {_DIGITS + 1} characters, not {len(text)}",
        )
    value = 0
    for char in text[:-1]:
        if char not in _ALPHABET:
            raise HuyingError(
                Code.INVALID_ARGUMENT, "code: mistyped: a character that is in no code"
            )
        value = value << 5 | _ALPHABET.index(char)
    if value % _CHECK_MODULUS >= len(_ALPHABET) or _spell(value) != text:
        raise HuyingError(Code.INVALID_ARGUMENT, "code: mistyped: its check character does not fit")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
