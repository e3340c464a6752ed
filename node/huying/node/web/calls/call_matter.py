"""What a call is about: its event, what of both is withheld here, and what was asked of that.

Fields that share a compartment are asked for, and given, together. A value that was given is never
read here: looking at it is a deed of its own, which the node writes down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from huying.common.codes import is_within
from huying.common.provisions.terms import stage_of
from huying.common.records.evidence_parts import JPEG
from huying.node.api.types import message_class
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.node.store.provision_queries import Provision
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2, feed_pb2
from huying.wire.v1 import provision_pb2 as wire

__all__ = [
    "FIELD_NAMES",
    "Given",
    "Matter",
    "NotShown",
    "holds_personal",
    "may_ask",
    "read_matter",
]

_FieldNames = Mapping[str, tuple[str, str]]
FIELD_NAMES: Final[_FieldNames] = {
    "category": ("类别", "category"),
    "descriptor": ("细类", "kind"),
    "grid": ("网格", "grid"),
    "status": ("状态", "status"),
    "reported_micros": ("上报时间", "reported"),
    "settled_micros": ("办结时间", "settled"),
    "description_public": ("公开描述", "description"),
    "source": ("来源", "source"),
    "address": ("地址", "address"),
    "description_full": ("事件全文", "full text"),
    "reporter_name": ("反映人", "reported by"),
    "reporter_phone": ("反映人电话", "reporter's phone"),
}
_PERSONAL: Final = ("reporter_name", "reporter_phone", "description_full", "contact_phone")
_STATES: Final = {
    api_pb2.SLOT_STATE_WITHHELD: "withheld",
    api_pb2.SLOT_STATE_ERASED: "erased",
    api_pb2.SLOT_STATE_LOST: "lost",
}


@dataclass(frozen=True, slots=True)
class Given:
    """One request for withheld fields, and what became of it."""

    record: str  # hex
    stage: int  # provision_pb2.ProvisionStage
    fields: tuple[str, ...]
    department: str
    actor: str
    purpose: str
    asked_micros: int
    until_micros: int
    reason: int  # provision_pb2.DenialReason
    text: str
    may_look: bool


@dataclass(frozen=True, slots=True)
class NotShown:
    """What of one entry is not shown here, for one reason, and who has it."""

    of: str  # "call" or "event"
    state: str  # withheld, erased or lost
    home: str
    origin: str
    index: int
    groups: tuple[tuple[str, ...], ...]  # the fields of each compartment
    given: tuple[Given, ...]
    askable: tuple[tuple[str, ...], ...]  # of the groups, those to be asked for now


@dataclass(frozen=True, slots=True)
class Matter:
    """What a call is about, as far as it is visible here."""

    event: Any  # records_pb2.Event, or None
    event_home: str
    event_id: str  # hex
    shown: tuple[tuple[str, Any], ...]  # fields of the event that say something
    not_shown: tuple[NotShown, ...]
    pictures: tuple[EvidenceRow, ...]  # of the event and of the call

    @property
    def here(self) -> frozenset[bytes]:
        """Digests of the pictures whose bytes are here."""
        whole = EvidenceState.WHOLE
        return frozenset(one.sha256 for one in self.pictures if one.state is whole)

    @property
    def images(self) -> frozenset[bytes]:
        """Digests of those of them that a page shows; a document is downloaded."""
        shown = {one.sha256 for one in self.pictures if one.media_type == JPEG}
        return self.here & shown


async def read_matter(ask: Ask, view: api_pb2.CallView) -> Matter:
    """Reads the requests for the call and for its event. Raises as `NodeLink.read`."""
    own = ask.node.code
    has_event = view.HasField("event")

    def read(reader: Reader) -> tuple[dict[bytes, list[Provision]], list[EvidenceRow]]:
        records = [view.event.record, view.call] if has_event else [view.call]
        known = {record: reader.provisions_of(record) for record in records if record}
        return known, [row for record in known for row in reader.evidence_of(record)]

    known, pictures = await ask.node.read(read)
    now_micros = int(ask.now() * 1e6)
    groups = [("call", view.call, view.caller, view.origin, view.index, view.slots)]
    if has_event:
        event = view.event
        groups.append(("event", event.record, event.home, event.origin, event.index, event.slots))
    not_shown: list[NotShown] = []
    for of, record, home, origin, index, slots in groups:
        given = tuple(_given(ask, own, known.get(record, ()), home, now_micros))
        for state, name in _STATES.items():
            fields = tuple(tuple(s.fields) for s in slots if s.fields and s.state == state)
            if not fields:
                continue
            withheld = state == api_pb2.SLOT_STATE_WITHHELD
            open_to = withheld and may_ask(ask, home)
            asked = _asked(ask, given)
            askable = tuple(group for group in fields if open_to and not asked & set(group))
            told = given if withheld else ()
            not_shown.append(NotShown(of, name, home, origin, index, fields, told, askable))
    return Matter(*_event(view), tuple(not_shown), tuple(pictures))


def _event(view: api_pb2.CallView) -> tuple[Any, str, str, tuple[tuple[str, Any], ...]]:
    made = message_class(feed_pb2.RECORD_TYPE_EVENT) if view.HasField("event") else None
    if made is None or view.event.kind == feed_pb2.KIND_DELETE:
        return None, "", "", ()
    event: Any = made.FromString(view.event.message)
    shown = tuple((name, getattr(event, name)) for name in FIELD_NAMES if getattr(event, name, ""))
    return event, view.event.home, view.event.record.hex(), shown


def may_ask(ask: Ask, home: str) -> bool:
    """Whether the person may ask that node for what it withholds: one below this one."""
    own = ask.node.code
    return ask.may(Permission.PROVISIONS_ASK) and home != own and is_within(home, own)


def _asked(ask: Ask, given: Iterable[Given]) -> set[str]:
    """The fields that need not be asked for again, by the person's department or by anybody."""
    going_on = (wire.PROVISION_STAGE_WAITING, wire.PROVISION_STAGE_APPROVED)
    department = ask.person.department
    return {
        name
        for one in given
        if one.stage in going_on and department in ("", one.department)
        for name in one.fields
    }


