"""Join tokens: what a parent's operator hands to the operator of a new child, once.

    huying-join-<base64url(JoinToken ‖ first 4 bytes of its SHA-256)>

A token carries a secret of 128 bits, and all that the child needs to know whom it talks to: the
parent's address and certificate, the parent's and the root's keys. Whoever holds it may enrol as
the one division it names, until it is used or expires; so it travels like a password. The parent
keeps neither the token nor the secret, just `mac_key` and `token_id`.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import KeyType, VerifierKey
from huying.common.limits import EPOCH_MAX, NAME_CHARACTERS_MAX, TOKEN_CHARACTERS_MAX
from huying.common.membership.roster import Pin
from huying.wire.v1 import enrol_pb2

__all__ = [
    "SECRET_BYTES",
    "TOKEN_ID_BYTES",
    "JoinToken",
    "check_pin",
    "format_token",
    "mac_key",
    "parse_token",
    "token_id",
]

SECRET_BYTES: Final = 16
TOKEN_ID_BYTES: Final = 8
_VERSION: Final = 1
_PREFIX: Final = "huying-join-"
_CHECKSUM_BYTES: Final = 4
_BODY: Final = re.compile(r"[A-Za-z0-9_-]+")
_ADDRESS: Final = re.compile(r"[!-~]{1,255}:[0-9]{1,5}")
_MAC_LABEL: Final = b"huying/join-key/v1\n"
_ID_LABEL: Final = b"huying/join-id/v1\n"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a token says. Its `repr` does not show the secret."""

    network: str
    code: str  # the division that may enrol with it
    name: str
    secret: bytes = field(repr=False)
    expires_seconds: int  # unix time
    parent: Pin  # with the SHA-256 of its certificate
    root: Pin
    address: str = ""  # HOST:PORT of the parent; empty: it is reached by file alone
    fallback_address: str = ""
    epoch: int = 1  # of the first feed that enrols with it


def token_id(secret: bytes) -> bytes:
    """What tells one token from another without giving it away."""
    return sha256(_ID_LABEL + secret).digest()[:TOKEN_ID_BYTES]


def mac_key(secret: bytes) -> bytes:
    """The key of the HMACs by which both sides show that they know the token."""
    return sha256(_MAC_LABEL + secret).digest()


def format_token(token: JoinToken) -> str:
    """The token's text, which `parse_token` reads back.

    Raises HuyingError(TOKEN_MALFORMED) for what would not parse.
    """
    text = _text(_encode(token))
    if parse_token(text) != token:
        raise HuyingError(Code.TOKEN_MALFORMED, "token: does not read back as it was written")
    return text


def parse_token(text: str) -> JoinToken:
    """Read a token; blanks around it are forgiven, nothing else.

    Raises HuyingError(TOKEN_MALFORMED): too long, altered or cut (its checksum tells), of a later
    version, or holding a key that must not be trusted. No detail repeats any of the text.
    """
    text = text.strip()
    body = text.removeprefix(_PREFIX)
    if len(text) > TOKEN_CHARACTERS_MAX:
        raise _malformed(f"over {TOKEN_CHARACTERS_MAX} characters")
    if body == text or not _BODY.fullmatch(body):
        raise _malformed(f"not {_PREFIX} and base64url")
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        raise _malformed("not base64url") from None
    encoded = data[:-_CHECKSUM_BYTES]
    # base64 has spare bits at the end, so the text is compared as a whole.
    if _text(encoded) != text:
        raise _malformed("the checksum does not fit; some of it is missing or altered")
    message = enrol_pb2.JoinToken()
    try:
        message.ParseFromString(encoded)
    except DecodeError:
        raise _malformed("can't be decoded") from None
    if message.version != _VERSION:
        raise _malformed(f"of version {message.version}; this program reads {_VERSION}")
    try:
        token = _decode(message)
    except HuyingError as error:
        raise _malformed(error.detail) from None
    return token


