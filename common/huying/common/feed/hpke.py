"""Sealing to a node's key: HPKE in its base mode, RFC 9180.

    DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; empty `aad`, one message a key

What is sealed is `enc ‖ ciphertext`. `info` says what the message is for: it begins with a label of
its own for each use, so that nothing sealed for one use opens as another. The ephemeral key is the
library's own draw, and the one thing in the core that a seed does not repeat; nothing depends on
it. Base mode proves no sender: whoever seals signs as well.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from huying.common.errors import Code, HuyingError

__all__ = ["KEY_BYTES", "OVERHEAD_BYTES", "SealKey", "seal"]

KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 32 + 16  # the ephemeral public key and the tag
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class SealKey:
    """A private key that opens what was sealed to its public key. It never shows itself."""

    __slots__ = ("_private_key", "public_key")

    public_key: bytes  # 32 bytes

    def __init__(self, private_key: bytes) -> None:
        """From 32 secret bytes. Raises HuyingError(KEY) for another length."""
        if len(private_key) != KEY_BYTES:
            raise HuyingError(Code.KEY, f"HPKE private key: {KEY_BYTES} bytes")
        self._private_key = X25519PrivateKey.from_private_bytes(private_key)
        self.public_key = self._private_key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """What was sealed under `info`.

        Raises HuyingError(KEY) for what was sealed to another key, under another `info`, or
        altered: the three can't be told apart.
        """
        if len(sealed) < OVERHEAD_BYTES:
            raise HuyingError(Code.KEY, "what is sealed is too short")
        try:
            return _SUITE.decrypt(sealed, self._private_key, info)
        except (InvalidTag, ValueError):
            raise HuyingError(Code.KEY, "the seal does not open with this key") from None

    def __repr__(self) -> str:
        return f"SealKey({self.public_key.hex()})"


def seal(plaintext: bytes, public_key: bytes, info: bytes) -> bytes:
    """`plaintext`, which just the holder of the private key can open; 48 bytes longer.

    Raises HuyingError(KEY) for a key that is not 32 bytes, or of small order.
    """
    if len(public_key) != KEY_BYTES:
        raise HuyingError(Code.KEY, f"HPKE key: {KEY_BYTES} bytes")
    try:
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), info)
    except ValueError:
        raise HuyingError(Code.KEY, "HPKE key: of small order") from None
