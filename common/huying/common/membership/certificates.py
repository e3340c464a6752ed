"""What a node's TLS certificate must be, whoever shows it.

A certificate here is a name and a key, and no more: self-signed, for one node, unable to issue
another. Trust in it comes from a pin or a roster entry that names its SHA-256.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from huying.common.errors import Code, HuyingError
from huying.common.limits import CERTIFICATE_BYTES_MAX

__all__ = ["check_certificate", "check_hpke_key", "dns_name", "verify_by_certificate"]


def dns_name(code: str) -> str:
    """The name in the certificate of division `code`."""
    return f"n{code}.huying"


def check_certificate(der: bytes, code: str) -> None:
    """Refuse what is no certificate of that node.

    Raises HuyingError(KEY): over 2 KiB, no X.509, not an EC P-256 key, another name than the
    node's, or one that may issue others.
    """
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise HuyingError(Code.KEY, f"certificate: over {CERTIFICATE_BYTES_MAX} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise HuyingError(Code.KEY, "certificate: not one of a node") from None
    if list(names) != [x509.DNSName(dns_name(code))]:
        raise HuyingError(Code.KEY, f"certificate: not in the name of {code}")
    if constraints.ca:
        raise HuyingError(Code.KEY, "certificate: it may issue others")
    _public_key(certificate)


def verify_by_certificate(der: bytes, message: bytes, signature: bytes) -> None:
    """Check an ECDSA-SHA-256 signature by the key of a certificate that was checked.

    Raises HuyingError(BAD_SIGNATURE).
    """
    key = _public_key(x509.load_der_x509_certificate(der))
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise HuyingError(Code.BAD_SIGNATURE, "signature of the certificate's key") from None


def check_hpke_key(key: bytes) -> None:
    """Refuse what is no X25519 public key, or one that makes every shared secret zero.

    Raises HuyingError(KEY); RFC 7748 section 6.1 tells why.
    """
    if len(key) != 32:
        raise HuyingError(Code.KEY, "hpke_key: an X25519 key has 32 bytes")
    probe = x25519.X25519PrivateKey.from_private_bytes(b"\x01" * 32)
    try:
        probe.exchange(x25519.X25519PublicKey.from_public_bytes(key))
    except ValueError:
        raise HuyingError(Code.KEY, "hpke_key: of small order") from None


def _public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise HuyingError(Code.KEY, "certificate: its key is not of curve P-256")
    return key
