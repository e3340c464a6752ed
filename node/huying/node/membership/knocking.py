"""The knocking key: how a stranger reaches the door of a port that takes known certificates alone.

The sync port demands a client certificate at every handshake, and a new node's is known nowhere
yet. So the port also trusts one certificate whose private key everybody can derive: it proves
nothing, opens no session, and reaches the service `Enrolment` alone, where the join token counts.
"""

from __future__ import annotations

import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["knocking_certificate", "knocking_key"]

_LABEL: Final = b"huying/knock/v1"
# The order of the group of P-256, SEC 2 section 2.4.2.
_ORDER: Final = int("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
_NOT_BEFORE: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER: Final = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


def _key() -> ec.EllipticCurvePrivateKey:
    material = HKDF(hashes.SHA256(), 40, salt=None, info=_LABEL).derive(_LABEL)
    return ec.derive_private_key(1 + int.from_bytes(material) % (_ORDER - 1), ec.SECP256R1())


@lru_cache(maxsize=1)
def knocking_key() -> bytes:
    """The private key, PEM: the same for everybody, and no secret."""
    return _key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@lru_cache(maxsize=1)
def knocking_certificate() -> bytes:
    """The certificate, PEM: the same bytes everywhere, since its signature is that of RFC 6979."""
    key = _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "knock.huying")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
