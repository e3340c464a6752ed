"""`huying init`: make a node's folder, and introduce it to its parent where that is at hand.

The parent's folder (or a copy of its public part: `node.toml`, `pin.toml`, `pins/`) gives the child
its pins; the child's pin goes into the parent's `children/`. Only public data crosses. The parent
reads its children's pins at its next start. Enrolment over a distance, with one-time tokens, will
hand over the same pin files by another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.merkle import EMPTY_ROOT
from huying.node import config as config_module
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.pins import PinFile

__all__ = ["OWN_PIN_FILE", "Initialised", "init_node", "own_pin"]

CONFIG_FILE = "node.toml"
OWN_PIN_FILE = "pin.toml"


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init_node` made."""

    config: Config
    pin: PinFile


def init_node(
    folder: Path,
    *,
    network: str,
    code: str,
    name: str,
    parent: Path | None = None,
    sync_listen: str | None = None,
    sync_advertise: str | None = None,
    api_listen: str = "127.0.0.1:7401",
    metrics_listen: str | None = None,
    timing: dict[str, float] | None = None,
    capture_dir: str | None = None,
) -> Initialised:
    """Make a node in `folder`; `parent` is the path of the parent's node.toml, or None at the root.

    `sync_listen` is absent for a node without children. Raises HuyingError(CONFIG): a node is here
    already, a code that is no division below the parent's, a setting out of range; HuyingError(KEY)
    for a parent whose pins are missing or weak.
    """
    file = folder / CONFIG_FILE
    if file.exists():
        raise HuyingError(Code.CONFIG, f"{file}: a node is here already; it is never overwritten")
    _check_place(network, code)
    above = _above(parent, network, code) if parent is not None else []
    text = _render(
        {
            "node": {"network": network, "code": code, "name": name},
            "sync": {"listen": sync_listen, "advertise": sync_advertise},
            "parent": {"code": above[0].code, "address": above[0].address} if above else {},
            "api": {"listen": api_listen},
            "metrics": {"listen": metrics_listen},
            "timing": dict(timing or {}),
            "debug": {"capture_dir": capture_dir},
        }
    )
    config = config_module.parse(text, file)
    folder.mkdir(parents=True, exist_ok=True)
    made = keys.create_keys(config.keys_dir, config.token_file, network, code)
    pin = PinFile(
        code=code,
        name=name,
        feed_key=str(made.identity.feed_signer.key),
        witness_key=str(made.identity.witness_signer.key),
        certificate=made.tls.certificate_pem.decode(),
        address=sync_advertise or sync_listen or "",
    )
    pins.write(folder / OWN_PIN_FILE, pin)
    for ancestor in above:
        pins.write(config.pins_dir / f"{ancestor.code}.toml", ancestor)
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create_store(config)
    # From now on a missing mark means that something was lost.
    FileMark(config.mark_file, host_id()).write(made.identity.origin, 0, EMPTY_ROOT)
    if parent is not None:
        pins.write(config_module.load(parent, {}).children_dir / f"{code}.toml", pin)
    # Last, so that a folder with a node.toml is a whole node.
    file.write_text(text, encoding="utf-8")
    return Initialised(config, pin)


def _create_store(config: Config) -> None:
    """An empty database, here and not at the first run: what makes it stays in a process's memory.

    A village's node has little of that, and would keep it for weeks.
    """
    from huying.node.store.database import sqlite_url
    from huying.node.store.store import SqlStore

    SqlStore.open(sqlite_url(config.database_file)).close()


def own_pin(config: Config) -> PinFile:
    """The pin this node shows to others. Raises HuyingError(KEY)."""
    return pins.read(config.file.parent / OWN_PIN_FILE)


def _check_place(network: str, code: str) -> None:
    try:
        codes.parse_network(network)
        codes.parse_code(code)
    except HuyingError as error:
        raise HuyingError(Code.CONFIG, error.detail) from None


def _above(parent: Path, network: str, code: str) -> list[PinFile]:
    """The pins of the parent and of its own ancestors, nearest first."""
    config = config_module.load(parent, {})
    pin = own_pin(config)
    if config.node.network != network:
        raise HuyingError(
            Code.CONFIG, f"network: the parent is in {config.node.network}, not in {network}"
        )
    if pin.code not in codes.ancestors(code):
        raise HuyingError(Code.CONFIG, f"code: {code} is not below its parent {pin.code}")
    if not pin.address:
        raise HuyingError(
            Code.CONFIG, f"{config.file}: [sync] listen: absent, so it takes no children; set it"
        )
    if (config.children_dir / f"{code}.toml").exists():
        raise HuyingError(
            Code.CONFIG, f"{config.children_dir / code}.toml: {code} is enrolled already"
        )
    ancestors = pins.load_folder(config.pins_dir)
    ancestors.sort(key=lambda known: codes.level(known.code), reverse=True)
    return [pin, *ancestors]


def _render(sections: dict[str, dict[str, str | float | None]]) -> str:
    """node.toml's text, with just the settings that were given."""
    lines = ["# docs/CONFIGURATION.md explains every setting."]
    for section, table in sections.items():
        given = {key: value for key, value in table.items() if value is not None}
        if given:
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_value(value)}" for key, value in given.items()]
    return "\n".join(lines) + "\n"


def _value(value: str | float) -> str:
    return pins.quote(value) if isinstance(value, str) else repr(value)
