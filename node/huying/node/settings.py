"""Every setting as data: its section, key, check, default and help text.

The sections are plain dataclasses, so that reading them costs neither time nor memory: each command
does it, and a village's node counts its megabytes. A check takes what stood in the file and returns
the value, or raises ValueError with what to do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Final

from huying.common import codes, limits
from huying.common.errors import HuyingError
from huying.node.offline_window import OfflineWindow
from huying.node.provision_rules import ProvisionRule, parse_rules

__all__ = [
    "ALL_TEMPLATES",
    "NO_TEMPLATES",
    "SECTIONS",
    "ApiSection",
    "AskSection",
    "BackupSection",
    "DebugSection",
    "DisclosureSection",
    "LogSection",
    "MetricsSection",
    "NodeSection",
    "ParentSection",
    "RetentionSection",
    "Section",
    "SyncSection",
    "TimingSection",
    "TrustSection",
    "build",
    "help_of",
    "split_address",
]

SECONDS_MAX: Final = 86400.0
DAYS_MAX: Final = 36500
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_CHECK: Final = "check"
_HELP: Final = "help"


def split_address(value: str) -> tuple[str, int]:
    """(host, port) of `HOST:PORT`; an IPv6 host stands in brackets. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, e.g. 127.0.0.1:7401")
    return host.strip("[]"), int(port)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a string of printable characters, and not empty")
    return value


def _address(value: object) -> str:
    text = _text(value)
    split_address(text)
    return text


def _loopback(value: object) -> str:
    text = _text(value)
    host, _ = split_address(text)
    if host != "localhost":
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = False
        if not local:
            raise ValueError("must be a loopback address: what is served here has no TLS")
    return text


def _name(value: object) -> str:
    text = _text(value)
    if len(text) > limits.NAME_CHARACTERS_MAX:
        raise ValueError(f"must be at most {limits.NAME_CHARACTERS_MAX} characters")
    return text


def _by(check: Callable[[str], str]) -> Callable[[object], str]:
    """One of the core's checks as a check here."""

    def checked(value: object) -> str:
        try:
            return check(_text(value))
        except HuyingError as error:
            raise ValueError(error.detail.partition(": ")[2]) from None

    return checked


def _seconds(value: object) -> float:
    """A number; from the environment it comes as text."""
    number = 0.0
    if isinstance(value, str):
        number = float(value) if _DECIMAL.fullmatch(value) else 0.0
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not 0 < number <= SECONDS_MAX:
        raise ValueError(f"must be a number of seconds over 0 and at most {SECONDS_MAX:.0f}")
    return number


def _window(value: object) -> str:
    text = _text(value)
    OfflineWindow.parse(text)
    return text


