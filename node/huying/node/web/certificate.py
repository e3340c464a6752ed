"""The console's TLS certificate: the operator's, or a self-signed one that is made when first used.

Beyond loopback nothing is served without TLS. In a village without anybody who could issue a
certificate, a self-signed one still keeps passwords from whoever listens on the wire; browsers warn
once, and the operator compares the fingerprint that `huying console link` prints.
"""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from huying.common.errors import Code, HuyingError
from huying.node.config import Config

__all__ = ["fingerprint", "tls_files"]

_YEARS: Final = 5


def tls_files(config: Config) -> tuple[str, str]:
    """(key file, certificate file) of the console; made where the configuration names none.

    Raises HuyingError(CONFIG) where one of the two is named without the other, or can't be read.
    """
    section = config.console
    if (section.certificate is None) != (section.key is None):
        raise HuyingError(Code.CONFIG, "console.certificate, console.key: name both, or neither")
    if section.certificate is not None and section.key is not None:
        key, certificate = config.path(section.key), config.path(section.certificate)
        for name, file in (("key", key), ("certificate", certificate)):
            if not os.access(file, os.R_OK):
                raise HuyingError(Code.CONFIG, f"console.{name}: {file} can't be read")
        return str(key), str(certificate)
    key, certificate = config.keys_dir / "console.key", config.keys_dir / "console.pem"
    if not (key.exists() and certificate.exists()):
        _make(config, key, certificate)
    return str(key), str(certificate)


def fingerprint(file: Path) -> str:
    """SHA-256 of a certificate, as browsers show it."""
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _make(config: Config, key_file: Path, certificate_file: Path) -> None:
    from huying.node.web.app import origin_of

    host = urlsplit(origin_of(config)).hostname or "localhost"
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Huying {config.node.code}")])
    alternative: x509.GeneralName
    try:
        alternative = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(
        key_file,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
