"""One call for one person: finding it, and as whom the person may act on it.

Every page of a call begins with `load_call`: what the person may not see is not there. As whom
somebody acts follows from the node and from their account, never from what a form says: the centre
and the departments are at the answering node, the caller at the calling one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.calls.call_rules import OWN_STEPS, PROPOSALS, Role
from huying.common.errors import Code, HuyingError
from huying.node.api.reads import StoreReads
from huying.node.store.reader import Reader
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Permission
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2

__all__ = ["INTERNAL_NOTE", "LoadedCall", "Part", "load_call", "offered", "part_for", "parts_of"]

INTERNAL_NOTE: Final = "internal_note"  # no step of the rules: it stays with the writer's office
_HEX: Final = re.compile(r"[0-9a-f]{32}")
# A department's steps, by which of the call's departments may take them.
_OF_CO_HANDLERS: Final = frozenset({"reply", "note"})
_OF_LEAD: Final = frozenset(
    kind for kind, rule in OWN_STEPS.items() if Role.DEPARTMENT in rule.roles and kind != "reply"
)
_ROLES: Final = {
    api_pb2.CALL_ROLE_CENTRE: Role.CENTRE,
    api_pb2.CALL_ROLE_DEPARTMENT: Role.DEPARTMENT,
    api_pb2.CALL_ROLE_CALLER: Role.CALLER,
}


@dataclass(frozen=True, slots=True)
class Part:
    """As whom a person acts on a call."""

    role: Role
    steps: frozenset[str]  # that this part may ever take, whatever the stage
    department: str = ""  # of a department's part


@dataclass(frozen=True, slots=True)
class LoadedCall:
    """A call that the person may see."""

    view: api_pb2.CallView
    parts: tuple[Part, ...]
    signed: Mapping[str, int]  # by origin: how many entries of the feed are signed

    @property
    def hex(self) -> str:
        """The call's id in hex."""
        return self.view.call.hex()


async def load_call(ask: Ask, call_hex: str) -> LoadedCall:
    """The call as the node's database has it now.

    Raises HuyingError(NOT_FOUND) for one that is not here, or is not the person's to see.
    """
    if not _HEX.fullmatch(call_hex):
        raise HuyingError(Code.NOT_FOUND, "there is no such call here, or it is not yours to see")
    call = bytes.fromhex(call_hex)

    def read(reader: Reader) -> tuple[api_pb2.CallView, dict[str, int]]:
        view = StoreReads(reader).call(call)
        return view, _signed(reader, {view.origin, *(step.origin for step in view.steps)})

    try:
        view, signed = await ask.node.read(read)
    except HuyingError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        # As `Scope` says it, so that nobody learns which calls there are.
        raise HuyingError(
            Code.NOT_FOUND, "there is no such thing here, or it is not yours to see"
        ) from None
    ask.scope.call(
        caller=view.caller,
        village=view.content.village,
        grid=view.content.grid,
        department=view.department,
        helpers=view.co_handlers,
    )
    return LoadedCall(view, parts_of(ask.person, view, ask.node.code), signed)


def _signed(reader: Reader, origins: set[str]) -> dict[str, int]:
    found = {}
    for origin in filter(None, origins):
        feed = reader.feed(origin)
        points = () if feed is None else (feed.head, feed.witnessed, feed.cosigned)
        found[origin] = max((point.size for point in points if point is not None), default=0)
    return found


def parts_of(person: Person, view: api_pb2.CallView, own: str) -> tuple[Part, ...]:
    """As whom a person acts on a call at the node `own`, the most of it first."""
    may = person.permissions
    parts = []
    if own == view.sequencer and Permission.CALLS_CENTRE in may:
        parts.append(Part(Role.CENTRE, _steps_of(Role.CENTRE)))
    department = person.department
    if own == view.sequencer and Permission.CALLS_DEPARTMENT in may and department:
        if department == view.department:
            parts.append(Part(Role.DEPARTMENT, _OF_LEAD | {INTERNAL_NOTE}, department))
        elif department in view.co_handlers:
            parts.append(Part(Role.DEPARTMENT, _OF_CO_HANDLERS | {INTERNAL_NOTE}, department))
    if own == view.caller and Permission.CALLS_CALLER in may:
        parts.append(Part(Role.CALLER, frozenset(PROPOSALS) - {"raise"} | {INTERNAL_NOTE}))
    return tuple(parts)


def _steps_of(role: Role) -> frozenset[str]:
    return frozenset(k for k, rule in OWN_STEPS.items() if role in rule.roles) | {INTERNAL_NOTE}


def part_for(loaded: LoadedCall, step: str) -> Part:
    """The part that takes a step, whatever the stage: that is for the node to judge.

    Raises HuyingError(NOT_A_PARTY) where the person has none.
    """
    for part in loaded.parts:
        if step in part.steps:
            return part
    raise HuyingError(Code.NOT_A_PARTY, f"{step}: not yours to take in this call")


def offered(loaded: LoadedCall) -> dict[str, Part]:
    """The steps that the person may take now, and as whom."""
    allowed = {_ROLES.get(each.role): each.steps for each in loaded.view.allowed}
    found: dict[str, Part] = {}
    for part in loaded.parts:
        for step in (*allowed.get(part.role, ()), INTERNAL_NOTE):
            if step in part.steps:
                found.setdefault(step, part)
    return found
