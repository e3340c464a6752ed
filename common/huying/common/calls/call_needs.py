"""What a step of a call needs beyond its stage: of the state, and of what it says.

Of a step of the sequencer's own each function returns what is wrong, for a person to read, or
nothing; of a proposal, whether its window closed before, or why it is void. `call_rules` says which
step needs what.
"""

from __future__ import annotations

from typing import Any

from huying.common.calls.call_marks import is_running
from huying.common.calls.call_state import CallStage, CallState, ClockKind, ClockStatus
from huying.common.calls.call_state import VoidReason as Void
from huying.common.limits import RECORD_ID_BYTES, SELECTORS_MAX
from huying.wire.v1 import calls_pb2

__all__ = [
    "always",
    "any_content",
    "clock_runs",
    "confirm_is_late",
    "counts",
    "good_card",
    "good_closure",
    "good_decline",
    "good_dispatch",
    "good_merge",
    "good_outage",
    "good_party",
    "good_ruling",
    "good_supervision",
    "has_department",
    "has_room",
    "is_awaited",
    "is_newcomer",
    "may_ask_extension",
    "may_ask_supplement",
    "may_decide_extension",
    "may_object",
    "may_reopen",
    "may_resume",
    "never_late",
    "not_breached",
    "rating_is_late",
    "reopening_is_late",
    "supplement_is_late",
]


def always(_state: CallState) -> str:
    """Nothing beyond its stage."""
    return ""


def any_content(_state: CallState, _step: calls_pb2.CallStep) -> str:
    """Nothing that the field rules do not ask."""
    return ""


def _expired(state: CallState, kind: ClockKind) -> bool:
    clock = state.clock(kind)
    return clock is not None and clock.status is ClockStatus.EXPIRED


def _runs(state: CallState, kind: ClockKind) -> bool:
    clock = state.clock(kind)
    return clock is not None and clock.status is ClockStatus.RUNNING


# --- of the state, for a step of the sequencer's own -------------------------------------------


def may_object(state: CallState) -> str:
    """Once a department, while its clock runs, and never after a ruling."""
    if state.assigned:
        return "the department was assigned by a ruling, and may not return the call"
    if _expired(state, ClockKind.ACCEPT):
        return "the time to accept or object is over; accept, or answer"
    if state.department in state.objected:
        return f"{state.department} objected once already"
    if len(state.objected) >= state.terms.objections_max:
        return f"the call was objected to {len(state.objected)} times, as often as its terms allow"
    return ""


def may_ask_supplement(state: CallState) -> str:
    """One supplement at a time."""
    return "a supplement is awaited already; resume first" if state.awaiting_supplement else ""


def may_resume(state: CallState) -> str:
    """Somebody must be waited for."""
    return "" if state.awaiting_supplement else "no supplement is awaited"


def may_ask_extension(state: CallState) -> str:
    """One at a time, as often as the terms allow, before the breach."""
    if state.extension_asked:
        return "an extension was asked for already; the centre decides"
    if state.extensions >= state.terms.extensions_max:
        return f"{state.extensions} extensions were granted, as many as the call's terms allow"
    if _expired(state, ClockKind.ANSWER):
        return "the answer clock has run out; answer"
    return ""


def may_decide_extension(state: CallState) -> str:
    """Somebody must have asked."""
    return "" if state.extension_asked else "no extension was asked for"


def has_department(state: CallState) -> str:
    """The call must have been dispatched."""
    return "" if state.department else "no department has the call"


def has_room(state: CallState) -> str:
    """Every step names all parties in its selectors, and these are few."""
    if len(state.parties) < SELECTORS_MAX:
        return ""
    return f"the call has {SELECTORS_MAX} parties, and no room for more"


# --- of what such a step says --------------------------------------------------------------------


def good_decline(_state: CallState, step: calls_pb2.CallStep) -> str:
    """A reason of the list."""
    return _known("decline.reason", step.decline.reason, calls_pb2.DeclineReason)


def _known(field: str, value: int, names: Any) -> str:
    known = [name for name, number in names.items() if number]
    return "" if value and value in names.values() else f"{field}: one of {', '.join(known)}"


def good_dispatch(state: CallState, step: calls_pb2.CallStep) -> str:
    """A lead, its co-handlers, and whose duty it is where the terms ask for it."""
    dispatch = step.dispatch
    if not dispatch.department:
        return "dispatch.department: name the lead department"
    named = [dispatch.department, *dispatch.co_handlers]
    if len(set(named)) < len(named) or not all(named):
        return "dispatch.co_handlers: each once, and not the lead"
    if state.terms.item_required and not (dispatch.duty_item or state.off_list):
        return "dispatch.duty_item: cite an item of the duty list, or have it approved by off_list"
    return ""


