"""The node's configuration: one TOML file per node, overridden by environment variables.

`HUYING_SECTION__KEY` overrides `key` of `[section]`. The file holds no secret: keys and the access
token lie in files of their own, and the settings name them. Relative paths count from the folder
of the file. docs/CONFIGURATION.md lists every setting, and a test holds it to the code.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from huying.common import codes
from huying.common.errors import Code, HuyingError
from huying.node.settings import (
    SECTIONS,
    ApiSection,
    AskSection,
    BackupSection,
    CallsSection,
    ConsoleSection,
    DebugSection,
    DisclosureSection,
    LogSection,
    MetricsSection,
    NodeSection,
    OidcSection,
    ParentSection,
    RetentionSection,
    SyncSection,
    TimingSection,
    TrustSection,
    build,
    help_of,
    split_address,
)

__all__ = ["ENV_PREFIX", "Config", "Setting", "load", "parse", "settings", "show", "split_address"]

ENV_PREFIX: Final = "HUYING_"
_DELIMITER: Final = "__"
_DOCUMENT: Final = "docs/CONFIGURATION.md"


@dataclass(frozen=True, slots=True)
class Config:
    """The settings as loaded, with their paths made absolute."""

    file: Path  # node.toml, absolute
    node: NodeSection
    sync: SyncSection
    parent: ParentSection | None
    api: ApiSection
    metrics: MetricsSection
    console: ConsoleSection
    oidc: OidcSection
    timing: TimingSection
    trust: TrustSection
    retention: RetentionSection
    calls: CallsSection
    disclosure: DisclosureSection
    ask: AskSection
    backup: BackupSection
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
    def erasures_file(self) -> Path:
        """The list of erasures, beside the mark: no restore may bring them back."""
        return self.mark_file.with_name("erasures.list")

    @property
    def token_file(self) -> Path:
        """File of the API's access token."""
        return self.path(self.api.token_file)

    @property
    def console_token_file(self) -> Path:
        """File of the console's own access token."""
        return self.console_dir / "api-console.token"

    @property
    def console_dir(self) -> Path:
        """Folder of the console's own database and of the pictures that were handed in."""
        return self.path(self.console.folder)

    @property
    def pins_dir(self) -> Path:
        """Folder of the ancestors' pins."""
        return self.path(self.trust.pins)

    @property
    def invites_dir(self) -> Path:
        """Folder of what is kept of join tokens."""
        return self.path(self.trust.invites)

    @property
    def last_backup_file(self) -> Path:
        """A note of when the last backup was made, beside the mark."""
        return self.mark_file.with_name("backup.last")

    @property
    def history_file(self) -> Path:
        """The last day's lag and disk, for after a restart."""
        return self.data_dir / "lag.history"

    @property
    def backup_keys_dir(self) -> Path:
        """Folder of the period keys that backups are encrypted under."""
        return self.path(self.backup.keys)

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
    for section, values in overrides.items():
        present = table.setdefault(section, {})
        if isinstance(present, dict):
            present.update(values)
    built: dict[str, Any] = {}
    faults = [f"[{name}]: unknown section" for name in sorted(table.keys() - SECTIONS.keys())]
    for name, model in SECTIONS.items():
        built[name] = None
        given = table.get(name, {})
        if name == "parent" and not given:
            continue
        if not isinstance(given, dict):
            faults.append(f"{name}: must be a section, [{name}]")
            continue
        made = build(model, given)
        if isinstance(made, list):
            for key, remedy in made:
                place = f"[{name}] {key}"
                if key in overrides.get(name, {}):
                    place = f"{_env_name(name, key)} in the environment"
                faults.append(f"{place}: {remedy}")
        else:
            built[name] = made
    node, above = built["node"], built["parent"]
    if node is not None and above is not None and above.code not in codes.ancestors(node.code):
        faults.append("[parent] code: not a division above this node's")
    if faults:
        lines = [f"{file}: {fault}" for fault in faults]
        raise HuyingError(Code.CONFIG, "\n".join([*lines, f"see {_DOCUMENT}"]))
    return Config(file=file, **built)


def show(config: Config) -> dict[str, dict[str, Any]]:
    """The settings in force, by section and key. They hold no secret, just names of files."""
    sections = {name: getattr(config, name) for name in SECTIONS}
    return {name: asdict(section) for name, section in sections.items() if section is not None}


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
    for section, model in SECTIONS.items():
        for field in fields(model):
            if field.default is MISSING:
                default = "required"
            elif field.default is None:
                default = "absent"
            else:
                default = repr(field.default).replace("'", '"')
            env = _env_name(section, field.name)
            found.append(Setting(section, field.name, env, default, help_of(field)))
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
            raise HuyingError(Code.CONFIG, f"environment: {name} is no setting; see {_DOCUMENT}")
        found.setdefault(setting.section, {})[setting.key] = value
    return found
