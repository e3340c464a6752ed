"""The node's private keys, each in a file of its own that just the node's user can read.

    keys/feed-e1.key    signs the own feed in epoch 1; once that is over, feed-e1.vkey stays
    keys/witness.key    cosigns the checkpoints of parent and children
    keys/tls.key, keys/tls.crt    proves this node to its neighbours
    keys/hpke.key       opens what is sealed to this node
    keys/api.token      what programs on this machine show to the API
    console/api-console.token    what the console shows to it, drawn anew at each start

Feed and witness keys are stored as `PRIVATE+KEY+<name>+<id>+<base64(type ‖ seed)>`, the form of
golang.org/x/mod/sumdb/note; the X25519 key as 32 bytes in base64. The TLS key is EC P-256: gRPC's
TLS library offers no Ed25519. The certificate is self-signed, valid for two years, and may not
issue others; a neighbour pins it, so replacing it means handing the neighbours the new one first.

No exception and no `repr` here carries a key's bytes.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, encode_base64
from huying.common.feed.note import KeyType, Signer, VerifierKey
from huying.common.membership.roster import Identity
from huying.common.membership.succession import choose_epoch
from huying.node import tls
from huying.node.folders import sync_folder

__all__ = [
    "CERTIFICATE_DAYS",
    "HpkeIdentity",
    "Keys",
    "TlsIdentity",
    "create_keys",
    "draw_token",
    "load_hpke",
    "load_identity",
    "load_keys",
    "load_tls",
    "load_token",
    "private_folder",
    "read_private",
    "sign_by_tls",
    "write_private",
]

CERTIFICATE_DAYS: Final = 730
_BACKDATED: Final = datetime.timedelta(days=1)  # a neighbour's clock may be behind
_FILE_BYTES_MAX: Final = 64 * 1024
_SEED_BYTES: Final = 32
_TOKEN_BYTES: Final = 32
_PREFIX: Final = "PRIVATE+KEY+"

WITNESS_FILE: Final = "witness.key"
TLS_KEY_FILE: Final = "tls.key"
TLS_CERTIFICATE_FILE: Final = "tls.crt"
HPKE_FILE: Final = "hpke.key"


def feed_file(epoch: int) -> str:
    """The file name of the feed key of one epoch."""
    return f"feed-e{epoch}.key"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """The key and certificate this node shows its neighbours, both PEM."""

    key_pem: bytes = field(repr=False)
    certificate_pem: bytes
    expires: float  # unix seconds


@dataclass(frozen=True, slots=True)
class HpkeIdentity:
    """The X25519 key pair that others seal to, 32 bytes each."""

    private_key: bytes = field(repr=False)
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """All the keys of a node, but the API's token."""

    identity: Identity
    tls: TlsIdentity
    hpke: HpkeIdentity


def create_keys(folder: Path, token_file: Path, network: str, code: str, epoch: int = 1) -> Keys:
    """Make every key of a new node. Raises HuyingError(KEY) where one exists already."""
    private_folder(folder)
    origin = codes.origin(network, code, epoch)
    feed = _create_signer(folder / feed_file(epoch), origin, KeyType.ORIGIN)
    witness = _create_signer(
        folder / WITNESS_FILE, codes.witness_name(network, code), KeyType.COSIGNATURE
    )
    tls_identity = create_tls(folder, code)
    private_folder(token_file.parent)
    write_private(token_file, draw_token())
    hpke = create_hpke(folder / HPKE_FILE)
    return Keys(Identity(network, code, feed, witness), tls_identity, hpke)


def load_keys(folder: Path, network: str, code: str) -> Keys:
    """What `create_keys` made, of the newest epoch. Raises HuyingError(KEY)."""
    return Keys(load_identity(folder, network, code), load_tls(folder, code), load_hpke(folder))


def load_identity(
    folder: Path, network: str, code: str, held: tuple[int, int] | None = None
) -> Identity:
    """The signing keys of the newest epoch, or of the one that goes on from what is held.

    `held` is (newest own epoch in the store, that of the high-water mark), 0 for none. Raises
    HuyingError(KEY): missing, readable by others, or made for another node.
    """
    epochs = feed_epochs(folder)
    if not epochs and not any(held or ()):
        raise HuyingError(Code.KEY, f"{folder / feed_file(1)}: missing; restore it from its backup")
    epoch = max(epochs) if held is None else choose_epoch(epochs, *held)
    feed = load_feed_key(folder, network, code, epoch)
    witness = _load_signer(
        folder / WITNESS_FILE, codes.witness_name(network, code), KeyType.COSIGNATURE
    )
    return Identity(network, code, feed, witness, _former(folder, network, code, epoch))


