"""The node's settings: one TOML file per node, overridden by environment variables.

`HUYING_SECTION__KEY` overrides `key` of `[section]`. The file holds no secret: keys and the access
token lie in files of their own, and the settings name them. Relative paths count from the folder
of the file. Every setting carries its help text, from which docs/CONFIGURATION.md is checked.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from huying.common import codes, limits
from huying.common.errors import Code, HuyingError

__all__ = ["ENV_PREFIX", "Config", "Setting", "load", "parse", "settings", "show", "split_address"]

ENV_PREFIX: Final = "HUYING_"
_DELIMITER: Final = "__"


def split_address(value: str) -> tuple[str, int]:
    """(host, port) of `HOST:PORT`; an IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, e.g. 127.0.0.1:7401")
    return host.strip("[]"), int(port)


def _address(value: str) -> str:
    split_address(value)
    return value


def _loopback(value: str) -> str:
    host, _ = split_address(value)
    if host != "localhost":
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = False
        if not local:
            raise ValueError("must be a loopback address: what is served here has no TLS")
    return value


def _by(check: Callable[[str], str]) -> Callable[[str], str]:
    """One of the core's checks, in the form pydantic expects: it raises ValueError."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except HuyingError as error:
            raise ValueError(error.detail.partition(": ")[2]) from None

    return checked


def _name(value: str) -> str:
    if not 1 <= len(value) <= limits.NAME_CHARACTERS_MAX or not value.isprintable():
        raise ValueError(f"must be 1 to {limits.NAME_CHARACTERS_MAX} printable characters")
    return value


Address = Annotated[str, AfterValidator(_address)]
Loopback = Annotated[str, AfterValidator(_loopback)]
DivisionCode = Annotated[str, AfterValidator(_by(codes.parse_code))]
Network = Annotated[str, AfterValidator(_by(codes.parse_network))]
Name = Annotated[str, AfterValidator(_name)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSection(Section):
    """Who this node is."""

    network: Network = Field(description="Name of the network; part of every feed's origin.")
    code: DivisionCode = Field(description="Division code of this node, 12 digits.")
    name: Name = Field(description="Name of the division, as people read it.")
    data: Text = Field("data", description="Folder of the database.")
    keys: Text = Field("keys", description="Folder of the private keys; mode 0700.")
    mark: Text = Field(
        "highwater.mark",
        description="File of the high-water mark; outside the data folder and its backups.",
    )


class SyncSection(Section):
    """The link to the children."""

    listen: Address | None = Field(
        None, description="Where the children dial in; absent: this node takes no children."
    )
    advertise: Address | None = Field(
        None, description="The address children are told to dial; absent: the one listened on."
    )


class ParentSection(Section):
    """The link to the parent; the section is absent at the root."""

    code: DivisionCode = Field(description="Division code of the parent.")
    address: Address = Field(description="Where the parent listens for its children.")


class ApiSection(Section):
    """The API for people and programs on this machine."""

    listen: Loopback = Field(
        "127.0.0.1:7401", description="Where the gRPC API listens; a loopback address."
    )
    token_file: Text = Field("keys/api.token", description="File of the access token; mode 0600.")


class MetricsSection(Section):
    """Metrics and health over HTTP."""

    listen: Address | None = Field(
        None, description="Where /metrics and /healthz listen; absent: nowhere."
    )


class TimingSection(Section):
    """How long things wait. The defaults suit a real network."""

    pulse_seconds: Seconds = Field(
        limits.PULSE_SECONDS, description="Between two pulses of the own feed."
    )
    confirm_seconds: Seconds = Field(
        limits.CONFIRM_SECONDS,
        description="How long a start waits for the parent to confirm the own feed.",
    )
    withheld_grace_seconds: Seconds = Field(
        limits.WITHHELD_GRACE_SECONDS,
        description="Asked for this long and still not there: the feed is marked withheld.",
    )
    want_retry_seconds: Seconds = Field(
        limits.WANT_RETRY_SECONDS_MIN, description="First wait before asking again."
    )
    retry_seconds_min: Seconds = Field(
        limits.RETRY_SECONDS_MIN, description="First wait before dialling the parent again."
    )
    retry_seconds_max: Seconds = Field(
        limits.RETRY_SECONDS_MAX, description="Longest wait before dialling the parent again."
    )
    stream_age_seconds: Seconds = Field(
        limits.STREAM_AGE_SECONDS_MAX, description="Age at which a child dials its parent anew."
    )
    drain_seconds: Seconds = Field(
        limits.DRAIN_SECONDS, description="How long a stop waits for the last acknowledgements."
    )


class TrustSection(Section):
    """Whose keys and certificates this node trusts; public data, one file per node."""

    pins: Text = Field("pins", description="Folder of the ancestors' pins, CODE.toml each.")
    children: Text = Field("children", description="Folder of the children's pins, CODE.toml each.")


class LogSection(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is written."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, JSON elsewhere."
    )


class DebugSection(Section):
    """Never in production."""

    capture_dir: Text | None = Field(
        None, description="Folder that every frame is copied to, for tests; absent: off."
    )


class _File(Section):
    """The whole file."""

    node: NodeSection
    sync: SyncSection = SyncSection.model_validate({})
    parent: ParentSection | None = None
    api: ApiSection = ApiSection.model_validate({})
    metrics: MetricsSection = MetricsSection.model_validate({})
    timing: TimingSection = TimingSection.model_validate({})
    trust: TrustSection = TrustSection.model_validate({})
    log: LogSection = LogSection.model_validate({})
    debug: DebugSection = DebugSection.model_validate({})

    @model_validator(mode="after")
    def _parent_is_above(self) -> _File:
        if self.parent is not None and self.parent.code not in codes.ancestors(self.node.code):
            raise ValueError("[parent] code: not a division above this node's")
        return self


_SECTIONS: Final[dict[str, type[Section]]] = {
    "node": NodeSection,
    "sync": SyncSection,
    "parent": ParentSection,
    "api": ApiSection,
    "metrics": MetricsSection,
    "timing": TimingSection,
    "trust": TrustSection,
    "log": LogSection,
    "debug": DebugSection,
}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings as loaded, with their paths made absolute."""

    file: Path  # node.toml, absolute
    node: NodeSection
    sync: SyncSection
    parent: ParentSection | None
    api: ApiSection
    metrics: MetricsSection
    timing: TimingSection
    trust: TrustSection
    log: LogSection
    debug: DebugSection

    def path(self, value: str) -> Path:
        """`value` counted from the folder of the file."""
        return self.file.parent / value

    @property
    def data_dir(self) -> Path:
        """Folder of the database and the lock file."""
        return self.path(self.node.data)

    @property
    def database_file(self) -> Path:
        """The SQLite database."""
        return self.data_dir / "node.db"

    @property
    def keys_dir(self) -> Path:
        """Folder of the private keys."""
        return self.path(self.node.keys)

    @property
    def mark_file(self) -> Path:
        """File of the high-water mark."""
        return self.path(self.node.mark)

    @property
    def token_file(self) -> Path:
        """File of the API's access token."""
        return self.path(self.api.token_file)

    @property
    def pins_dir(self) -> Path:
        """Folder of the ancestors' pins."""
        return self.path(self.trust.pins)

    @property
    def children_dir(self) -> Path:
        """Folder of the children's pins."""
        return self.path(self.trust.children)

    @property
    def capture_dir(self) -> Path | None:
        """Where frames are copied to, for tests."""
        return None if self.debug.capture_dir is None else self.path(self.debug.capture_dir)


