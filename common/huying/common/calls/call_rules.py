"""Who may take which step of a call, and when: the rules, as two tables.

One table is of the steps that the sequencer writes itself, for its centre, its departments and its
clocks; the other of what the caller proposes. The fold, the check before a step is written and the
judgement of a proposal all read them, so none of the three can differ. docs/CALLS.md shows them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from huying.common.calls import call_needs as needs
from huying.common.calls.call_state import ENDED_STAGES, CallStage, CallState
from huying.common.calls.call_state import VoidReason as Void
from huying.common.errors import Code
from huying.wire.v1 import calls_pb2

__all__ = [
    "OWN_STEPS",
    "PROPOSALS",
    "OwnStep",
    "ProposedStep",
    "Refusal",
    "Role",
    "allowed_steps",
    "refusal_of",
    "void_reason_of",
    "wrong_stage",
]


class Role(enum.StrEnum):
    """Who acts. Centre, department and timer are actors at the sequencer's node."""

    CENTRE = "centre"
    DEPARTMENT = "department"
    CALLER = "caller"
    TIMER = "timer"


class Refusal(NamedTuple):
    """Why a step of the sequencer's own does not count."""

    code: Code
    detail: str


class _By(enum.Enum):
    """Which department a step may name as its own."""

    NOBODY = "the step names none"
    LEAD = "the lead"
    CO_HANDLER = "a co-handler"
    HANDLER = "the lead, a co-handler, or none: then it is the centre's"
    NAMED = "the lead or a co-handler"


_Judge = Callable[[CallState, calls_pb2.CallStep], str]


@dataclass(frozen=True, slots=True)
class OwnStep:
    """One kind of step that the sequencer writes."""

    roles: tuple[Role, ...]
    stages: frozenset[CallStage]
    by: _By = _By.NOBODY
    # Why it can't be taken now; what came before and does not go with what it says; and what is
    # wrong with what it says, whatever came before. Or "".
    barred: Callable[[CallState], str] = needs.always
    clash: _Judge = needs.any_content
    content: _Judge = needs.any_content


@dataclass(frozen=True, slots=True)
class ProposedStep:
    """One kind of step that the caller proposes."""

    stages: frozenset[CallStage]
    late: Callable[[CallState], bool]  # outside `stages` or not: its window closed before
    barred: Callable[[CallState], Void]  # in `stages`: why it does not count, or NONE


# --- stages ----------------------------------------------------------------------------------

_S = CallStage
_EVERY: Final = frozenset(CallStage)
_OPEN: Final = _EVERY - ENDED_STAGES
_RECEIVED_AND_OPEN: Final = _OPEN - {_S.RAISED}
_AT_WORK: Final = frozenset({_S.HANDLING, _S.UNRESOLVED})
_UNASSIGNED: Final = frozenset({_S.RECEIVED, _S.ADMITTED})
_BEFORE_REVIEW: Final = _AT_WORK | _UNASSIGNED | {_S.DISPATCHED, _S.OBJECTED}

_CENTRE: Final = (Role.CENTRE,)
_DEPARTMENT: Final = (Role.DEPARTMENT,)
_TIMER: Final = (Role.TIMER,)

# By the step's name on the wire, in the order of a call's life.
OWN_STEPS: Final[Mapping[str, OwnStep]] = MappingProxyType(
    {
        "admit": OwnStep(_CENTRE, frozenset({_S.RECEIVED})),
        "decline": OwnStep(_CENTRE, _UNASSIGNED, content=needs.good_decline),
        # Where a call comes back unresolved, the next department may be off the list, too.
        "off_list": OwnStep(_CENTRE, _UNASSIGNED | {_S.UNRESOLVED}),
        "dispatch": OwnStep(_CENTRE, _UNASSIGNED | {_S.UNRESOLVED}, content=needs.good_dispatch),
        "accept": OwnStep(_DEPARTMENT, frozenset({_S.DISPATCHED}), _By.LEAD),
        "objection": OwnStep(_DEPARTMENT, frozenset({_S.DISPATCHED}), _By.LEAD, needs.may_object),
        "ruling": OwnStep(_CENTRE, frozenset({_S.OBJECTED}), content=needs.good_ruling),
        "note": OwnStep((Role.CENTRE, Role.DEPARTMENT), _RECEIVED_AND_OPEN, _By.HANDLER),
        "supplement_request": OwnStep(_DEPARTMENT, _AT_WORK, _By.LEAD, needs.may_ask_supplement),
        "resume": OwnStep(_DEPARTMENT, _AT_WORK, _By.LEAD, needs.may_resume),
        "reply": OwnStep(_DEPARTMENT, _AT_WORK, _By.CO_HANDLER),
        "extension_request": OwnStep(_DEPARTMENT, _AT_WORK, _By.LEAD, needs.may_ask_extension),
        "extension_decision": OwnStep(
            _CENTRE, _AT_WORK, barred=needs.may_decide_extension, clash=needs.not_breached
        ),
        "answer": OwnStep(_DEPARTMENT, _AT_WORK | {_S.DISPATCHED}, _By.LEAD),
        "review": OwnStep(_CENTRE, frozenset({_S.REVIEW})),
        "closure": OwnStep(
            _CENTRE, frozenset({_S.CONFIRMED, _S.UNRESOLVED}), clash=needs.good_closure
        ),
        "merge": OwnStep(_CENTRE, _BEFORE_REVIEW, content=needs.good_merge),
        "party": OwnStep(
            _CENTRE,
            _RECEIVED_AND_OPEN,
            barred=needs.has_room,
            clash=needs.is_newcomer,
            content=needs.good_party,
        ),
        "urge": OwnStep(_CENTRE, _RECEIVED_AND_OPEN),
        "supervise": OwnStep(_CENTRE, _RECEIVED_AND_OPEN, content=needs.good_supervision),
        "card": OwnStep(
            _CENTRE,
            _RECEIVED_AND_OPEN,
            _By.NAMED,
            barred=needs.has_department,
            content=needs.good_card,
        ),
        # A window of a call that has ended may still be open.
        "timeout": OwnStep(_TIMER, _EVERY - {_S.RAISED}, clash=needs.clock_runs),
        "outage": OwnStep(_TIMER, _EVERY - {_S.RAISED}, content=needs.good_outage),
    }
)