def _given(
    ask: Ask,
    own: str,
    known: Iterable[Provision],
    home: str,
    now_micros: int,
) -> Iterator[Given]:
    """The requests of this node that the person may see, the newest first."""
    bound = ask.scope.department
    for one in sorted(known, key=lambda each: -each.time_micros):
        if one.asker != own or one.home != home or bound not in ("", one.request.department):
            continue
        decision = None if one.decision is None else one.decision.message
        stage = stage_of(decision, one.request.expires_micros, now_micros)
        until = one.request.expires_micros
        if decision is not None and decision.expires_micros:
            until = min(until, decision.expires_micros)
        yield Given(
            record=one.record.hex(),
            stage=stage,
            fields=tuple(one.request.fields),
            department=one.request.department,
            actor=one.request.actor,
            purpose=one.request.purpose,
            asked_micros=one.time_micros,
            until_micros=until,
            reason=0 if decision is None else decision.reason,
            text="" if decision is None else decision.text,
            may_look=stage == wire.PROVISION_STAGE_APPROVED and _may_look(ask, one.request),
        )


def _may_look(ask: Ask, request: wire.ProvisionRequest) -> bool:
    """Whether a value that was given is the person's to look at.

    It was given to a department: its people may, and who asked for it.
    """
    person = ask.person
    if not ask.may(Permission.PROVISIONS_ASK):
        return False
    if person.department:
        return person.department == request.department
    return person.actor == request.actor


def holds_personal(view: api_pb2.CallView, matter: Matter) -> bool:
    """Whether the page shows something of a person, so that looking at it is written down."""
    if view.content.contact_phone or view.content.contact_name:
        return True
    return any(name in _PERSONAL for name, _ in matter.shown)
