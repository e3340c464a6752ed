"""A provision as a desk sees it: what was said of it, and what this node adds to that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from huying.common.codes import parse_origin
from huying.common.errors import HuyingError
from huying.common.provisions.terms import HeldEntry, obstacle, stage_of
from huying.common.status import NodeStatus
from huying.node.api.types import message_class, type_name
from huying.node.store.provision_queries import Provision, Told
from huying.node.store.reader import Reader
from huying.wire.v1 import calls_pb2
from huying.wire.v1 import provision_pb2 as wire

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Now", "Seen", "heard_of", "provision_view", "subject_view"]

# By what a clerk tells whose record it is. It is the home's own, and shown at home alone.
_IDENTITY: Final = {
    "event": ("category", "descriptor", "grid", "description_public", "address", "reporter_name"),
    "resident": ("name", "sex", "birth_date", "grid"),
    "household": ("number", "head_name", "address", "grid"),
    "grid_worker": ("name", "grid"),
}
_GRID: Final = ("grid",)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a view needs of the node, beside its tables."""

    own: str  # division code
    now_micros: int
    status: NodeStatus | None = None  # None: when the home was last heard of is not known


class Now:
    """An operation that changes nothing: the time by the node's own clock, in microseconds."""

    def run(self, engine: Engine) -> int:
        """Unix microseconds."""
        return int(engine.clock.now() * 1e6)


def heard_of(status: NodeStatus, code: str) -> int:
    """When a node was last heard of, by whatever way, in unix microseconds; 0: never."""
    times = [
        at
        for feed in status.feeds
        if feed.code == code
        for at in (feed.remote_head_observed, feed.last_success)
        if at is not None
    ]
    return int(max(times, default=0.0) * 1e6)


def provision_view(found: Provision, seen: Seen) -> wire.ProvisionView:
    """One provision. Nothing that is sealed is in it."""
    decision = None if found.decision is None else found.decision.message
    view = wire.ProvisionView(
        record=found.record,
        asker=found.asker,
        home=found.home,
        stage=stage_of(decision, found.request.expires_micros, seen.now_micros),
        place=calls_pb2.EntryRef(origin=found.origin, index=found.index),
        asked_micros=found.time_micros,
        request=found.request,
        sealed_here=found.sealed_here,
    )
    if found.decision is not None:
        view.decision_place.CopyFrom(_place(found.decision))
        view.decided_micros = found.decision.time_micros
        view.decision.CopyFrom(found.decision.message)
        view.decision.ClearField("sealed")
    approval = found.approval
    if approval is not None and approval.message.verdict == wire.PROVISION_VERDICT_APPROVED:
        view.approved_micros = approval.time_micros
        view.approved_by = approval.message.decided_by
    for each in found.receipts:
        view.uses.add(
            place=_place(each),
            use=each.message.use,
            actor=each.message.actor,
            used_micros=each.message.used_micros,
        )
    if found.asker == seen.own and seen.status is not None:
        view.home_heard_micros = heard_of(seen.status, found.home)
    return view


def _place(told: Told) -> calls_pb2.EntryRef:
    return calls_pb2.EntryRef(origin=told.origin, index=told.index)


def subject_view(reader: Reader, found: Provision, seen: Seen, view: wire.ProvisionView) -> None:
    """Add what only the home knows: of whom the request is, and whether it can be met. Blocks."""
    entry = _held(reader, found, seen.own)
    request = found.request
    view.obstacle = obstacle(request, found.asker, seen.own, entry, seen.now_micros)
    view.key_published = any(
        (each.name, each.hpke_key) == (request.department, request.recipient_key)
        for _, each in reader.departments(found.asker)
    )
    made = None if entry is None else message_class(entry.head.type)
    if entry is None or made is None:
        return
    shown = made.FromString(entry.body)
    for name in _IDENTITY.get(type_name(entry.head.type), _GRID):
        value = getattr(shown, name, "")
        if value:
            view.subject.add(name=name, text=str(value))


def _held(reader: Reader, found: Provision, own: str) -> HeldEntry | None:
    """The entry that is asked about, where it is one of this node's own."""
    ref = found.request.entry
    try:
        code = parse_origin(ref.origin).code
    except HuyingError:
        return None
    feed = reader.feed(ref.origin)
    if code != own or feed is None or ref.index >= feed.size:
        return None
    (stored,) = reader.entries(feed.feed_id, ref.index, ref.index + 1)
    return HeldEntry.of(ref.origin, ref.index, stored)
