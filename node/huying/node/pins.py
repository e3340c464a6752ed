"""Pin files: the public keys of one node, as its neighbours keep them. No secret is in one.

    code = "370830108000"
    name = "义桥镇"
    feed_key = "wenshang.example/feed/370830108000/e1+<id>+<base64>"
    witness_key = "wenshang.example/witness/370830108000+<id>+<base64>"
    hpke_key = "<base64 of 32 bytes>"
    address = "10.1.2.3:7400"
    certificate = "-----BEGIN CERTIFICATE-----…"

A node's own pin is `pin.toml` beside its `node.toml`; its ancestors' lie in `pins/`, one CODE.toml
each, as its parent handed them over when it joined. Whoever holds the right to write there decides
whom this node trusts from the start; all others it learns from feeds.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import decode_base64, encode_base64
from huying.common.feed.note import KeyType, VerifierKey
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.common.membership.certificates import check_hpke_key
from huying.common.membership.roster import Pin
from huying.node import tls

if TYPE_CHECKING:
    from huying.node.config import Config

__all__ = [
    "PinFile",
    "above",
    "load_folder",
    "own_line",
    "parse",
    "quote",
    "read",
    "render",
    "write",
]

_FILE_BYTES_MAX = 64 * 1024
_OPTIONAL = ("address", "hpke_key")


@dataclass(frozen=True, slots=True)
class PinFile:
    """The contents of one pin file."""

    code: str
    name: str
    feed_key: str  # C2SP verifier key, signature type 0x01
    witness_key: str  # C2SP verifier key, signature type 0x04
    certificate: str  # PEM
    address: str = ""  # HOST:PORT its children dial; empty: it takes none
    hpke_key: str = ""  # X25519, 32 bytes in base64: what is sealed to the node; empty: unknown

    @property
    def certificate_sha256(self) -> bytes:
        """SHA-256 of the certificate's DER form."""
        return tls.certificate_sha256(self.certificate)

    @property
    def certificate_expires(self) -> float:
        """Unix seconds until which the certificate is good."""
        return tls.certificate_expires(self.certificate)

    def pin(self) -> Pin:
        """As the core knows it."""
        return Pin(
            self.code,
            self.name,
            self.feed_key,
            self.witness_key,
            self.certificate_sha256,
            hpke_key=decode_base64(self.hpke_key.encode(), Code.KEY, "hpke_key"),
        )


def render(pin: PinFile) -> str:
    """The file's text."""
    lines = (
        f"{field.name} = {quote(getattr(pin, field.name))}"
        for field in fields(pin)
        if getattr(pin, field.name)
    )
    return "\n".join(lines) + "\n"


def parse(text: str, place: str) -> PinFile:
    """Read a pin file's text strictly. `place` is what the errors call it.

    Raises HuyingError(KEY): a key that is unknown, missing, weak, or of another node than `code`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HuyingError(Code.KEY, f"{place}: not valid TOML: {error}") from None
    known = [field.name for field in fields(PinFile)]
    for key, value in table.items():
        if key not in known:
            raise HuyingError(Code.KEY, f"{place}: {key}: unknown; remove it")
        if not isinstance(value, str):
            raise HuyingError(Code.KEY, f"{place}: {key}: must be a string")
    missing = [key for key in known if key not in _OPTIONAL and not table.get(key)]
    if missing:
        raise HuyingError(Code.KEY, f"{place}: {missing[0]}: missing; copy the file again")
    pin = PinFile(**table)
    try:
        _check(pin)
    except HuyingError as error:
        raise HuyingError(Code.KEY, f"{place}: {error.detail}") from None
    return pin


def read(path: Path) -> PinFile:
    """Read and check one file. Raises HuyingError(KEY), naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise HuyingError(Code.KEY, f"{path}: missing; copy it from that node") from None
    except OSError as error:
        raise HuyingError(Code.KEY, f"{path}: can't be read: {error.strerror}") from None
    if len(data) > _FILE_BYTES_MAX:
        raise HuyingError(Code.KEY, f"{path}: over {_FILE_BYTES_MAX} bytes")
    try:
        return parse(data.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise HuyingError(Code.KEY, f"{path}: not UTF-8") from None


def write(path: Path, pin: PinFile) -> None:
    """Write a file whole or not at all; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(render(pin))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_folder(folder: Path) -> list[PinFile]:
    """Every pin in a folder, by code; empty where there is no folder.

    Raises HuyingError(KEY) for a file that can't be read, or is not named after its code.
    """
    pins = []
    for path in sorted(folder.glob("*.toml")):
        pin = read(path)
        if pin.code != path.stem:
            raise HuyingError(Code.KEY, f"{path}: holds the pin of {pin.code}; rename or remove it")
        pins.append(pin)
    return pins


def own_line(config: Config) -> list[PinFile]:
    """This node's own pin, as its keys are now, and those of its ancestors, nearest first.

    Raises HuyingError(KEY).
    """
    from huying.node import keys

    identity = keys.load_identity(config.keys_dir, config.node.network, config.node.code)
    certificate = keys.load_tls(config.keys_dir, config.node.code).certificate_pem
    own = PinFile(
        code=config.node.code,
        name=config.node.name,
        feed_key=str(identity.feed_signer.key),
        witness_key=str(identity.witness_signer.key),
        certificate=certificate.decode(),
        address=config.sync.advertise or config.sync.listen or "",
        hpke_key=encode_base64(keys.load_hpke(config.keys_dir).public_key).decode(),
    )
    return [own, *above(config)]


def above(config: Config) -> list[PinFile]:
    """The pins of the ancestors, nearest first. Raises HuyingError(KEY)."""
    known = load_folder(config.pins_dir)
    return sorted(known, key=lambda pin: codes.level(pin.code), reverse=True)


def _check(pin: PinFile) -> None:
    codes.parse_code(pin.code)
    if len(pin.name) > NAME_CHARACTERS_MAX or not pin.name.isprintable():
        raise HuyingError(Code.KEY, f"name: at most {NAME_CHARACTERS_MAX} printable characters")
    feed_key = VerifierKey.parse(pin.feed_key)
    witness_key = VerifierKey.parse(pin.witness_key)
    origin = codes.parse_origin(feed_key.name)
    if origin.code != pin.code or feed_key.type is not KeyType.ORIGIN:
        raise HuyingError(Code.KEY, f"feed_key: not a feed key of {pin.code}")
    expected = codes.witness_name(origin.network, pin.code)
    if witness_key.name != expected or witness_key.type is not KeyType.COSIGNATURE:
        raise HuyingError(Code.KEY, f"witness_key: not a witness key of {pin.code}")
    tls.certificate_expires(pin.certificate)
    if pin.hpke_key:
        check_hpke_key(decode_base64(pin.hpke_key.encode(), Code.KEY, "hpke_key"))


def quote(text: str) -> str:
    """A TOML basic string: JSON's escapes are all TOML's, and DEL was refused before."""
    return json.dumps(text, ensure_ascii=False)
