"""A node's folder: its configuration, its keys, its pin, an empty store, and the mark.

`huying init` makes a root. Every other node joins with a token (`huying.node.membership.joining`),
by way of the same steps: `prepare` makes the keys, `complete` the rest once the parent has
answered. What is made last is `node.toml`, so that a folder with one is a whole node.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import encode_base64
from huying.common.feed.merkle import EMPTY_ROOT
from huying.node import config as config_module
from huying.node import keys, pins
from huying.node.config import Config
from huying.node.highwater import FileMark, host_id
from huying.node.keys import Keys
from huying.node.pins import PinFile

__all__ = [
    "CONFIG_FILE",
    "OWN_PIN_FILE",
    "Initialised",
    "complete",
    "init_node",
    "own_pin",
    "prepare",
    "render_config",
]

CONFIG_FILE = "node.toml"
OWN_PIN_FILE = "pin.toml"


@dataclass(frozen=True, slots=True)
class Initialised:
    """A whole node."""

    config: Config
    pin: PinFile


def init_node(
    folder: Path,
    *,
    network: str,
    code: str,
    name: str,
    sync_listen: str | None = None,
    sync_advertise: str | None = None,
    api_listen: str = "127.0.0.1:7401",
    metrics_listen: str | None = None,
    console_listen: str | None = None,
    timing: dict[str, float] | None = None,
    capture_dir: str | None = None,
) -> Initialised:
    """Make a root in `folder`: a node that stands below nobody.

    `sync_listen` is absent for a node without children. Raises HuyingError(CONFIG): a node is here
    already, a code that is no division, a setting out of range; HuyingError(KEY).
    """
    file = folder / CONFIG_FILE
    if file.exists():
        raise HuyingError(Code.CONFIG, f"{file}: a node is here already; it is never overwritten")
    try:
        codes.parse_network(network)
        codes.parse_code(code)
    except HuyingError as error:
        raise HuyingError(Code.CONFIG, error.detail) from None
    text = render_config(
        {
            "node": {"network": network, "code": code, "name": name},
            "sync": {"listen": sync_listen, "advertise": sync_advertise},
            "api": {"listen": api_listen},
            "metrics": {"listen": metrics_listen},
            "console": {"listen": console_listen},
            "timing": dict(timing or {}),
            "debug": {"capture_dir": capture_dir},
        }
    )
    config = config_module.parse(text, file)
    return complete(config, prepare(config), text)


def prepare(config: Config, epoch: int = 1) -> Keys:
    """Make a new node's folder and keys. Raises HuyingError(KEY) where there are keys already."""
    config.file.parent.mkdir(parents=True, exist_ok=True)
    return keys.create_keys(
        config.keys_dir, config.token_file, config.node.network, config.node.code, epoch
    )


def complete(config: Config, made: Keys, text: str) -> Initialised:
    """Make all the rest; `text` is that of node.toml, which `config` was parsed from."""
    pin = PinFile(
        code=config.node.code,
        name=config.node.name,
        feed_key=str(made.identity.feed_signer.key),
        witness_key=str(made.identity.witness_signer.key),
        certificate=made.tls.certificate_pem.decode(),
        address=config.sync.advertise or config.sync.listen or "",
        hpke_key=encode_base64(made.hpke.public_key).decode(),
    )
    pins.write(config.file.parent / OWN_PIN_FILE, pin)
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create_store(config)
    # From now on a missing mark means that something was lost.
    FileMark(config.mark_file, host_id()).write(made.identity.origin, 0, EMPTY_ROOT)
    replace_file(config.file, text)
    return Initialised(config, pin)


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all, durably."""
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


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


def render_config(sections: dict[str, dict[str, str | float | None]]) -> str:
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