def good_ruling(_state: CallState, step: calls_pb2.CallStep) -> str:
    """Upheld, or the department that it assigns."""
    if step.ruling.upheld == bool(step.ruling.department):
        return "ruling.department: name it where the objection is not upheld, and only there"
    return ""


def not_breached(state: CallState, step: calls_pb2.CallStep) -> str:
    """A breach is decided once, so nothing is granted after it."""
    if step.extension_decision.granted and _expired(state, ClockKind.ANSWER):
        return "extension_decision.granted: the answer clock has run out; refuse it"
    return ""


def good_closure(state: CallState, step: calls_pb2.CallStep) -> str:
    """The reason that fits the stage; silence is for the clock to say."""
    reasons = calls_pb2.ClosureReason
    fitting = (
        calls_pb2.CLOSURE_REASON_CONFIRMED
        if state.stage is CallStage.CONFIRMED
        else calls_pb2.CLOSURE_REASON_EXHAUSTED
    )
    if step.closure.reason == fitting:
        return ""
    return f"closure.reason: {reasons.Name(fitting)} while the call is {state.stage.name}"


def good_merge(_state: CallState, step: calls_pb2.CallStep) -> str:
    """The call that this one goes on in."""
    merge = step.merge
    if len(merge.into) != RECORD_ID_BYTES or not merge.into_caller:
        return f"merge.into: the other call's id of {RECORD_ID_BYTES} bytes, and its caller"
    if (merge.into_caller, merge.into) == (step.caller, step.call):
        return "merge.into: another call than this one"
    return ""


def is_newcomer(state: CallState, step: calls_pb2.CallStep) -> str:
    """Nobody joins twice."""
    code = step.party.code
    return f"party.code: {code} takes part already" if code in state.parties else ""


def good_party(_state: CallState, step: calls_pb2.CallStep) -> str:
    """A node, and what it is to do."""
    if not step.party.code:
        return "party.code: missing; it is required"
    return _known("party.role", step.party.role, calls_pb2.PartyRole)


def good_supervision(_state: CallState, step: calls_pb2.CallStep) -> str:
    """One of three levels."""
    level = step.supervise.supervision_level
    return _known("supervise.supervision_level", level, calls_pb2.SupervisionLevel)


def good_card(_state: CallState, step: calls_pb2.CallStep) -> str:
    """Yellow or red."""
    return _known("card.colour", step.card.colour, calls_pb2.CardColour)


def clock_runs(state: CallState, step: calls_pb2.CallStep) -> str:
    """Just a running clock runs out, and once in a generation."""
    timeout = step.timeout
    if is_running(state.clocks, timeout.clock, timeout.generation):
        return ""
    return f"timeout.clock: clock {timeout.clock} does not run in generation {timeout.generation}"


def good_outage(_state: CallState, step: calls_pb2.CallStep) -> str:
    """A stretch of time."""
    if step.outage.from_micros < step.outage.until_micros:
        return ""
    return "outage.until_micros: later than from_micros"


# --- of the state, for a proposal ----------------------------------------------------------------


def never_late(_state: CallState) -> bool:
    """There is no window."""
    return False


def counts(_state: CallState) -> Void:
    """Nothing beyond its stage."""
    return Void.NONE


def confirm_is_late(state: CallState) -> bool:
    """Silence closed the call."""
    return state.stage is CallStage.CLOSED and _expired(state, ClockKind.CONFIRM)


def supplement_is_late(state: CallState) -> bool:
    """The department went on without it."""
    return not state.awaiting_supplement and _expired(state, ClockKind.SUPPLEMENT)


def is_awaited(state: CallState) -> Void:
    """The department must have asked."""
    return Void.NONE if state.awaiting_supplement else Void.WRONG_STAGE


def reopening_is_late(state: CallState) -> bool:
    """The window closed."""
    return _expired(state, ClockKind.REOPEN)


def rating_is_late(state: CallState) -> bool:
    """A call that can be reopened no more is rated no more."""
    return state.stage is CallStage.CLOSED and _expired(state, ClockKind.REOPEN)


def may_reopen(state: CallState) -> Void:
    """While its window is open, and as often as the terms allow."""
    if not _runs(state, ClockKind.REOPEN):
        return Void.WRONG_STAGE
    return Void.NONE if state.reopens < state.terms.reopens_max else Void.TOO_OFTEN
