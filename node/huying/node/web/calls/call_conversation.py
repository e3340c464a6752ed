"""A call as a conversation: every entry a turn, in the order that the answering node gave them.

What another node proposed stands before the step that took it, and what was not taken yet comes
last: the order is that of the sequencer's feed, and no two clocks are compared. The step that takes
a proposal is told within the proposal's turn, as the time that it was received.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from huying.common.codes import parse_origin
from huying.node.web.calls.call_access import INTERNAL_NOTE
from huying.node.web.calls.call_told import Line, clock_lines, told
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["Mark", "Turn", "conversation", "entry_key", "newest_move", "parse_entry_key"]

_RAISE: Final = "raise"
# Small lines: what time does, and what moves nothing by itself.
_SMALL: Final = frozenset({"timeout", "outage", "took", "resume"})
_ASIDE: Final = frozenset(
    {"note", "reply", "urge", "supervise", "card", "party", "outage", INTERNAL_NOTE}
)
_DEPARTMENTS: Final = frozenset(
    {
        *("accept", "objection", "supplement_request", "resume", "reply", "extension_request"),
        "answer",
    }
)


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry that proves what a turn says."""

    key: str  # names it in an address
    code: str
    epoch: int
    index: int
    signed: bool  # a signed checkpoint covers it


@dataclass(frozen=True, slots=True)
class Turn:
    """One step."""

    kind: str  # as the wire names it; raise, internal_note
    side: str  # centre, department, caller, time, or office for a note to itself
    home: str  # division code of who wrote it
    department: str
    actor: str
    time_micros: int  # by the writer's clock
    number: int  # of the sequencer's step; 0 for a proposal
    lines: tuple[Line, ...]
    clocks: tuple[Line, ...]
    attachments: tuple[Any, ...]  # calls_pb2.Attachment
    marks: tuple[Mark, ...]  # its own, then that of the step that took it
    pending: bool = False
    void: bool = False
    void_reason: int = 0
    received_micros: int = 0  # of a proposal: when the sequencer took it, by its clock
    taken_number: int = 0
    missing: tuple[int, ...] = ()  # numbers of sequencer's steps that are not here, before this

    @property
    def is_small(self) -> bool:
        """Whether a line is enough for it."""
        return self.kind in _SMALL or (self.kind == INTERNAL_NOTE and not self.lines)

    @property
    def transit_seconds(self) -> float:
        """From the writer's clock to the receiver's; negative where the two differ."""
        return (self.received_micros - self.time_micros) / 1e6

    @property
    def anchor(self) -> str:
        """Where the turn stands on the page."""
        return f"turn-{self.marks[0].key}"


def entry_key(origin: str, index: int) -> str:
    """An entry's name in an address, e.g. `370830108000-e1-12`."""
    parsed = parse_origin(origin)
    return f"{parsed.code}-e{parsed.epoch}-{index}"


def parse_entry_key(key: str, view: api_pb2.CallView) -> tuple[str, int] | None:
    """(origin, index) of an entry of this call; None for what is no entry of it."""
    places = [(view.origin, view.index), *((step.origin, step.index) for step in view.steps)]
    return next((place for place in places if place[0] and entry_key(*place) == key), None)


def conversation(view: api_pb2.CallView, signed: Mapping[str, int]) -> tuple[Turn, ...]:
    """The turns of a call. `signed` tells by origin how much of each feed is signed."""
    own, proposals = [], {}
    for step in view.steps:
        if step.home == view.sequencer:
            own.append(step)
        else:
            proposals[step.origin, step.index] = step
    own.sort(key=lambda step: (parse_origin(step.origin).epoch, step.index))
    turns: list[Turn] = []
    missing = set(view.missing_numbers)
    expected = 1
    for step in own:
        number = step.step.number
        gap = tuple(n for n in range(expected, number) if n in missing)
        expected = max(expected, number + 1)
        ref = step.step.took.ref
        proposal = proposals.pop((ref.origin, ref.index), None)
        if proposal is None:
            turns.append(_turn(view, step, signed, missing=gap))
        else:
            turns.append(_turn(view, proposal, signed, took=step, missing=gap))
    later = sorted(proposals.values(), key=lambda step: (step.origin, step.index))
    for step in later:
        turn = _turn(view, step, signed)
        turns.insert(_place(turns, turn) if turn.kind == INTERNAL_NOTE else len(turns), turn)
    return tuple(turns)


def _place(turns: Sequence[Turn], note: Turn) -> int:
    """Where another node's note to itself stands: behind what that feed said before it."""
    own = note.marks[0]
    before = [
        at
        for at, turn in enumerate(turns)
        if (turn.marks[0].code, turn.marks[0].epoch) == (own.code, own.epoch)
        and turn.marks[0].index < own.index
    ]
    return before[-1] + 1 if before else 0


def newest_move(turns: Iterable[Turn]) -> Turn | None:
    """The newest step that moved the call: who was first, where somebody comes too late."""
    moved = [turn for turn in turns if turn.number or turn.taken_number]
    return next((turn for turn in reversed(moved) if turn.kind not in _ASIDE), None)


def _turn(
    view: api_pb2.CallView,
    step: api_pb2.CallStepView,
    signed: Mapping[str, int],
    *,
    took: api_pb2.CallStepView | None = None,
    missing: tuple[int, ...] = (),
) -> Turn:
    message = step.step
    kind = message.WhichOneof("step") or (INTERNAL_NOTE if message.call else _RAISE)
    content: Any = getattr(message, kind, None) if kind not in (_RAISE, INTERNAL_NOTE) else None
    clocks = clock_lines(message) if took is None else clock_lines(took.step)
    entries = [step] if took is None else [step, took]
    return Turn(
        kind=kind,
        side=_side(view, step, kind, content),
        home=step.home,
        department="" if kind in ("dispatch", "ruling", "card") else _department(content),
        actor=view.content.actor if kind == _RAISE else message.actor,
        time_micros=step.time_micros,
        number=message.number,
        lines=tuple(_raise_lines(view.content) if kind == _RAISE else told(message)),
        clocks=tuple(clocks),
        attachments=tuple(
            view.content.attachments if kind == _RAISE else getattr(content, "attachments", ())
        ),
        marks=tuple(_mark(each, signed) for each in entries),
        pending=step.pending,
        void=step.void,
        void_reason=step.void_reason,
        received_micros=took.time_micros if took is not None else 0,
        taken_number=took.step.number if took is not None else 0,
        missing=missing,
    )


def _side(view: api_pb2.CallView, step: api_pb2.CallStepView, kind: str, content: Any) -> str:
    if step.home != view.sequencer:
        return "caller"
    if kind == INTERNAL_NOTE:
        return "office"
    if kind in ("timeout", "outage", "took"):
        return "time"
    if kind in _DEPARTMENTS or (kind == "note" and content.department):
        return "department"
    return "centre"


def _department(content: Any) -> str:
    return str(getattr(content, "department", ""))


def _raise_lines(call: calls_pb2.Call) -> list[Line]:
    lines = [
        Line("请求的紧急程度", "urgency asked for", call.urgency, "word:urgency"),
        Line("审签", "approved by", call.approved_by),
    ]
    return [line for line in lines if line.value]


def _mark(step: api_pb2.CallStepView, signed: Mapping[str, int]) -> Mark:
    parsed = parse_origin(step.origin)
    return Mark(
        entry_key(step.origin, step.index),
        parsed.code,
        parsed.epoch,
        step.index,
        step.index < signed.get(step.origin, 0),
    )
