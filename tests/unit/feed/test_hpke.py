"""Sealing to a node's key: the standard's own vector, and everything that must not open."""

from __future__ import annotations

import pytest
from cryptography.hazmat.bindings._rust import openssl as backend

from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke

# RFC 9180, appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode.
PRIVATE_KEY = bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
PUBLIC_KEY = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
SEALED = bytes.fromhex(
    "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
    "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
)


def test_the_standards_vector_opens() -> None:
    """Other people's HPKE must open what is sealed here. The vector's `aad` is not empty."""
    key = hpke.SealKey(PRIVATE_KEY)
    assert key.public_key.hex() == PUBLIC_KEY
    opened = backend.hpke._decrypt_with_aad(hpke._SUITE, SEALED, key._private_key, INFO, b"Count-0")
    assert opened == b"Beauty is truth, truth beauty"


def test_what_is_sealed_opens_with_its_key_and_its_purpose_alone() -> None:
    """A message for one use must not open as a message for another."""
    key, other = hpke.SealKey(PRIVATE_KEY), hpke.SealKey(bytes(range(32)))
    sealed = hpke.seal(b"a text", key.public_key, b"use 1\n")
    assert key.open(sealed, b"use 1\n") == b"a text"
    assert len(sealed) == len(b"a text") + hpke.OVERHEAD_BYTES
    for holder, data, info in (
        (key, sealed, b"use 2\n"),
        (other, sealed, b"use 1\n"),
        *((key, sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :], b"use 1\n")
          for at in range(len(sealed))),
        *((key, sealed[:size], b"use 1\n") for size in range(len(sealed))),
    ):  # fmt: skip
        with pytest.raises(HuyingError) as caught:
            holder.open(data, info)
        assert caught.value.code is Code.KEY


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_a_key_that_is_none_is_refused(key: bytes) -> None:
    """To a key of small order everybody could open what is sealed."""
    with pytest.raises(HuyingError) as caught:
        hpke.seal(b"a text", key, b"")
    assert caught.value.code is Code.KEY


def test_a_private_key_does_not_show_itself() -> None:
    """It would stand in a log or a traceback."""
    assert PRIVATE_KEY.hex() not in repr(hpke.SealKey(PRIVATE_KEY))
    with pytest.raises(HuyingError):
        hpke.SealKey(bytes(31))
