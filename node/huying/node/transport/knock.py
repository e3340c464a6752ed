"""Knocking at a parent's door: one request with a join token, from a node that nobody knows yet.

The token names the SHA-256 of the parent's certificate. What listens at the address is asked for
its certificate first; only where that is the one, the request goes to it, over a channel that
trusts this certificate alone. So nobody between learns the request, or answers it.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final

import grpc

from huying.common.errors import Code, HuyingError
from huying.common.limits import DIAL_SECONDS_MAX
from huying.common.membership.certificates import dns_name
from huying.node.membership.knocking import knocking_certificate, knocking_key
from huying.node.settings import split_address
from huying.node.transport.door import DOOR_METHOD, DOOR_SERVICE
from huying.node.transport.link import CHANNEL_OPTIONS

__all__ = ["knock"]

# The parent may first wait for its own parent's word, and then writes durably.
ANSWER_SECONDS_MAX: Final = 45.0

_CODES: Final = {
    grpc.StatusCode.PERMISSION_DENIED: Code.JOIN_REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Code.BUSY,
    grpc.StatusCode.UNIMPLEMENTED: Code.VERSION_MISMATCH,
}


def knock(addresses: Sequence[str], certificate_sha256: bytes, code: str, request: bytes) -> bytes:
    """The answer of the parent `code`, at the first of its addresses that is reached.

    Blocks. Raises HuyingError: UNREACHABLE, naming every address; KEY where another certificate is
    shown than the token names; JOIN_REFUSED; BUSY where it has to be tried again later.
    """
    failures = []
    for address in addresses:
        try:
            certificate = _certificate_at(address)
        except (OSError, ValueError) as error:
            failures.append(f"{address}: {_reason(error)}")
            continue
        if hashlib.sha256(certificate).digest() != certificate_sha256:
            raise HuyingError(
                Code.KEY,
                f"{address}: another certificate than the token names; ask for a new token",
            )
        try:
            return _send(address, certificate, code, request)
        except grpc.RpcError as error:
            if error.code() not in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            ):
                raise _refusal(error) from None
            failures.append(f"{address}: {error.code().name}")
    raise HuyingError(Code.UNREACHABLE, "; ".join(failures) or "the token names no address")


def _certificate_at(address: str) -> bytes:
    """The certificate (DER) of what listens there; not yet to be believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its fingerprint is compared, and that is all that counts
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(split_address(address), DIAL_SECONDS_MAX) as plain,
        context.wrap_socket(plain) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    if certificate is None:
        raise ValueError("it shows no certificate")
    return certificate


def _send(address: str, certificate: bytes, code: str, request: bytes) -> bytes:
    credentials = grpc.ssl_channel_credentials(
        ssl.DER_cert_to_PEM_cert(certificate).encode(), knocking_key(), knocking_certificate()
    )
    options = (
        *CHANNEL_OPTIONS,
        ("grpc.ssl_target_name_override", dns_name(code)),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
    )
    with grpc.secure_channel(address, credentials, options) as channel:
        call: Any = channel.unary_unary(
            f"/{DOOR_SERVICE}/{DOOR_METHOD}",
            request_serializer=None,
            response_deserializer=None,
        )
        answer: bytes = call(request, timeout=ANSWER_SECONDS_MAX)
        return answer


def _refusal(error: grpc.RpcError) -> HuyingError:
    """What the parent said; its words never choose what is done."""
    words = str(error.details() or "")
    return HuyingError(_CODES.get(error.code(), Code.UNKNOWN), words.partition(": ")[2][:200])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
