"""What every command needs: the configuration, an API client, a read-only store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.node.api.client import Client
    from huying.node.config import Config

__all__ = [
    "ACTOR_VARIABLE",
    "JsonOption",
    "Settings",
    "acting",
    "client",
    "config",
    "parse_hex",
    "settings",
]

ACTOR_VARIABLE: Final = "HUYING_ACTOR"

JsonOption = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · Print one JSON document.")]


@dataclass(frozen=True, slots=True)
class Settings:
    """The options before the command."""

    config: Path


def settings(context: typer.Context) -> Settings:
    """The options before the command."""
    found = context.find_object(Settings)
    assert found is not None, "the callback of the application sets them"
    return found


def config(context: typer.Context) -> Config:
    """The node's configuration. Raises HuyingError(CONFIG)."""
    from huying.node.config import load

    return load(settings(context).config)


def client(loaded: Config) -> Client:
    """A client of the running node. Raises HuyingError(KEY) where the token can't be read."""
    from huying.node.api.client import Client
    from huying.node.keys import load_token

    return Client(loaded.api.listen, load_token(loaded.token_file))


def acting(given: str) -> str:
    """Who acts: as named, else by HUYING_ACTOR, else the login name of who runs the command.

    Raises HuyingError(INVALID_ARGUMENT) where nobody can be named.
    """
    import getpass

    try:
        return given or os.environ.get(ACTOR_VARIABLE, "") or getpass.getuser()
    except (OSError, KeyError):
        raise HuyingError(Code.INVALID_ARGUMENT, "--actor: name who acts") from None


def parse_hex(value: str, field: str, count_bytes: int = 16) -> bytes:
    """Bytes from hex digits; a UUID's hyphens are allowed.

    Raises HuyingError(INVALID_ARGUMENT), naming `field`.
    """
    digits = value.replace("-", "")
    try:
        data = bytes.fromhex(digits) if digits.isalnum() else b""
    except ValueError:
        data = b""
    if len(data) != count_bytes:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"{field}: {2 * count_bytes} hex digits, or a UUID"
        )
    return data
