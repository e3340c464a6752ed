"""Roles, what each may do, and at which tier it exists.

A page names the permission it needs; a person has those of their roles. What of it they may see,
`huying.node.web.access.scope` says.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final

from huying.common.codes import Level
from huying.common.errors import Code, HuyingError

__all__ = ["ROLES_OF_LEVEL", "Permission", "Role", "parse_roles", "permissions", "role_names"]


class Permission(enum.Enum):
    """What a page, or a deed on it, needs."""

    SIGNED_IN = "signed in"  # whoever has an account
    CALLS_READ = "read calls"
    CALLS_DEPARTMENT = "act for a department"
    CALLS_CENTRE = "admit, dispatch, rule, supervise"
    CALLS_CALLER = "draft calls, supplement, confirm, rate, reopen"
    CALLS_APPROVE = "approve drafts"
    EVENTS_READ = "read events"
    EVENTS_REPORT = "report and settle events"
    EVENTS_HANDLE = "take on, settle or hand back an event of a village"
    ORDERS = "handle hotline orders"
    LEDGER = "households, residents, visits"
    PROVISIONS_ASK = "ask for withheld fields, and look at them"
    PROVISIONS_DECIDE = "decide disclosure requests"
    WALL = "the wall view"
    MEASURES = "measures"
    OPERATIONS_READ = "feeds, peers, quarantine"
    OPERATIONS = "retry, skip, and what else an operator does"
    PEOPLE = "accounts and the audit trail"


class Role(enum.Enum):
    """The roles; the value is what is stored and typed."""

    CENTRE = "centre"
    DEPARTMENT = "department"
    DIRECTOR = "director"
    CLERK = "clerk"
    PRINCIPAL = "principal"
    WORKER = "worker"
    VILLAGE_CLERK = "village_clerk"
    TECHNICIAN = "technician"
    ADMIN = "admin"


_P = Permission
_CALLER: Final = frozenset(
    {_P.CALLS_READ, _P.CALLS_CALLER, _P.EVENTS_READ, _P.EVENTS_REPORT, _P.EVENTS_HANDLE}
)
_GRANTS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.CENTRE: frozenset(
        {
            *(_P.CALLS_READ, _P.CALLS_CENTRE, _P.EVENTS_READ, _P.ORDERS, _P.PROVISIONS_ASK),
            *(_P.WALL, _P.MEASURES),
        }
    ),
    Role.DEPARTMENT: frozenset(
        {_P.CALLS_READ, _P.CALLS_DEPARTMENT, _P.PROVISIONS_ASK, _P.MEASURES}
    ),
    Role.DIRECTOR: frozenset({_P.CALLS_READ, _P.EVENTS_READ, _P.WALL, _P.MEASURES}),
    Role.CLERK: _CALLER | {_P.ORDERS, _P.PROVISIONS_ASK, _P.MEASURES},
    Role.PRINCIPAL: _CALLER
    | {
        *(_P.CALLS_APPROVE, _P.ORDERS, _P.PROVISIONS_ASK, _P.PROVISIONS_DECIDE),
        _P.MEASURES,
    },
    Role.WORKER: frozenset({_P.CALLS_READ, _P.EVENTS_READ, _P.EVENTS_REPORT, _P.ORDERS, _P.LEDGER}),
    Role.VILLAGE_CLERK: frozenset(
        {
            *(_P.CALLS_READ, _P.EVENTS_READ, _P.EVENTS_REPORT, _P.ORDERS, _P.LEDGER),
            _P.PROVISIONS_DECIDE,
        }
    ),
    Role.TECHNICIAN: frozenset({_P.OPERATIONS_READ, _P.OPERATIONS}),
    Role.ADMIN: frozenset({_P.PEOPLE, _P.OPERATIONS_READ}),
}

_EVERYWHERE: Final = (Role.TECHNICIAN, Role.ADMIN)
ROLES_OF_LEVEL: Final[Mapping[Level, tuple[Role, ...]]] = {
    Level.PROVINCE: (Role.CENTRE, Role.DEPARTMENT, Role.DIRECTOR, *_EVERYWHERE),
    Level.PREFECTURE: (Role.CENTRE, Role.DEPARTMENT, Role.DIRECTOR, *_EVERYWHERE),
    Level.COUNTY: (Role.CENTRE, Role.DEPARTMENT, Role.DIRECTOR, *_EVERYWHERE),
    Level.TOWN: (Role.CLERK, Role.PRINCIPAL, *_EVERYWHERE),
    Level.VILLAGE: (Role.WORKER, Role.VILLAGE_CLERK, *_EVERYWHERE),
}
_NAMES: Final[Mapping[Role, tuple[str, str]]] = {
    Role.CENTRE: ("呼应中心", "dispatch centre"),
    Role.DEPARTMENT: ("部门办理人", "department responder"),
    Role.DIRECTOR: ("中心主任", "centre director"),
    Role.CLERK: ("乡镇经办", "town clerk"),
    Role.PRINCIPAL: ("乡镇主要负责人", "town principal"),
    Role.WORKER: ("网格员", "grid worker"),
    Role.VILLAGE_CLERK: ("村文书", "village clerk"),
    Role.TECHNICIAN: ("运维技术员", "technician"),
    Role.ADMIN: ("账号管理员", "account administrator"),
}


def permissions(roles: Iterable[Role]) -> frozenset[Permission]:
    """What a person of these roles may do."""
    return frozenset({Permission.SIGNED_IN}.union(*(_GRANTS[role] for role in roles)))


def role_names(role: Role) -> tuple[str, str]:
    """Chinese and English name."""
    return _NAMES[role]


def parse_roles(values: Iterable[str], level: Level) -> tuple[Role, ...]:
    """Roles that exist at a tier, in the order of `Role`.

    Raises HuyingError(INVALID_ARGUMENT), naming those that do.
    """
    wanted = set(values)
    allowed = ROLES_OF_LEVEL[level]
    known = {role.value for role in allowed}
    if not wanted or wanted - known:
        wrong = ", ".join(sorted(wanted - known)) or "none"
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"roles: {wrong}; at this tier there are {', '.join(role.value for role in allowed)}",
        )
    return tuple(role for role in allowed if role.value in wanted)