PROPOSALS: Final[Mapping[str, ProposedStep]] = MappingProxyType(
    {
        "raise": ProposedStep(frozenset({_S.RAISED}), needs.never_late, needs.counts),
        "confirm": ProposedStep(frozenset({_S.ANSWERED}), needs.confirm_is_late, needs.counts),
        "supplement": ProposedStep(_AT_WORK, needs.supplement_is_late, needs.is_awaited),
        "rate": ProposedStep(
            frozenset({_S.ANSWERED, _S.UNRESOLVED, _S.CONFIRMED, _S.CLOSED}),
            needs.rating_is_late,
            needs.counts,
        ),
        "reopen": ProposedStep(
            frozenset({_S.CONFIRMED, _S.CLOSED, _S.DECLINED}),
            needs.reopening_is_late,
            needs.may_reopen,
        ),
        "withdraw": ProposedStep(_OPEN, needs.never_late, needs.counts),
        "urge": ProposedStep(_RECEIVED_AND_OPEN, needs.never_late, needs.counts),
    }
)


# --- the answers -------------------------------------------------------------------------------


def void_reason_of(state: CallState, kind: str) -> Void:
    """Why a proposal of that kind by the caller does not count now, or NONE."""
    rule = PROPOSALS.get(kind)
    if rule is None:
        return Void.MALFORMED
    if rule.late(state):
        return Void.TOO_LATE
    return rule.barred(state) if state.stage in rule.stages else Void.WRONG_STAGE


def refusal_of(state: CallState, step: calls_pb2.CallStep) -> Refusal | None:
    """Why a step of the sequencer's own does not count in this state; None where it does.

    Codes: WRONG_STAGE naming the stage and what is allowed, NOT_A_PARTY for another department's
    step, INVALID_ARGUMENT for content and for a kind that is not the sequencer's to write.
    """
    kind = step.WhichOneof("step") or ""
    rule = OWN_STEPS.get(kind)
    if rule is None:
        known = ", ".join(OWN_STEPS)
        return Refusal(Code.INVALID_ARGUMENT, f"step: the answering node writes one of {known}")
    if state.stage not in rule.stages:
        return Refusal(Code.WRONG_STAGE, f"{kind}: {wrong_stage(state)}")
    if why := rule.barred(state):
        return Refusal(Code.WRONG_STAGE, f"{kind}: {why}")
    if rule.by is not _By.NOBODY and (who := _wrong_department(state, kind, rule.by, step)):
        return Refusal(Code.NOT_A_PARTY, who)
    if why := rule.clash(state, step):
        return Refusal(Code.WRONG_STAGE, why)
    if wrong := rule.content(state, step):
        return Refusal(Code.INVALID_ARGUMENT, wrong)
    return None


def _wrong_department(state: CallState, kind: str, by: _By, step: calls_pb2.CallStep) -> str:
    """Whom the step should name as its department, or ""."""
    department = getattr(step, kind).department
    field = f"{kind}.department"
    if by is _By.LEAD:
        if department == state.department:
            return ""
        return f"{field}: {state.department} leads this call (主办), and takes this step"
    co_handlers = ", ".join(state.co_handlers) or "none"
    if by is _By.CO_HANDLER:
        if department in state.co_handlers:
            return ""
        return f"{field}: a co-handler (协办) of this call takes this step: {co_handlers}"
    if department in (state.department, *state.co_handlers) and department:
        return ""
    if by is _By.HANDLER and not department:
        return ""
    return f"{field}: the lead ({state.department or 'none'}) or a co-handler ({co_handlers})"


def allowed_steps(state: CallState, role: str) -> tuple[str, ...]:
    """The names of the steps that `role` may take now, in the order of a call's life.

    `role` is one of `Role`. What a step says may still be refused, and so may a department that is
    not the one concerned.
    """
    if role == Role.CALLER:
        return tuple(kind for kind in PROPOSALS if void_reason_of(state, kind) is Void.NONE)
    return tuple(
        kind
        for kind, rule in OWN_STEPS.items()
        if role in rule.roles and state.stage in rule.stages and not rule.barred(state)
    )


def wrong_stage(state: CallState) -> str:
    """What to say of a step that does not fit the stage: the stage, and who may do what."""
    turns = (
        f"{role}: {', '.join(allowed_steps(state, role)) or 'nothing'}"
        for role in (Role.CENTRE, Role.DEPARTMENT, Role.CALLER)
    )
    return f"not allowed while the call is {state.stage.name}; allowed now: {'; '.join(turns)}"
