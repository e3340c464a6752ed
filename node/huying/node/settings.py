"""Every setting as data: its section, key, check, default and help text.

The sections are plain dataclasses, so that reading them costs neither time nor memory: each command
does it, and a village's node counts its megabytes. The checks are in
`huying.node.setting_checks`.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from huying.common import codes, limits
from huying.node import setting_checks as check
from huying.node.console_settings import ConsoleSection, OidcSection
from huying.node.provision_rules import ProvisionRule, parse_rules
from huying.node.setting_checks import split_address
from huying.node.setting_fields import checked, help_of, setting

__all__ = [
    "ALL_TEMPLATES",
    "NO_TEMPLATES",
    "SECTIONS",
    "ApiSection",
    "AskSection",
    "BackupSection",
    "CallsSection",
    "ConsoleSection",
    "DebugSection",
    "DisclosureSection",
    "LogSection",
    "MetricsSection",
    "NodeSection",
    "OidcSection",
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


@dataclass(frozen=True, slots=True)
class NodeSection:
    """Who this node is."""

    network: str = setting(
        check.by(codes.parse_network), "Name of the network; part of every feed's origin."
    )
    code: str = setting(check.by(codes.parse_code), "Division code of this node, 12 digits.")
    name: str = setting(check.name, "Name of the division, as people read it.")
    data: str = setting(check.text, "Folder of the database.", "data")
    keys: str = setting(check.text, "Folder of the private keys; mode 0700.", "keys")
    mark: str = setting(
        check.text,
        "File of the high-water mark; outside the data folder and its backups.",
        "highwater.mark",
    )


@dataclass(frozen=True, slots=True)
class SyncSection:
    """The link to the children."""

    listen: str | None = setting(
        check.address, "Where the children dial in; absent: this node takes no children.", None
    )
    advertise: str | None = setting(
        check.address, "The address children are told to dial; absent: the one listened on.", None
    )


@dataclass(frozen=True, slots=True)
class ParentSection:
    """The link to the parent; the section is absent at the root."""

    code: str = setting(check.by(codes.parse_code), "Division code of the parent.")
    address: str | None = setting(
        check.address,
        "Where the parent listens for its children; absent: reached by bundles alone.",
        None,
    )
    fallback: str | None = setting(
        check.address,
        "Another address of the parent, dialled in turn after 24 h without the root's pulse.",
        None,
    )


@dataclass(frozen=True, slots=True)
class ApiSection:
    """The API for people and programs on this machine."""

    listen: str = setting(
        check.loopback, "Where the gRPC API listens; a loopback address.", "127.0.0.1:7401"
    )
    token_file: str = setting(check.text, "File of the access token; mode 0600.", "keys/api.token")


@dataclass(frozen=True, slots=True)
class MetricsSection:
    """Metrics and health over HTTP."""

    listen: str | None = setting(
        check.address, "Where /metrics and /healthz listen; absent: nowhere.", None
    )


@dataclass(frozen=True, slots=True)
class TimingSection:
    """How long things wait, in seconds. The defaults suit a real network."""

    pulse_seconds: float = setting(
        check.seconds, "Between two pulses of the own feed.", limits.PULSE_SECONDS
    )
    confirm_seconds: float = setting(
        check.seconds,
        "How long a start waits for the parent to confirm the own feed.",
        limits.CONFIRM_SECONDS,
    )
    withheld_grace_seconds: float = setting(
        check.seconds,
        "Asked for this long and still not there: the feed is marked withheld.",
        limits.WITHHELD_GRACE_SECONDS,
    )
    want_retry_seconds: float = setting(
        check.seconds, "First wait before asking again.", limits.WANT_RETRY_SECONDS_MIN
    )
    retry_seconds_min: float = setting(
        check.seconds, "First wait before dialling the parent again.", limits.RETRY_SECONDS_MIN
    )
    retry_seconds_max: float = setting(
        check.seconds, "Longest wait before dialling the parent again.", limits.RETRY_SECONDS_MAX
    )
    stream_age_seconds: float = setting(
        check.seconds, "Age at which a child dials its parent anew.", limits.STREAM_AGE_SECONDS_MAX
    )
    sealed_quiet_seconds: float = setting(
        check.seconds,
        "How long a few new entries wait before they are sealed for the parent to keep.",
        limits.SEALED_QUIET_SECONDS,
    )
    drain_seconds: float = setting(
        check.seconds, "How long a stop waits for the last acknowledgements.", limits.DRAIN_SECONDS
    )
    offline_window: str | None = setting(
        check.window,
        "Daily hours, local, in which silent links raise no alert, as 22:00-06:00; absent: none.",
        None,
    )


@dataclass(frozen=True, slots=True)
class TrustSection:
    """Whom this node trusts from the start, and whom it invited."""

    pins: str = setting(check.text, "Folder of the ancestors' pins, CODE.toml each.", "pins")
    invites: str = setting(
        check.text, "Folder of what is kept of the join tokens issued here; mode 0700.", "invites"
    )


@dataclass(frozen=True, slots=True)
class BackupSection:
    """What `huying backup` needs."""

    keys: str = setting(
        check.text,
        "Folder of the period keys that encrypt the backups; keep a copy of it elsewhere.",
        "backup-keys",
    )


@dataclass(frozen=True, slots=True)
class LogSection:
    """The log, on standard error."""

    level: str = setting(
        check.one_of("debug", "info", "warning", "error"),
        "The least level that is written.",
        "info",
    )
    format: str = setting(
        check.one_of("auto", "console", "json"),
        "auto: console on a terminal, JSON elsewhere.",
        "auto",
    )


@dataclass(frozen=True, slots=True)
class DebugSection:
    """Never in production."""

    capture_dir: str | None = setting(
        check.text, "Folder that every frame is copied to, for tests; absent: off.", None
    )


@dataclass(frozen=True, slots=True)
class RetentionSection:
    """How long this node's own records are kept; a nightly job erases what is older."""

    hour: int = setting(check.hour, "Hour of the day, local time, at which the job runs.", 3)
    event_days: int = setting(
        check.days, "Days that events and their pictures are kept; 0: for ever.", 0
    )
    household_days: int = setting(check.days, "Days that households are kept; 0: for ever.", 0)
    resident_days: int = setting(check.days, "Days that residents are kept; 0: for ever.", 0)
    grid_worker_days: int = setting(check.days, "Days that grid workers are kept; 0: for ever.", 0)
    visit_days: int = setting(check.days, "Days that visits are kept; 0: for ever.", 0)
    call_days: int = setting(
        check.days, "Days that the contacts, notes and pictures of calls are kept; 0: for ever.", 0
    )
    provision_days: int = setting(
        check.provision_days,
        "Days that the ledger of provisions is kept, at least 1096; 0: for ever.",
        0,
    )


