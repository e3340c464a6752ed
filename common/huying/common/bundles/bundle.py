"""The bundle file and its receipt: their bytes, and the checks that need no store.

    "HUYINGB1" ‖ Bundle{header, sealed, signature}
    sealed    = HPKE(recipient's key, info = label ‖ header, zstd(BundlePayload))
    signature = Ed25519(sender's feed key, label ‖ header ‖ SHA-256(sealed))

The three fields stand in that order and once, so that a file that was cut short is told from one
that was altered. Nothing is decompressed before its size is known, and nothing in a payload is
kept before the signature was checked. docs/SYNC.md, "Bundles".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import zstandard
from google.protobuf.message import DecodeError

from huying.common.codes import parse_code, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke
from huying.common.feed.note import Signer, VerifierKey
from huying.common.limits import (
    BUNDLE_BYTES_MAX,
    BUNDLE_FRAMES_MAX,
    BUNDLE_HEADER_BYTES_MAX,
    BUNDLE_PAYLOAD_BYTES_MAX,
    BUNDLE_SECRET_BYTES,
    RECEIPT_BYTES_MAX,
)
from huying.wire.v1 import bundle_pb2

__all__ = [
    "Parcel",
    "check_receipt",
    "check_signature",
    "open_payload",
    "parse_bundle",
    "parse_receipt",
    "seal_bundle",
    "sign_receipt",
]

_MAGIC: Final = b"HUYINGB1"
_RECEIPT_MAGIC: Final = b"HUYINGR1"
_LABEL: Final = b"huying/bundle/v1\n"
_RECEIPT_LABEL: Final = b"huying/bundle-receipt/v1\n"
_SIGNATURE_BYTES: Final = 64
_LENGTH_BYTES_MAX: Final = 5  # a protobuf length over 2^35 is no length of ours
_ZSTD_LEVEL: Final = 3
_NUMBER_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Parcel:
    """A bundle whose form was checked, and nothing else."""

    header: bundle_pb2.BundleHeader
    header_bytes: bytes
    sealed: bytes
    signature: bytes
    digest: bytes  # SHA-256 of the whole file


def seal_bundle(
    header: bundle_pb2.BundleHeader,
    payload: bundle_pb2.BundlePayload,
    recipient_key: bytes,
    signer: Signer,
) -> tuple[bytes, bytes]:
    """The bytes of a bundle file, and their SHA-256. Sets `payload_bytes` and `origin` in `header`.

    Raises HuyingError(KEY) for an unusable `recipient_key` (X25519, 32 bytes), and LIMIT_EXCEEDED
    for a payload over 64 MiB.
    """
    data = payload.SerializeToString()
    if len(data) > BUNDLE_PAYLOAD_BYTES_MAX or len(payload.frames) > BUNDLE_FRAMES_MAX:
        raise HuyingError(Code.LIMIT_EXCEEDED, f"a bundle of {len(data)} bytes")
    header.payload_bytes = len(data)
    header.origin = signer.name
    head = header.SerializeToString(deterministic=True)
    packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=False).compress(data)
    sealed = hpke.seal(packed, recipient_key, _LABEL + head)
    signature = signer.sign_raw(_LABEL + head + sha256(sealed).digest())
    bundle = bundle_pb2.Bundle(header=head, sealed=sealed, signature=signature)
    file = _MAGIC + bundle.SerializeToString(deterministic=True)
    return file, sha256(file).digest()


def parse_bundle(data: bytes) -> Parcel:
    """Take a bundle file apart, trusting nothing in it.

    Raises HuyingError: BUNDLE_TRUNCATED where the file ends early; BUNDLE_TAMPERED where it is no
    bundle, or its form is broken otherwise; LIMIT_EXCEEDED over 66 MiB.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise HuyingError(
            Code.LIMIT_EXCEEDED, f"a bundle of {len(data)} bytes, the limit is {BUNDLE_BYTES_MAX}"
        )
    head, sealed, signature = _fields(data, _MAGIC, 3)
    if len(head) > BUNDLE_HEADER_BYTES_MAX or len(signature) != _SIGNATURE_BYTES:
        raise _altered("its header or its signature has an impossible length")
    try:
        header = bundle_pb2.BundleHeader.FromString(head)
        parse_code(header.recipient)
        if parse_origin(header.origin).code != parse_code(header.sender):
            raise _altered("it is signed by another node than it names")
    except DecodeError:
        raise _altered("its header does not parse") from None
    except HuyingError as error:
        raise _altered(error.detail) from None
    if not 1 <= header.number <= _NUMBER_MAX or header.after >= header.number:
        raise _altered(f"number {header.number} after {header.after}")
    return Parcel(header, head, sealed, signature, sha256(data).digest())


def check_signature(parcel: Parcel, key: VerifierKey) -> None:
    """The sender's signature over header and seal. Raises HuyingError(BUNDLE_TAMPERED)."""
    message = _LABEL + parcel.header_bytes + sha256(parcel.sealed).digest()
    if key.name != parcel.header.origin:
        raise _altered("it is signed under another name")
    try:
        key.verify_raw(message, parcel.signature)
    except HuyingError:
        raise _altered("the sender's signature does not verify") from None


