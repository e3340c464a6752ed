"""What each step of a call changes, where it counts (`huying.common.calls.call_rules` says where).

A move is a function of the state before, the step, and the place where it stands; it returns the
fields of `CallState` that change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from huying.common.calls.call_marks import expired
from huying.common.calls.call_state import (
    ENDED_STAGES,
    CallStage,
    CallState,
    CallTerms,
    ClockKind,
    Place,
)
from huying.common.limits import SATISFACTION_STARS_MAX
from huying.wire.v1 import calls_pb2

__all__ = ["Changes", "own_changes", "proposal_changes"]

Changes = dict[str, Any]  # field of CallState -> its new value
_Move = Callable[[CallState, Any, Place], Changes]

# Whatever was under way when the answer, the next department or the end came.
_SETTLED: Final[Mapping[str, bool]] = {"awaiting_supplement": False, "extension_asked": False}


def own_changes(state: CallState, step: calls_pb2.CallStep, place: Place) -> Changes:
    """What a step of the sequencer's own changes, one that `refusal_of` lets pass."""
    kind = step.WhichOneof("step")
    assert kind is not None
    return _OWN[kind](state, getattr(step, kind), place)


def proposal_changes(state: CallState, step: calls_pb2.CallStep, place: Place) -> Changes:
    """What an accepted took changes, of a proposal that `void_reason_of` lets pass."""
    kind = step.took.WhichOneof("proposal")
    assert kind is not None
    changes = _PROPOSED[kind](state, getattr(step.took, kind), place)
    if not state.caller:
        changes["caller"] = step.caller
    return changes


# --- the centre --------------------------------------------------------------------------------


def _admit(_state: CallState, _body: calls_pb2.Admit, place: Place) -> Changes:
    return {"stage": CallStage.ADMITTED, "admitted_at": place}


def _decline(state: CallState, _body: calls_pb2.Decline, place: Place) -> Changes:
    return _end(state, CallStage.DECLINED, place)


def _end(state: CallState, stage: CallStage, place: Place) -> Changes:
    """The call ends, or an end is followed by another."""
    ended_at = state.ended_at if state.stage in ENDED_STAGES else place
    return {"stage": stage, "ended_at": ended_at, **_SETTLED}


def _off_list(_state: CallState, _body: calls_pb2.OffList, _place: Place) -> Changes:
    return {"off_list": True}


def _dispatch(state: CallState, body: calls_pb2.Dispatch, place: Place) -> Changes:
    changes: Changes = {
        **_handed_over(body.department, place),
        "co_handlers": tuple(body.co_handlers),
        "duty_item": body.duty_item,
        "deadline_micros": body.deadline_micros,
        # Whom a ruling bound stays bound; another department is not.
        "assigned": state.assigned and body.department == state.department,
        "admitted_at": state.admitted_at or place,
    }
    if body.urgency:
        changes["urgency"] = int(body.urgency)
    return changes


def _handed_over(department: str, place: Place) -> Changes:
    return {
        "stage": CallStage.DISPATCHED,
        "department": department,
        "replied": (),
        "dispatched_at": place,
        "accepted_at": None,
        **_SETTLED,
    }


def _ruling(state: CallState, body: calls_pb2.Ruling, place: Place) -> Changes:
    if body.upheld:
        return {"stage": CallStage.ADMITTED, "department": "", "co_handlers": ()}
    co_handlers = tuple(one for one in state.co_handlers if one != body.department)
    return {
        **_handed_over(body.department, place),
        "co_handlers": co_handlers,
        "assigned": True,
    }


def _extension_decision(
    state: CallState, body: calls_pb2.ExtensionDecision, _place: Place
) -> Changes:
    return {"extension_asked": False, "extensions": state.extensions + body.granted}


def _review(state: CallState, body: calls_pb2.Review, place: Place) -> Changes:
    if body.sent:
        return _sent(state, place)
    return {"stage": CallStage.HANDLING, "reworks": state.reworks + 1}


def _sent(state: CallState, place: Place) -> Changes:
    """The answer is the caller's now; what was said of an earlier one speaks of that."""
    return {
        "stage": CallStage.ANSWERED,
        "answered_at": place,
        "first_answered_at": state.first_answered_at or place,
        "confirmed_at": None,
        "resolved": None,
        "satisfaction": 0,
        "response": 0,
        "manner": 0,
    }


def _closure(state: CallState, _body: calls_pb2.Closure, place: Place) -> Changes:
    return _end(state, CallStage.CLOSED, place)


def _merge(state: CallState, body: calls_pb2.Merge, place: Place) -> Changes:
    merged_into = (body.into_caller, body.into)
    return {**_end(state, CallStage.MERGED, place), "merged_into": merged_into}


def _party(state: CallState, body: calls_pb2.Party, _place: Place) -> Changes:
    return {"joined": (*state.joined, body.code)}


def _urge(state: CallState, _body: calls_pb2.Urge, _place: Place) -> Changes:
    return {"urges": state.urges + 1}


def _supervise(state: CallState, body: calls_pb2.Supervise, _place: Place) -> Changes:
    return {"supervision": max(state.supervision, int(body.supervision_level))}


def _card(state: CallState, body: calls_pb2.Card, _place: Place) -> Changes:
    return {"card": max(state.card, int(body.colour))}


# --- the department ----------------------------------------------------------------------------


def _accept(_state: CallState, _body: calls_pb2.Accept, place: Place) -> Changes:
    return {"stage": CallStage.HANDLING, "accepted_at": place}


