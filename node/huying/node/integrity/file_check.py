"""The files beside the database: the high-water mark, what was erased, keys and pins.

Each is read as the node reads it, and compared with what the store and the other files say of the
same thing. `node.toml` is the operator's own word and is checked by loading it.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed.merkle import CompactRange, range_hashes, root
from huying.common.membership.certificates import verify_by_certificate
from huying.common.membership.roster import Identity
from huying.common.sync.outgoing import tree_reader
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.integrity.fsck_report import FsckReport
from huying.node.integrity.known_keys import named_keys, statements
from huying.node.membership.enrol import OWN_PIN_FILE
from huying.node.store.reader import Reader
from huying.wire.v1 import trust_pb2

__all__ = ["check_files", "exposed_files"]

_Check = Callable[[Config, Reader, FsckReport], Iterator[str]]


def check_files(config: Config, reader: Reader, report: FsckReport) -> None:
    """Check them all; a file that can't be read doesn't hide the next."""
    checks: tuple[tuple[str, _Check], ...] = (
        ("mark", _mark),
        ("erasures", _erasures),
        ("keys", _private),
        ("keys", _keys),
        ("pins", _pins),
    )
    for where, check in checks:
        try:
            for problem in check(config, reader, report):
                report.note(where, problem)
        except HuyingError as error:
            report.note(where, f"{error.code.name}: {error.detail}")


def _mark(config: Config, reader: Reader, report: FsckReport) -> Iterator[str]:
    """The mark is this host's, and the store holds what it says has left this node."""
    report.files_checked += 1
    mark = FileMark(config.mark_file, host_id()).read()
    if mark is None:
        if any(feed.size for feed in reader.feeds()):
            yield f"{config.mark_file}: missing, or another host's; the node will recover"
        return
    origin, size, digest = mark
    feed = reader.feed(origin)
    if parse_origin(origin).code != config.node.code:
        yield f"{config.mark_file}: of {origin}, which is not this node's feed"
    elif size > (feed.size if feed is not None else 0):
        yield f"{config.mark_file}: {size}, and the store holds less; the node will recover"
    elif feed is not None and _root_at(reader, feed.feed_id, size) != digest:
        yield f"{config.mark_file}: another root at size {size} than the store's"


def _root_at(reader: Reader, feed_id: int, size: int) -> bytes:
    subtrees = tree_reader(reader, feed_id)  # type: ignore[arg-type]  # it only reads
    return root(CompactRange(0, size, range_hashes(0, size, subtrees)))


def _erasures(config: Config, reader: Reader, report: FsckReport) -> Iterator[str]:
    """The list beside the database and the one in it name the same."""
    from huying.node.erasure_list import FileErasureList

    file = config.erasures_file
    noted = set(reader.erased())
    if not file.exists() and not noted:
        return
    report.files_checked += 1
    listed = set(FileErasureList(file).read())
    if noted - listed:
        yield f"{file}: {len(noted - listed)} erasures are in the store alone"
    if listed - noted:
        yield f"{file}: {len(listed - noted)} erasures are not in the store; its start replays them"


def exposed_files(config: Config) -> Iterator[Path]:
    """The secret files that others than their owner may read."""
    for path in _secret_files(config):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path


def _secret_files(config: Config) -> Iterator[Path]:
    for folder in (config.keys_dir, config.data_dir):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_file() and path.suffix not in (".crt", ".vkey", ".pub", ".lock"):
                yield path
    if config.token_file.is_file() and config.token_file.parent != config.keys_dir:
        yield config.token_file
    if config.console_token_file.is_file():
        yield config.console_token_file


def _private(config: Config, _reader: Reader, report: FsckReport) -> Iterator[str]:
    """Nobody else may read what is secret."""
    report.files_checked += sum(1 for _ in _secret_files(config))
    for path in exposed_files(config):
        yield f"{path}: others may read it; run: chmod go= {path}"


def _keys(config: Config, reader: Reader, _report: FsckReport) -> Iterator[str]:
    """The own keys are whole, belong together, and are those that others were told of."""
    identity = keys.load_identity(config.keys_dir, config.node.network, config.node.code)
    tls = keys.load_tls(config.keys_dir, config.node.code)
    hpke = keys.load_hpke(config.keys_dir)
    keys.load_token(config.token_file)
    yield from _certificate(config.keys_dir / keys.TLS_CERTIFICATE_FILE, tls.certificate_pem)
    yield from _tls_signs(config.keys_dir / keys.TLS_KEY_FILE, tls)
    told = set(_told_hpke(config, reader))
    file = config.file.parent / OWN_PIN_FILE
    if file.exists():
        pin = pins.read(file)
        told.add(pin.pin().hpke_key)
        if pin.code != config.node.code or pin.witness_key != str(identity.witness_signer.key):
            yield f"{file}: not of this node's keys"
        own = {text.split("+", 1)[0]: text for text in _own_feed_keys(config, identity)}
        origin = pin.feed_key.split("+", 1)[0]
        if own.get(origin, pin.feed_key) != pin.feed_key:
            yield f"{file}: another feed key than the one in use"
    told.discard(b"")
    if told and hpke.public_key not in told:
        yield f"{config.keys_dir / keys.HPKE_FILE}: not the key that others were told to seal to"


def _own_feed_keys(config: Config, identity: Identity) -> Iterator[str]:
    yield str(identity.feed_signer.key)
    for path in sorted(config.keys_dir.glob("feed-e*.vkey")):
        yield path.read_text(encoding="ascii", errors="replace").strip()


def _told_hpke(config: Config, reader: Reader) -> Iterator[bytes]:
    """The own disclosure keys that the parent's feed, and the own, ever named."""
    own = config.node.code
    for code, message in statements(reader):
        if isinstance(message, trust_pb2.Member):
            code = message.code  # noqa: PLW2901  (whose keys they are, not who says it)
        elif not isinstance(message, trust_pb2.NodeKeys):
            continue
        if code == own:
            yield message.hpke_key


def _certificate(path: Path, pem: bytes) -> Iterator[str]:
    """A certificate here is signed by its own key, so a bit that changed shows."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        yield f"{path}: the certificate's own signature does not verify"


def _tls_signs(path: Path, tls: keys.TlsIdentity) -> Iterator[str]:
    """What the key signs, the certificate verifies: its file holds the public half twice."""
    try:
        der = ssl.PEM_cert_to_DER_cert(tls.certificate_pem.decode())
        verify_by_certificate(der, b"fsck", keys.sign_by_tls(tls, b"fsck"))
    except (HuyingError, ValueError):
        yield f"{path}: does not sign for the certificate beside it"


def _pins(config: Config, reader: Reader, report: FsckReport) -> Iterator[str]:
    """No pin contradicts what the feeds say of the same epoch."""
    named = {text.split("+", 1)[0]: text for text in named_keys(reader)}
    for pin in pins.load_folder(config.pins_dir):
        report.files_checked += 1
        path = config.pins_dir / f"{pin.code}.toml"
        yield from _certificate(path, pin.certificate.encode())
        origin = pin.pin().feed_key.split("+", 1)[0]
        if named.get(origin, pin.feed_key) != pin.feed_key:
            yield f"{path}: {Code.KEY_CHANGED.name}: the parent's feed names another key"
