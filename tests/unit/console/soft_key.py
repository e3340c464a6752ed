"""A security key in software: makes and uses one key as a browser and its authenticator would."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url

_PRESENT = 0x01
_ATTESTED = 0x40


class SoftKey:
    """One key. `count` is that of its signatures; a test may set it back, as a copy's would be."""

    def __init__(self, origin: str, domain: str) -> None:
        self.origin = origin
        self.domain = domain
        self.id = secrets.token_bytes(32)
        self.count = 0
        self._private = ec.generate_private_key(ec.SECP256R1())

    def made(self, options: str) -> str:
        """The answer to the options of a registration."""
        numbers = self._private.public_key().public_numbers()
        x, y = (number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        data = self._data(_PRESENT | _ATTESTED)
        data += bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options)
        return self._answer(clientDataJSON=client, attestationObject=attestation)

    def used(self, options: str) -> str:
        """The answer to the options of a sign-in."""
        self.count += 1
        data, client = self._data(_PRESENT), self._client("webauthn.get", options)
        signed = data + hashlib.sha256(client).digest()
        signature = self._private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._answer(clientDataJSON=client, authenticatorData=data, signature=signature)

    def _data(self, flags: int) -> bytes:
        domain = hashlib.sha256(self.domain.encode()).digest()
        return domain + bytes((flags,)) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, options: str) -> bytes:
        asked: dict[str, Any] = json.loads(options)
        said = {"type": kind, "challenge": asked["challenge"], "origin": self.origin}
        return json.dumps({**said, "crossOrigin": False}).encode()

    def _answer(self, **response: bytes) -> str:
        key = bytes_to_base64url(self.id)
        shown = {name: bytes_to_base64url(value) for name, value in response.items()}
        return json.dumps({"id": key, "rawId": key, "type": "public-key", "response": shown})
