"""The machine: certificates, disk, database, backups, clocks, versions."""

from __future__ import annotations

import math
import platform
import sqlite3
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from huying.node.store.schema import SCHEMA_REVISION
from huying.node.web.access.roles import Permission
from huying.node.web.operations.operations_lines import peer_lines
from huying.node.web.operations.operations_remarks import CERTIFICATE_DAYS_WARN, DISK_BYTES_WARN
from huying.node.web.operations.operations_source import Look, history, look, names_of
from huying.node.web.page import Ask, Page
from huying.wire.v1 import admin_pb2

__all__ = ["PAGES", "Growth", "growth"]

_POINTS: Final = 48
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class CertificateLine:
    """One certificate: whose, and how long it is good for."""

    code: str
    relation: str  # self, parent, child, above, below
    expires: float  # unix seconds
    days_left: float

    @property
    def kind(self) -> str:
        """The colour of what is left."""
        if self.days_left < 3:
            return "bad"
        return "warn" if self.days_left < CERTIFICATE_DAYS_WARN else "good"


@dataclass(frozen=True, slots=True)
class Growth:
    """How the database grew over what is remembered."""

    began: float  # unix seconds
    bytes_before: float
    bytes_now: float
    bytes_a_day: float
    days_left: float | None  # until the disk is full at this pace; None: it does not grow


def growth(past: admin_pb2.ShowHistoryResponse | None, free: float | None) -> Growth | None:
    """None where too little is remembered: a minute says nothing about a day."""
    if past is None:
        return None
    known = [
        (at, size)
        for at, size in zip(past.ends_seconds, past.database_bytes, strict=True)
        if not math.isnan(size)
    ]
    if len(known) < 2 or known[-1][0] - known[0][0] < 600.0:
        return None
    (began, before), (now, size) = known[0], known[-1]
    pace = (size - before) / (now - began) * _DAY
    left = free / pace if pace > 0 and free is not None else None
    return Growth(began, before, size, pace, left)


async def show_machine(ask: Ask) -> Response:
    """What keeps the node running."""
    seen = await look(ask)
    past = await history(ask, _POINTS)
    free = seen.figures.get("disk_free_bytes")
    freshness = await ask.node.state()
    return await ask.render(
        "machine.html",
        look=seen,
        names=await names_of(ask, seen),
        certificates=_certificates(ask, seen),
        free=free,
        free_is_low=free is not None and free < DISK_BYTES_WARN,
        database=seen.figures.get("database_bytes"),
        log=seen.figures.get("database_log_bytes"),
        growth=growth(past, free),
        backup=seen.figures.get("backup_timestamp_seconds"),
        erasures=seen.figures.get("erasures_pending"),
        window=(
            seen.figures.get("offline_window_start_timestamp_seconds"),
            seen.figures.get("offline_window_end_timestamp_seconds"),
        ),
        peers=peer_lines(seen),
        process=freshness.status,
        schema=SCHEMA_REVISION,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        data_dir=ask.site.config.data_dir,
        console_dir=ask.site.console.folder,
        console_bytes=ask.site.console.size(),
    )


def _certificates(ask: Ask, seen: Look) -> list[CertificateLine]:
    """The own one first, then the parent's, then those that end first."""
    directions = {line.code: line.direction for line in peer_lines(seen)}
    relations = {"up": "parent", "down": "child"}
    lines = []
    for labels, expires in seen.figures.all("certificate_expiry_timestamp_seconds"):
        code = labels["peer"]
        own = code == ask.node.code
        relation = "self" if own else relations.get(directions.get(code, ""), "other")
        lines.append(CertificateLine(code, relation, expires, (expires - ask.now()) / _DAY))
    rank = ("self", "parent", "child", "other")
    return sorted(lines, key=lambda one: (rank.index(one.relation) > 1, one.expires))


PAGES: Final = (Page("/operations/machine", "machine", show_machine, Permission.OPERATIONS_READ),)