def open_payload(parcel: Parcel, keys: Sequence[hpke.SealKey]) -> bundle_pb2.BundlePayload:
    """What is in the bundle, which one of `keys` opens. Raises HuyingError(BUNDLE_TAMPERED)."""
    packed = _open_seal(parcel, keys)
    size_bytes = parcel.header.payload_bytes
    try:
        if size_bytes > BUNDLE_PAYLOAD_BYTES_MAX:
            raise _altered(f"it would unpack to {size_bytes} bytes")
        if zstandard.frame_content_size(packed) != size_bytes:
            raise _altered("it unpacks to another size than it says")
        unpacked = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        payload = bundle_pb2.BundlePayload.FromString(unpacked)
    except (zstandard.ZstdError, DecodeError):
        raise _altered("its content does not unpack") from None
    if len(payload.frames) > BUNDLE_FRAMES_MAX or payload.imported > _NUMBER_MAX:
        raise _altered("its content is out of bounds")
    if len(payload.secret) != BUNDLE_SECRET_BYTES:
        raise _altered("its content is out of form")
    return payload


def _open_seal(parcel: Parcel, keys: Sequence[hpke.SealKey]) -> bytes:
    for key in keys:
        with contextlib.suppress(HuyingError):
            return key.open(parcel.sealed, _LABEL + parcel.header_bytes)
    raise _altered("the seal does not open with a key of this node")


def sign_receipt(body: bundle_pb2.BundleReceiptBody, signer: Signer) -> bytes:
    """The bytes of a receipt file. Sets `origin` in `body`."""
    body.origin = signer.name
    data = body.SerializeToString(deterministic=True)
    receipt = bundle_pb2.BundleReceipt(body=data, signature=signer.sign_raw(_RECEIPT_LABEL + data))
    return _RECEIPT_MAGIC + receipt.SerializeToString(deterministic=True)


def parse_receipt(data: bytes) -> tuple[bundle_pb2.BundleReceiptBody, bytes, bytes]:
    """(body, its bytes, signature) of a receipt file, trusting nothing in it.

    Raises HuyingError(BUNDLE_TRUNCATED, BUNDLE_TAMPERED or LIMIT_EXCEEDED).
    """
    if len(data) > RECEIPT_BYTES_MAX:
        raise HuyingError(
            Code.LIMIT_EXCEEDED, f"a receipt of {len(data)} bytes, the limit is {RECEIPT_BYTES_MAX}"
        )
    body, signature = _fields(data, _RECEIPT_MAGIC, 2)
    try:
        parsed = bundle_pb2.BundleReceiptBody.FromString(body)
        parse_code(parsed.sender)
        parse_code(parsed.recipient)
        if not 1 <= parsed.number <= _NUMBER_MAX:
            raise _altered(f"a receipt for number {parsed.number}")
        if parse_origin(parsed.origin).code != parsed.recipient:
            raise _altered("the receipt is signed by another node than it names")
    except DecodeError:
        raise _altered("the receipt does not parse") from None
    except HuyingError as error:
        raise _altered(error.detail) from None
    return parsed, body, signature


def check_receipt(body: bytes, signature: bytes, key: VerifierKey) -> None:
    """The recipient's signature of a receipt. Raises HuyingError(BUNDLE_TAMPERED)."""
    try:
        key.verify_raw(_RECEIPT_LABEL + body, signature)
    except HuyingError:
        raise _altered("the receipt's signature does not verify") from None


def _altered(detail: str) -> HuyingError:
    return HuyingError(Code.BUNDLE_TAMPERED, detail)


def _fields(data: bytes, magic: bytes, count: int) -> Sequence[bytes]:
    """The length-delimited fields 1 to `count` of a message after `magic`, in order, each once.

    Raises HuyingError(BUNDLE_TRUNCATED) where the data ends before the last field does, and
    BUNDLE_TAMPERED where anything else stands there.
    """
    if not data.startswith(magic):
        if magic.startswith(data):
            raise HuyingError(Code.BUNDLE_TRUNCATED, f"{len(data)} bytes")
        raise _altered(f"the file does not begin with {magic.decode()}")
    found = []
    at = len(magic)
    for number in range(1, count + 1):
        if at < len(data) and data[at] != number << 3 | 2:
            raise _altered(f"field {number} is not where it belongs")
        length, start = _length(data, at + 1)
        if start + length > len(data):
            raise HuyingError(
                Code.BUNDLE_TRUNCATED, f"{len(data)} bytes, of {start + length} at least"
            )
        found.append(data[start : start + length])
        at = start + length
    if at != len(data):
        raise _altered(f"{len(data) - at} bytes follow its end")
    return found


def _length(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends) of the variable-length integer at `at`."""
    value = 0
    for count in range(_LENGTH_BYTES_MAX):
        if at + count >= len(data):
            raise HuyingError(Code.BUNDLE_TRUNCATED, f"{len(data)} bytes")
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise _altered("a length that is none")