def check_pin(pin: Pin, network: str) -> None:
    """Refuse keys that are weak, or not those of the node they are said to be of.

    Raises HuyingError(KEY or INVALID_ARGUMENT), naming the field.
    """
    codes.parse_code(pin.code)
    if not pin.name or len(pin.name) > NAME_CHARACTERS_MAX or not pin.name.isprintable():
        raise HuyingError(Code.KEY, f"name: 1 to {NAME_CHARACTERS_MAX} printable characters")
    feed_key, witness_key = VerifierKey.parse(pin.feed_key), VerifierKey.parse(pin.witness_key)
    origin = codes.parse_origin(feed_key.name)
    ours = origin.network == network and origin.code == pin.code
    if not ours or feed_key.type is not KeyType.ORIGIN:
        raise HuyingError(Code.KEY, f"feed_key: not a feed key of {pin.code}")
    named = witness_key.name == codes.witness_name(network, pin.code)
    if not named or witness_key.type is not KeyType.COSIGNATURE:
        raise HuyingError(Code.KEY, f"witness_key: not a witness key of {pin.code}")


def _encode(token: JoinToken) -> bytes:
    message = enrol_pb2.JoinToken(
        version=_VERSION,
        network=token.network,
        code=token.code,
        name=token.name,
        secret=token.secret,
        expires_seconds=token.expires_seconds,
        parent=_keys(token.parent),
        root=_keys(token.root),
        address=token.address,
        certificate_sha256=token.parent.certificate_sha256,
        fallback_address=token.fallback_address,
        epoch=token.epoch,
    )
    return message.SerializeToString(deterministic=True)


def _text(encoded: bytes) -> str:
    data = encoded + sha256(encoded).digest()[:_CHECKSUM_BYTES]
    return _PREFIX + base64.urlsafe_b64encode(data).decode().rstrip("=")


def _keys(pin: Pin) -> enrol_pb2.TokenKeys:
    return enrol_pb2.TokenKeys(
        code=pin.code, name=pin.name, feed_key=pin.feed_key, witness_key=pin.witness_key
    )


def _decode(message: enrol_pb2.JoinToken) -> JoinToken:
    """Raises HuyingError, naming the field that is out of form."""
    codes.parse_network(message.network)
    if len(message.secret) != SECRET_BYTES:
        raise HuyingError(Code.KEY, f"secret: not {SECRET_BYTES} bytes")
    if len(message.certificate_sha256) != 32:
        raise HuyingError(Code.KEY, "certificate_sha256: not 32 bytes")
    if not message.name.isprintable() or len(message.name) > NAME_CHARACTERS_MAX:
        raise HuyingError(Code.KEY, f"name: at most {NAME_CHARACTERS_MAX} printable characters")
    if not 1 <= message.epoch <= EPOCH_MAX:
        raise HuyingError(Code.KEY, f"epoch: not within 1 and {EPOCH_MAX}")
    for address in (message.address, message.fallback_address):
        if address and not _ADDRESS.fullmatch(address):
            raise HuyingError(Code.KEY, "address: not HOST:PORT")
    parent = _pin(message.parent, message.certificate_sha256)
    root = _pin(message.root, b"")
    for pin in (parent, root):
        check_pin(pin, message.network)
    if parent.code not in codes.ancestors(codes.parse_code(message.code)):
        raise HuyingError(Code.KEY, "parent: not above the code")
    if root.code != parent.code and root.code not in codes.ancestors(parent.code):
        raise HuyingError(Code.KEY, "root: not above the parent")
    return JoinToken(
        network=message.network,
        code=message.code,
        name=message.name,
        secret=message.secret,
        expires_seconds=message.expires_seconds,
        parent=parent,
        root=root,
        address=message.address,
        fallback_address=message.fallback_address,
        epoch=message.epoch,
    )


def _pin(keys: enrol_pb2.TokenKeys, certificate_sha256: bytes) -> Pin:
    return Pin(keys.code, keys.name, keys.feed_key, keys.witness_key, certificate_sha256)


def _malformed(what: str) -> HuyingError:
    return HuyingError(Code.TOKEN_MALFORMED, f"token: {what}")