def feed_epochs(folder: Path) -> list[int]:
    """The epochs whose private feed keys are there, ascending."""
    return _numbered(folder, ".key")


def _numbered(folder: Path, suffix: str) -> list[int]:
    return sorted(
        int(number)
        for path in folder.glob(f"feed-e*{suffix}")
        if (number := path.stem.removeprefix("feed-e")).isascii() and number.isdigit()
    )


def load_feed_key(folder: Path, network: str, code: str, epoch: int) -> Signer:
    """The feed key of one epoch. Raises HuyingError(KEY)."""
    name = codes.origin(network, code, epoch)
    return _load_signer(folder / feed_file(epoch), name, KeyType.ORIGIN)


def create_feed_key(folder: Path, network: str, code: str, epoch: int) -> Signer:
    """Make the feed key of a later epoch, durably, or take the one that an attempt before made.

    Raises HuyingError(KEY).
    """
    path = folder / feed_file(epoch)
    if not path.exists():
        _create_signer(path, codes.origin(network, code, epoch), KeyType.ORIGIN)
        sync_folder(folder)
    return load_feed_key(folder, network, code, epoch)


def retire_feed_keys(folder: Path, network: str, code: str, epoch: int) -> list[int]:
    """Delete the private keys of the epochs before this one; the public ones stay.

    Returns those epochs. Raises HuyingError(KEY).
    """
    retired = [one for one in feed_epochs(folder) if one < epoch]
    for one in retired:
        public = folder / f"feed-e{one}.vkey"
        if not public.exists():
            write_private(public, f"{load_feed_key(folder, network, code, one).key}\n")
        sync_folder(folder)
        (folder / feed_file(one)).unlink()
    return retired


def _former(folder: Path, network: str, code: str, epoch: int) -> tuple[VerifierKey, ...]:
    """The public feed keys of the epochs before. Raises HuyingError(KEY)."""
    former = {}
    for one in _numbered(folder, ".vkey"):
        key = VerifierKey.parse(_read(folder / f"feed-e{one}.vkey").decode("utf-8").strip())
        if key.name != codes.origin(network, code, one):
            raise HuyingError(Code.KEY, f"{folder}/feed-e{one}.vkey: a key of another feed")
        former[one] = key
    for one in feed_epochs(folder):
        former[one] = load_feed_key(folder, network, code, one).key
    return tuple(former[one] for one in sorted(former) if one < epoch)


def load_tls(folder: Path, code: str) -> TlsIdentity:
    """The TLS key and certificate.

    Raises HuyingError(KEY): missing, readable by others, not belonging together, or another node's.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    key_pem = read_private(folder / TLS_KEY_FILE)
    certificate_pem = _read(folder / TLS_CERTIFICATE_FILE)
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        is_pair = key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound):
        raise HuyingError(
            Code.KEY, f"{folder}: {TLS_KEY_FILE} or {TLS_CERTIFICATE_FILE} can't be parsed"
        ) from None
    if not is_pair:
        raise HuyingError(
            Code.KEY, f"{folder}: {TLS_KEY_FILE} and {TLS_CERTIFICATE_FILE} are no pair"
        )
    if extension.value.get_values_for_type(x509.DNSName) != [tls.dns_name(code)]:
        raise HuyingError(Code.KEY, f"{folder / TLS_CERTIFICATE_FILE}: not a certificate of {code}")
    return TlsIdentity(key_pem, certificate_pem, certificate.not_valid_after_utc.timestamp())


def load_hpke(folder: Path, name: str = HPKE_FILE) -> HpkeIdentity:
    """The key pair that others seal to. Raises HuyingError(KEY): missing, damaged, or readable."""
    path = folder / name
    seed = decode_base64(read_private(path).removesuffix(b"\n"), Code.KEY, name)
    if len(seed) != _SEED_BYTES:
        raise HuyingError(Code.KEY, f"{path}: not a private key file")
    return _hpke(seed)


def sign_by_tls(tls_identity: TlsIdentity, message: bytes) -> bytes:
    """An ECDSA-SHA-256 signature by the TLS key, in DER."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = serialization.load_pem_private_key(tls_identity.key_pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "we make no other"
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def draw_token() -> str:
    """An access token for the API, as its file holds it."""
    return secrets.token_urlsafe(_TOKEN_BYTES) + "\n"


