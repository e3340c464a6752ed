"""Text that has one spelling: base64 and decimals that encode back to the bytes they came from.

Library decoders are lenient: `int()` takes spaces, underscores and other scripts' digits,
`b64decode` takes line breaks and stray bits. A signed or hashed text must not have two spellings,
so everything parsed here re-encodes to itself or is refused.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = ["decode_base64", "decode_decimal", "encode_base64"]

_DECIMAL: Final = re.compile(rb"0|[1-9][0-9]{0,18}")


def encode_base64(data: bytes) -> bytes:
    """Standard base64 with padding (RFC 4648 section 4), in one line without its end."""
    return binascii.b2a_base64(data, newline=False)


def decode_base64(text: bytes, code: Code, field: str) -> bytes:
    """The bytes that `text` encodes.

    Raises HuyingError(code), naming `field`, unless `text` is what `encode_base64` would write.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise HuyingError(code, f"{field}: not base64") from None
    if binascii.b2a_base64(data, newline=False) != text:
        raise HuyingError(code, f"{field}: base64 that does not re-encode to itself")
    return data


def decode_decimal(text: bytes, maximum: int, code: Code, field: str) -> int:
    """The number 0 <= n <= maximum that `text` spells in ASCII digits without leading zeros.

    Raises HuyingError(code), naming `field` and the limit.
    """
    if not _DECIMAL.fullmatch(text):
        raise HuyingError(code, f"{field}: not a canonical decimal")
    number = int(text)
    if number > maximum:
        raise HuyingError(code, f"{field}: over {maximum}")
    return number