def _objection(state: CallState, body: calls_pb2.Objection, _place: Place) -> Changes:
    return {"stage": CallStage.OBJECTED, "objected": (*state.objected, body.department)}


def _note(_state: CallState, _body: calls_pb2.Note, _place: Place) -> Changes:
    return {}


def _supplement_request(
    _state: CallState, _body: calls_pb2.SupplementRequest, _place: Place
) -> Changes:
    return {"awaiting_supplement": True}


def _resume(_state: CallState, _body: object, _place: Place) -> Changes:
    return {"awaiting_supplement": False}


def _reply(state: CallState, body: calls_pb2.Reply, _place: Place) -> Changes:
    return {"replied": tuple(dict.fromkeys((*state.replied, body.department)))}


def _extension_request(
    _state: CallState, _body: calls_pb2.ExtensionRequest, _place: Place
) -> Changes:
    return {"extension_asked": True}


def _answer(state: CallState, _body: calls_pb2.Answer, place: Place) -> Changes:
    """Whoever answers has accepted."""
    accepted = {"accepted_at": state.accepted_at or place, **_SETTLED}
    if state.terms.review_required:
        return {**accepted, "stage": CallStage.REVIEW}
    return {**accepted, **_sent(state, place)}


# --- time ----------------------------------------------------------------------------------------


def _timeout(state: CallState, body: calls_pb2.Timeout, place: Place) -> Changes:
    """A clock ran out, and with it what only that clock kept open."""
    changes: Changes = {"clocks": expired(state.clocks, body.clock)}
    clock = ClockKind(body.clock)
    if clock is ClockKind.SUPPLEMENT:
        changes["awaiting_supplement"] = False
    elif (clock is ClockKind.CONFIRM and state.stage is CallStage.ANSWERED) or (
        clock is ClockKind.REOPEN and state.stage is CallStage.CONFIRMED
    ):
        changes |= _end(state, CallStage.CLOSED, place)
    elif clock is ClockKind.YELLOW:
        changes["card"] = max(state.card, int(calls_pb2.CARD_COLOUR_YELLOW))
    elif clock is ClockKind.RED:
        changes["card"] = max(state.card, int(calls_pb2.CARD_COLOUR_RED))
    return changes


def _outage(_state: CallState, _body: calls_pb2.Outage, _place: Place) -> Changes:
    return {}


_OWN: Final[Mapping[str, _Move]] = {
    "admit": _admit,
    "decline": _decline,
    "off_list": _off_list,
    "dispatch": _dispatch,
    "accept": _accept,
    "objection": _objection,
    "ruling": _ruling,
    "note": _note,
    "supplement_request": _supplement_request,
    "resume": _resume,
    "reply": _reply,
    "extension_request": _extension_request,
    "extension_decision": _extension_decision,
    "answer": _answer,
    "review": _review,
    "closure": _closure,
    "merge": _merge,
    "party": _party,
    "urge": _urge,
    "supervise": _supervise,
    "card": _card,
    "timeout": _timeout,
    "outage": _outage,
}


# --- the caller ----------------------------------------------------------------------------------


def _raise(_state: CallState, body: calls_pb2.Raise, place: Place) -> Changes:
    changes: Changes = {
        "stage": CallStage.RECEIVED,
        "village": body.village,
        "urgency": int(body.urgency),
        "received_at": place,
    }
    if body.HasField("terms"):
        terms = body.terms
        changes["terms"] = CallTerms(
            policy_version=terms.policy_version,
            objections_max=terms.objections_max,
            extensions_max=terms.extensions_max,
            reopens_max=terms.reopens_max,
            review_required=terms.review_required,
            item_required=terms.item_required,
        )
    return changes


def _confirm(state: CallState, body: calls_pb2.Confirm, place: Place) -> Changes:
    changes: Changes = {
        "confirmed_at": place,
        "resolved": body.resolved,
        **_rated(body),
    }
    if body.resolved:
        return {**changes, **_end(state, CallStage.CONFIRMED, place)}
    return {**changes, "stage": CallStage.UNRESOLVED}


def _rated(body: calls_pb2.Confirm | calls_pb2.Rate) -> Changes:
    """What is not rated stays as it was; what is no rating rates nothing."""
    ratings = (("satisfaction", body.satisfaction), ("response", body.response))
    return {
        name: stars
        for name, stars in (*ratings, ("manner", body.manner))
        if 1 <= stars <= SATISFACTION_STARS_MAX
    }


def _rate(_state: CallState, body: calls_pb2.Rate, _place: Place) -> Changes:
    return _rated(body)


def _reopen(state: CallState, _body: calls_pb2.Reopen, _place: Place) -> Changes:
    changes: Changes = {"reopens": state.reopens + 1, "ended_at": None}
    if state.stage is CallStage.DECLINED:  # an appeal
        return {**changes, "stage": CallStage.RECEIVED, "admitted_at": None}
    return {**changes, "stage": CallStage.UNRESOLVED, "resolved": False}


def _withdraw(state: CallState, _body: calls_pb2.Withdraw, place: Place) -> Changes:
    return _end(state, CallStage.WITHDRAWN, place)


_PROPOSED: Final[Mapping[str, _Move]] = {
    "raise": _raise,
    "confirm": _confirm,
    "supplement": _resume,
    "rate": _rate,
    "reopen": _reopen,
    "withdraw": _withdraw,
    "urge": _urge,
}
