"""Mutual TLS without a hierarchy: each side trusts exactly the certificates it was given.

The child trusts its parent's pinned certificate and nothing else; the parent trusts the
certificates of its roster, and tells its children apart by the SHA-256 of the certificate's DER
form. No certificate here can issue another (basicConstraints CA:FALSE), so one town can never
vouch for a second. The identity of data rests on feed keys, not on TLS.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import grpc

from huying.common.errors import Code, HuyingError
from huying.common.membership.certificates import dns_name

__all__ = [
    "TLS_VERSION",
    "certificate_expires",
    "certificate_sha256",
    "channel_credentials",
    "dns_name",
    "peer_certificate_sha256",
    "server_credentials",
]

TLS_VERSION: Final = "TLSv1.3"


def certificate_sha256(pem: str) -> bytes:
    """SHA-256 of the certificate's DER form. Raises HuyingError(KEY) where it is no PEM."""
    try:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    except ValueError:
        raise HuyingError(Code.KEY, "certificate: not in PEM form") from None


def certificate_expires(pem: str) -> float:
    """Unix seconds until which the certificate is good.

    Raises HuyingError(KEY) where it is no X.509 certificate in PEM form.
    """
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()
    except ValueError:
        raise HuyingError(Code.KEY, "certificate: not X.509 in PEM form") from None


def channel_credentials(
    key_pem: bytes, certificate_pem: bytes, parent_pem: bytes
) -> grpc.ChannelCredentials:
    """For dialling the parent: own key and certificate, and the one certificate to trust."""
    return grpc.ssl_channel_credentials(parent_pem, key_pem, certificate_pem)


def server_credentials(
    own: Callable[[], tuple[bytes, bytes]], children: Callable[[], Sequence[str]]
) -> grpc.ServerCredentials:
    """For children dialling in.

    `own` gives this node's key and certificate and `children` the certificates to trust, all PEM.
    Both are asked again at every handshake, on a thread of gRPC's, so that a child can be added or
    removed, and the own certificate renewed, while the server runs. Live streams are not affected.
    """
    in_force: list[tuple[tuple[bytes, bytes], tuple[str, ...]]] = []

    def configuration() -> grpc.ServerCertificateConfiguration:
        pair, trusted = in_force[-1]
        # With no child enrolled the server trusts itself alone: gRPC takes no empty list.
        roots = "".join(trusted).encode() or pair[1]
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        now = own(), tuple(children())
        if in_force[-1] == now:
            return None
        in_force[:] = [now]
        return configuration()

    in_force.append((own(), tuple(children())))
    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        fetch,  # type: ignore[arg-type]  # None means unchanged, which the stub forgot
        require_client_authentication=True,
    )


def peer_certificate_sha256(auth_context: Mapping[str, Iterable[bytes]]) -> bytes:
    """The fingerprint of the certificate that the peer proved to hold.

    Raises HuyingError(NOT_ENROLLED) where it showed none or spoke an older TLS.
    """
    versions = auth_context.get("ssl_tls_version", ())
    if list(versions) != [TLS_VERSION.encode()]:
        raise HuyingError(Code.NOT_ENROLLED, f"the link must use {TLS_VERSION}")
    certificates = list(auth_context.get("x509_pem_cert", ()))
    if len(certificates) != 1:
        raise HuyingError(Code.NOT_ENROLLED, "the peer showed no certificate")
    return certificate_sha256(certificates[0].decode("ascii", "replace"))
