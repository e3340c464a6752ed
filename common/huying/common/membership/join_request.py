"""What a new node shows its parent, and what the parent answers: proofs over both.

The request names every public key of the new node. Its proofs bind them together: an HMAC shows
that the sender holds the token, a signature by each key that it holds the keys. So nobody who
listens, carries the file, or holds an old request can put another key in, or enrol somebody else's.
The answer carries an HMAC too, over the request's own, since it may come back on a stick.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import VerifierKey
from huying.common.limits import ENROL_BYTES_MAX
from huying.common.membership.certificates import (
    check_certificate,
    check_hpke_key,
    verify_by_certificate,
)
from huying.common.membership.join_token import TOKEN_ID_BYTES, check_pin
from huying.common.membership.roster import Identity, Pin
from huying.wire.v1 import enrol_pb2

__all__ = [
    "check_response",
    "check_token_proof",
    "keys_digest",
    "parse_request",
    "parse_response",
    "prove_request",
    "prove_response",
    "request_pin",
]

_PROOFS: Final = ("token_proof", "feed_proof", "witness_proof", "tls_proof")
_TOKEN_LABEL: Final = b"huying/join-request/v1\n"
_FEED_LABEL: Final = b"huying/join-feed/v1\n"
_WITNESS_LABEL: Final = b"huying/join-witness/v1\n"
_TLS_LABEL: Final = b"huying/join-tls/v1\n"
_RESPONSE_LABEL: Final = b"huying/join-response/v1\n"
_KEYS_LABEL: Final = b"huying/join-keys/v1\n"


def prove_request(
    request: enrol_pb2.EnrolRequest,
    mac_key: bytes,
    identity: Identity,
    sign_tls: Callable[[bytes], bytes],
) -> None:
    """Put the proofs in, over all the rest. `sign_tls` makes an ECDSA-SHA-256 signature."""
    transcript = _transcript(request)
    request.token_proof = _mac(mac_key, _TOKEN_LABEL + transcript)
    request.feed_proof = identity.feed_signer.sign_raw(_FEED_LABEL + transcript)
    request.witness_proof = identity.witness_signer.sign_raw(_WITNESS_LABEL + transcript)
    request.tls_proof = sign_tls(_TLS_LABEL + transcript)


def parse_request(data: bytes) -> enrol_pb2.EnrolRequest:
    """Decode a request; nothing in it is to be believed before its proofs.

    Raises HuyingError(JOIN_REFUSED).
    """
    if len(data) > ENROL_BYTES_MAX:
        raise HuyingError(Code.JOIN_REFUSED, f"a request over {ENROL_BYTES_MAX} bytes")
    request = enrol_pb2.EnrolRequest()
    try:
        request.ParseFromString(data)
    except DecodeError:
        raise HuyingError(Code.JOIN_REFUSED, "a request that can't be decoded") from None
    if len(request.token_id) != TOKEN_ID_BYTES:
        raise HuyingError(Code.JOIN_REFUSED, f"token_id: not {TOKEN_ID_BYTES} bytes")
    return request


def check_token_proof(request: enrol_pb2.EnrolRequest, mac_key: bytes) -> bool:
    """Whether whoever made the request holds the token. Takes the same time either way."""
    expected = _mac(mac_key, _TOKEN_LABEL + _transcript(request))
    return hmac.compare_digest(expected, request.token_proof)


def request_pin(request: enrol_pb2.EnrolRequest) -> Pin:
    """The new node's keys, each proven to be held.

    Raises HuyingError(KEY): a weak key, one in another's name, an unusable certificate;
    HuyingError(BAD_SIGNATURE): a proof that does not verify; HuyingError(INVALID_ARGUMENT).
    """
    check_certificate(request.certificate, request.code)
    check_hpke_key(request.hpke_key)
    pin = Pin(
        request.code,
        request.name,
        request.feed_key,
        request.witness_key,
        sha256(request.certificate).digest(),
    )
    check_pin(pin, codes.parse_network(request.network))
    transcript = _transcript(request)
    feed_key, witness_key = VerifierKey.parse(pin.feed_key), VerifierKey.parse(pin.witness_key)
    if feed_key.public_key == witness_key.public_key:
        raise HuyingError(Code.KEY, "feed_key: the same as the witness key")
    feed_key.verify_raw(_FEED_LABEL + transcript, request.feed_proof)
    witness_key.verify_raw(_WITNESS_LABEL + transcript, request.witness_proof)
    verify_by_certificate(request.certificate, _TLS_LABEL + transcript, request.tls_proof)
    return pin


def keys_digest(request: enrol_pb2.EnrolRequest) -> bytes:
    """Tells the keys of one request from any others: who used a token may come again with it."""
    digest = sha256(_KEYS_LABEL)
    for part in (
        request.feed_key.encode(),
        request.witness_key.encode(),
        request.certificate,
        request.hpke_key,
    ):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


def prove_response(
    response: enrol_pb2.EnrolResponse, mac_key: bytes, request: enrol_pb2.EnrolRequest
) -> None:
    """Put the proof in: this is the answer to that request, by who issued its token."""
    response.token_proof = _response_mac(response, mac_key, request)


def parse_response(data: bytes) -> enrol_pb2.EnrolResponse:
    """Decode an answer. Raises HuyingError(JOIN_REFUSED)."""
    response = enrol_pb2.EnrolResponse()
    try:
        if len(data) > ENROL_BYTES_MAX:
            raise DecodeError
        response.ParseFromString(data)
    except DecodeError:
        raise HuyingError(Code.JOIN_REFUSED, "the response can't be decoded") from None
    return response


def check_response(
    response: enrol_pb2.EnrolResponse, mac_key: bytes, request: enrol_pb2.EnrolRequest
) -> None:
    """Raises HuyingError(JOIN_REFUSED) for what does not answer this very request."""
    expected = _response_mac(response, mac_key, request)
    if not hmac.compare_digest(expected, response.token_proof):
        raise HuyingError(Code.JOIN_REFUSED, "the response was altered, or answers another request")


def _response_mac(
    response: enrol_pb2.EnrolResponse, mac_key: bytes, request: enrol_pb2.EnrolRequest
) -> bytes:
    bare = enrol_pb2.EnrolResponse()
    bare.CopyFrom(response)
    bare.ClearField("token_proof")
    encoded = bare.SerializeToString(deterministic=True)
    return _mac(mac_key, _RESPONSE_LABEL + request.token_proof + encoded)


def _transcript(request: enrol_pb2.EnrolRequest) -> bytes:
    """The bytes that every proof is over. An unknown field stays in, and so is covered."""
    bare = enrol_pb2.EnrolRequest()
    bare.CopyFrom(request)
    for proof in _PROOFS:
        bare.ClearField(proof)
    return bare.SerializeToString(deterministic=True)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