def _one_of(*words: str) -> Callable[[object], str]:
    def checked(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return str(value)

    return checked


def _setting(check: Callable[[object], object], help_: str, default: Any = MISSING) -> Any:
    """A field of a section. Without a default the setting is required; None means absent."""
    found: Field[Any] = field(default=default, metadata={_CHECK: check, _HELP: help_})
    return found


@dataclass(frozen=True, slots=True)
class NodeSection:
    """Who this node is."""

    network: str = _setting(
        _by(codes.parse_network), "Name of the network; part of every feed's origin."
    )
    code: str = _setting(_by(codes.parse_code), "Division code of this node, 12 digits.")
    name: str = _setting(_name, "Name of the division, as people read it.")
    data: str = _setting(_text, "Folder of the database.", "data")
    keys: str = _setting(_text, "Folder of the private keys; mode 0700.", "keys")
    mark: str = _setting(
        _text,
        "File of the high-water mark; outside the data folder and its backups.",
        "highwater.mark",
    )


@dataclass(frozen=True, slots=True)
class SyncSection:
    """The link to the children."""

    listen: str | None = _setting(
        _address, "Where the children dial in; absent: this node takes no children.", None
    )
    advertise: str | None = _setting(
        _address, "The address children are told to dial; absent: the one listened on.", None
    )


@dataclass(frozen=True, slots=True)
class ParentSection:
    """The link to the parent; the section is absent at the root."""

    code: str = _setting(_by(codes.parse_code), "Division code of the parent.")
    address: str | None = _setting(
        _address,
        "Where the parent listens for its children; absent: reached by bundles alone.",
        None,
    )
    fallback: str | None = _setting(
        _address,
        "Another address of the parent, dialled in turn after 24 h without the root's pulse.",
        None,
    )


@dataclass(frozen=True, slots=True)
class ApiSection:
    """The API for people and programs on this machine."""

    listen: str = _setting(
        _loopback, "Where the gRPC API listens; a loopback address.", "127.0.0.1:7401"
    )
    token_file: str = _setting(_text, "File of the access token; mode 0600.", "keys/api.token")


@dataclass(frozen=True, slots=True)
class MetricsSection:
    """Metrics and health over HTTP."""

    listen: str | None = _setting(
        _address, "Where /metrics and /healthz listen; absent: nowhere.", None
    )


@dataclass(frozen=True, slots=True)
class TimingSection:
    """How long things wait, in seconds. The defaults suit a real network."""

    pulse_seconds: float = _setting(
        _seconds, "Between two pulses of the own feed.", limits.PULSE_SECONDS
    )
    confirm_seconds: float = _setting(
        _seconds,
        "How long a start waits for the parent to confirm the own feed.",
        limits.CONFIRM_SECONDS,
    )
    withheld_grace_seconds: float = _setting(
        _seconds,
        "Asked for this long and still not there: the feed is marked withheld.",
        limits.WITHHELD_GRACE_SECONDS,
    )
    want_retry_seconds: float = _setting(
        _seconds, "First wait before asking again.", limits.WANT_RETRY_SECONDS_MIN
    )
    retry_seconds_min: float = _setting(
        _seconds, "First wait before dialling the parent again.", limits.RETRY_SECONDS_MIN
    )
    retry_seconds_max: float = _setting(
        _seconds, "Longest wait before dialling the parent again.", limits.RETRY_SECONDS_MAX
    )
    stream_age_seconds: float = _setting(
        _seconds, "Age at which a child dials its parent anew.", limits.STREAM_AGE_SECONDS_MAX
    )
    sealed_quiet_seconds: float = _setting(
        _seconds,
        "How long a few new entries wait before they are sealed for the parent to keep.",
        limits.SEALED_QUIET_SECONDS,
    )
    drain_seconds: float = _setting(
        _seconds, "How long a stop waits for the last acknowledgements.", limits.DRAIN_SECONDS
    )
    offline_window: str | None = _setting(
        _window,
        "Daily hours, local, in which silent links raise no alert, as 22:00-06:00; absent: none.",
        None,
    )


@dataclass(frozen=True, slots=True)
class TrustSection:
    """Whom this node trusts from the start, and whom it invited."""

    pins: str = _setting(_text, "Folder of the ancestors' pins, CODE.toml each.", "pins")
    invites: str = _setting(
        _text, "Folder of what is kept of the join tokens issued here; mode 0700.", "invites"
    )


@dataclass(frozen=True, slots=True)
class BackupSection:
    """What `huying backup` needs."""

    keys: str = _setting(
        _text,
        "Folder of the period keys that encrypt the backups; keep a copy of it elsewhere.",
        "backup-keys",
    )


@dataclass(frozen=True, slots=True)
class LogSection:
    """The log, on standard error."""

    level: str = _setting(
        _one_of("debug", "info", "warning", "error"), "The least level that is written.", "info"
    )
    format: str = _setting(
        _one_of("auto", "console", "json"),
        "auto: console on a terminal, JSON elsewhere.",
        "auto",
    )


@dataclass(frozen=True, slots=True)
class DebugSection:
    """Never in production."""

    capture_dir: str | None = _setting(
        _text, "Folder that every frame is copied to, for tests; absent: off.", None
    )


def _days(value: object) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value):
        number = int(value)
    if not 0 <= number <= DAYS_MAX:
        raise ValueError(f"must be a whole number of days, at most {DAYS_MAX}; 0: keep")
    return number