def load_token(path: Path) -> str:
    """The API's access token. Raises HuyingError(KEY): missing, readable by others, or short."""
    token = read_private(path).decode("utf-8", "replace").strip()
    if len(token) < _TOKEN_BYTES or not token.isascii() or not token.isprintable():
        raise HuyingError(Code.KEY, f"{path}: a token has at least {_TOKEN_BYTES} characters")
    return token


def write_private(path: Path, text: str) -> None:
    """Create a file of mode 0600, durably. Raises HuyingError(KEY) where it exists already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise HuyingError(Code.KEY, f"{path}: exists already; keys are never replaced") from None
    except OSError as error:
        raise HuyingError(Code.KEY, f"{path}: can't be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def private_folder(folder: Path) -> None:
    """Make a folder that is its owner's alone. Raises HuyingError(KEY) where it can't be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise HuyingError(Code.KEY, f"{folder}: can't be made: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        raise HuyingError(Code.KEY, f"{path}: missing; restore it from its backup") from None
    except OSError as error:
        raise HuyingError(Code.KEY, f"{path}: can't be read: {error.strerror}") from None


def read_private(path: Path) -> bytes:
    """A key file's bytes. Raises HuyingError(KEY): missing, or readable by others."""
    data = _read(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise HuyingError(Code.KEY, f"{path}: others may read it; run: chmod 600 {path}")
    return data


def _create_signer(path: Path, name: str, type_: KeyType) -> Signer:
    seed = secrets.token_bytes(_SEED_BYTES)
    signer = Signer.from_seed(name, type_, seed)
    material = encode_base64(bytes([type_]) + seed).decode()
    write_private(path, f"{_PREFIX}{name}+{signer.key.key_id.hex()}+{material}\n")
    return signer


def create_hpke(path: Path) -> HpkeIdentity:
    """Make a key pair that others can seal to. Raises HuyingError(KEY)."""
    seed = secrets.token_bytes(_SEED_BYTES)
    write_private(path, encode_base64(seed).decode() + "\n")
    return _hpke(seed)


def _hpke(seed: bytes) -> HpkeIdentity:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    public_key = X25519PrivateKey.from_private_bytes(seed).public_key()
    return HpkeIdentity(seed, public_key.public_bytes_raw())


def _load_signer(path: Path, name: str, type_: KeyType) -> Signer:
    text = read_private(path).decode("utf-8", "replace").removesuffix("\n")
    parts = text.removeprefix(_PREFIX).split("+", 2)
    if not text.startswith(_PREFIX) or len(parts) != 3 or not parts[2].isascii():
        raise HuyingError(Code.KEY, f"{path}: not a private key file")
    if parts[0] != name:
        raise HuyingError(Code.KEY, f"{path}: a key of another node; this one is {name}")
    try:
        material = decode_base64(parts[2].encode(), Code.KEY, "private key")
    except HuyingError:
        raise HuyingError(Code.KEY, f"{path}: not a private key file") from None
    if len(material) != 1 + _SEED_BYTES or material[0] != type_:
        raise HuyingError(Code.KEY, f"{path}: not a private key of type {type_:#04x}")
    signer = Signer.from_seed(name, type_, material[1:])
    if signer.key.key_id.hex() != parts[1]:
        raise HuyingError(Code.KEY, f"{path}: damaged; restore it from its backup")
    return signer


def create_tls(
    folder: Path,
    code: str,
    key_name: str = TLS_KEY_FILE,
    certificate_name: str = TLS_CERTIFICATE_FILE,
) -> TlsIdentity:
    """Make a TLS key and its certificate, in two files. Raises HuyingError(KEY)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, tls.dns_name(code))])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(tls.dns_name(code))]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
    write_private(folder / key_name, key_pem.decode())
    write_private(folder / certificate_name, certificate_pem.decode())
    return TlsIdentity(key_pem, certificate_pem, certificate.not_valid_after_utc.timestamp())