def load(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read the file at `path` and the environment, or `environ` in its place.

    Raises HuyingError(CONFIG), whose detail names the file, the section, the key and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise HuyingError(
            Code.CONFIG, f"{path}: no such file; create a node with: huying init"
        ) from None
    except UnicodeDecodeError:
        raise HuyingError(Code.CONFIG, f"{path}: not UTF-8") from None
    except OSError as error:
        raise HuyingError(Code.CONFIG, f"{path}: can't be read: {error.strerror}") from None
    return parse(text, path, os.environ if environ is None else environ)


def parse(text: str, path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """The settings of a file's text that lies, or will lie, at `path`. Raises as `load`."""
    file = path.absolute()
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HuyingError(Code.CONFIG, f"{file}: not valid TOML: {error}") from None
    overrides = _overrides(environ or {})
    for section, keys in overrides.items():
        present = table.setdefault(section, {})
        if isinstance(present, dict):
            present.update(keys)
    try:
        loaded = _File.model_validate(table)
    except ValidationError as error:
        raise HuyingError(Code.CONFIG, _explain(file, error, overrides)) from None
    return Config(file=file, **{name: getattr(loaded, name) for name in _SECTIONS})


def show(config: Config) -> dict[str, dict[str, Any]]:
    """The settings in force, by section and key. They hold no secret, just names of files."""
    shown: dict[str, dict[str, Any]] = {}
    for name in _SECTIONS:
        section = getattr(config, name)
        if section is not None:
            shown[name] = section.model_dump(mode="json")
    return shown


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as data, for the documentation and `huying config show`."""

    section: str
    key: str
    env: str
    default: str  # as it would stand in the file; "required" or "absent" where there is none
    help: str


def settings() -> list[Setting]:
    """Every setting, in the order of the file."""
    found: list[Setting] = []
    for section, model in _SECTIONS.items():
        for key, field in model.model_fields.items():
            if field.is_required():
                default = "required"
            elif field.default is None:
                default = "absent"
            else:
                default = repr(field.default).replace("'", '"')
            found.append(
                Setting(section, key, _env_name(section, key), default, field.description or "")
            )
    return found


def _env_name(section: str, key: str) -> str:
    return f"{ENV_PREFIX}{section.upper()}{_DELIMITER}{key.upper()}"


def _overrides(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The environment's settings by section. A name of the right form must be a real setting."""
    known = {setting.env: setting for setting in settings()}
    found: dict[str, dict[str, str]] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX) or _DELIMITER not in name:
            continue
        setting = known.get(name)
        if setting is None:
            raise HuyingError(
                Code.CONFIG, f"environment: {name} is no setting; see docs/CONFIGURATION.md"
            )
        found.setdefault(setting.section, {})[setting.key] = value
    return found


def _explain(file: Path, error: ValidationError, overrides: Mapping[str, Mapping[str, str]]) -> str:
    """Every fault on a line of its own: where it is, what is wrong, what to do."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        location = [str(part) for part in fault["loc"]]
        section, key = ([*location, "", ""])[:2]
        place = f"[{section}] {key}".strip() if section else ""
        if key and key in overrides.get(section, {}):
            place = f"{_env_name(section, key)} in the environment"
        lines.append(
            f"{file}: {place}{': ' if place else ''}{_advise(fault['type'], fault['msg'])}"
        )
    return "\n".join(lines)


def _advise(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown; correct the spelling or remove it (docs/CONFIGURATION.md lists all)"
    if kind == "missing":
        return "missing; add it (docs/CONFIGURATION.md)"
    return message.removeprefix("Value error, ")