def _provision_days(value: object) -> int:
    number = _days(value)
    if 0 < number < limits.PROVISION_KEPT_DAYS_MIN:
        raise ValueError(
            f"must be 0 or at least {limits.PROVISION_KEPT_DAYS_MIN} days:"
            " what was provided to whom is kept for three years"
        )
    return number


def _hour(value: object) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else -1
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,2}", value):
        number = int(value)
    if not 0 <= number <= 23:
        raise ValueError("must be an hour from 0 to 23")
    return number


@dataclass(frozen=True, slots=True)
class RetentionSection:
    """How long this node's own records are kept; a nightly job erases what is older."""

    hour: int = _setting(_hour, "Hour of the day, local time, at which the job runs.", 3)
    event_days: int = _setting(_days, "Days that events are kept; 0: for ever.", 0)
    household_days: int = _setting(_days, "Days that households are kept; 0: for ever.", 0)
    resident_days: int = _setting(_days, "Days that residents are kept; 0: for ever.", 0)
    grid_worker_days: int = _setting(_days, "Days that grid workers are kept; 0: for ever.", 0)
    call_days: int = _setting(
        _days, "Days that the contacts and notes of calls are kept; 0: for ever.", 0
    )
    provision_days: int = _setting(
        _provision_days,
        "Days that the ledger of provisions is kept, at least 1096; 0: for ever.",
        0,
    )


@dataclass(frozen=True, slots=True)
class DisclosureSection:
    """What this node gives, when a department asks, without asking a person."""

    rule: tuple[ProvisionRule, ...] | None = _setting(
        parse_rules,
        "Rules, each a [[disclosure.rule]] of the file; absent: a person decides.",
        None,
    )


ALL_TEMPLATES: Final = "all"
NO_TEMPLATES: Final = "none"
_TEMPLATE_NAMES: Final = re.compile(r"[a-z0-9][a-z0-9-]*(,[a-z0-9][a-z0-9-]*)*")


def _template_names(value: object) -> str:
    text = _text(value).replace(" ", "")
    if not _TEMPLATE_NAMES.fullmatch(text):
        raise ValueError("must be all, none, or names of templates with commas between them")
    return text


@dataclass(frozen=True, slots=True)
class AskSection:
    """Which questions a village answers by counting."""

    answers: str = _setting(
        _template_names,
        "Templates that a village answers: all, none, or names with commas between.",
        ALL_TEMPLATES,
    )


Section = (
    NodeSection
    | SyncSection
    | ParentSection
    | ApiSection
    | MetricsSection
    | TimingSection
    | TrustSection
    | RetentionSection
    | DisclosureSection
    | AskSection
    | BackupSection
    | LogSection
    | DebugSection
)

SECTIONS: Final[dict[str, type[Section]]] = {
    "node": NodeSection,
    "sync": SyncSection,
    "parent": ParentSection,
    "api": ApiSection,
    "metrics": MetricsSection,
    "timing": TimingSection,
    "trust": TrustSection,
    "retention": RetentionSection,
    "disclosure": DisclosureSection,
    "ask": AskSection,
    "backup": BackupSection,
    "log": LogSection,
    "debug": DebugSection,
}


def build(model: type[Section], table: dict[str, object]) -> Section | list[tuple[str, str]]:
    """The section of these keys and values, or every fault as (key, what to do)."""
    values: dict[str, Any] = {}
    known = {found.name: found for found in fields(model)}
    unknown = table.keys() - known.keys()
    faults = [(key, "unknown; correct the spelling or remove it") for key in unknown]
    for key, found in known.items():
        if key in table:
            try:
                values[key] = found.metadata[_CHECK](table[key])
            except ValueError as error:
                faults.append((key, str(error)))
        elif found.default is MISSING:
            faults.append((key, "missing; add it"))
    return sorted(faults) if faults else model(**values)


def help_of(found: Field[Any]) -> str:
    """The help text of a section's field."""
    return str(found.metadata[_HELP])