@dataclass(frozen=True, slots=True)
class DisclosureSection:
    """What this node gives, when a department asks, without asking a person."""

    rule: tuple[ProvisionRule, ...] | None = setting(
        parse_rules,
        "Rules, each a [[disclosure.rule]] of the file; absent: a person decides.",
        None,
    )


ALL_TEMPLATES: Final = "all"
NO_TEMPLATES: Final = "none"


@dataclass(frozen=True, slots=True)
class AskSection:
    """Which questions a village answers by counting."""

    answers: str = setting(
        check.template_names,
        "Templates that a village answers: all, none, or names with commas between.",
        ALL_TEMPLATES,
    )


@dataclass(frozen=True, slots=True)
class CallsSection:
    """The calls that this node answers."""

    outage_minutes: int = setting(
        check.minutes, "Away for so long: the windows of open calls grow by the time away.", 30
    )


Section = (
    NodeSection
    | SyncSection
    | ParentSection
    | ApiSection
    | MetricsSection
    | ConsoleSection
    | OidcSection
    | TimingSection
    | TrustSection
    | RetentionSection
    | CallsSection
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
    "console": ConsoleSection,
    "oidc": OidcSection,
    "timing": TimingSection,
    "trust": TrustSection,
    "retention": RetentionSection,
    "calls": CallsSection,
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
                values[key] = checked(found, table[key])
            except ValueError as error:
                faults.append((key, str(error)))
        elif found.default is MISSING:
            faults.append((key, "missing; add it"))
    return sorted(faults) if faults else model(**values)
