"""The JSON document of a call: stable keys, for scripts, and what the screens are written from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huying.common.codes import parse_origin
from huying.node.cli.plain import enum_name, to_plain
from huying.wire.v1 import api_pb2, calls_pb2, policy_pb2

__all__ = ["call_document", "clock_document", "in_reading_order", "listed_document"]

_TIMES = (
    "received_micros",
    "admitted_micros",
    "dispatched_micros",
    "accepted_micros",
    "first_answered_micros",
    "answered_micros",
    "confirmed_micros",
    "ended_micros",
)
_FLAGS = ("off_list", "assigned", "awaiting_supplement", "extension_asked")
# What a list doesn't know: the fold of the steps says it, and a list reads none of them.
_FOLDED = frozenset(
    {
        *("turn", "allowed", "co_handlers", "replied", "objected", "parties", "duty_item"),
        *("clocks", "off_list", "assigned", "awaiting_supplement", "extension_asked"),
        *("extensions", "void_count", "step_count", "merged_into", "merged_caller", "terms"),
        *("missing_numbers", "event", "withheld", "steps"),
    }
)
_COUNTS = ("objections", "extensions", "reworks", "reopens", "urges", "void_count", "step_count")


def call_document(call: api_pb2.CallView, now_micros: int = 0) -> dict[str, Any]:
    """One call: its content, stage, clocks, times, and its steps where they were asked for.

    What has not happened is null. `now_micros` is the time that what is left of a clock is reckoned
    at, for display alone; 0 leaves it out.
    """
    village = call.content.village
    parties = dict.fromkeys(filter(None, (call.caller, village, *call.joined)))
    return {
        "call": call.call.hex(),
        "caller": call.caller,
        "sequencer": call.sequencer,
        "origin": call.origin,
        "index": call.index,
        "late": call.late,
        "stage": enum_name(api_pb2.CallStage.DESCRIPTOR, call.stage),
        "open": call.open,
        "turn": enum_name(api_pb2.CallRole.DESCRIPTOR, call.turn) if call.turn else None,
        "allowed": {
            str(enum_name(api_pb2.CallRole.DESCRIPTOR, each.role)): list(each.steps)
            for each in call.allowed
        },
        "department": call.department,
        "co_handlers": list(call.co_handlers),
        "replied": list(call.replied),
        "objected": list(call.objected),
        "parties": list(parties),
        "urgency": enum_name(policy_pb2.Urgency.DESCRIPTOR, call.urgency) if call.urgency else None,
        "duty_item": call.duty_item or None,
        "raised_micros": call.raised_micros,
        **{name: getattr(call, name) or None for name in _TIMES},
        "transit_micros": call.received_micros - call.raised_micros
        if call.received_micros
        else None,
        "deadline_micros": call.deadline_micros or None,
        "clock": clock_document(call, now_micros),
        "clocks": [_clock(each) for each in call.clocks],
        "overdue": call.overdue,
        "breached": [enum_name(calls_pb2.Clock.DESCRIPTOR, each) for each in call.breached],
        **{name: getattr(call, name) for name in (*_FLAGS, *_COUNTS)},
        "supervision": _enum(calls_pb2.SupervisionLevel.DESCRIPTOR, call.supervision),
        "card": _enum(calls_pb2.CardColour.DESCRIPTOR, call.card),
        "resolved": call.resolved if call.HasField("resolved") else None,
        "satisfaction": call.satisfaction or None,
        "response": call.response or None,
        "manner": call.manner or None,
        "merged_into": call.merged_into.hex() or None,
        "merged_caller": call.merged_caller or None,
        "terms": to_plain(call.terms),
        "missing_numbers": list(call.missing_numbers),
        "content": to_plain(call.content),
        "event": _event(call.event) if call.HasField("event") else None,
        "withheld": [*_withheld(call), *_withheld_event(call)],
        "steps": in_reading_order(
            {
                "sequencer": call.sequencer,
                "steps": [_step(step, call.content.actor) for step in call.steps],
            }
        ),
    }


def listed_document(call: api_pb2.CallView, now_micros: int = 0) -> dict[str, Any]:
    """One call of a list: the keys of `call_document` that a list knows, no empty ones beside."""
    document = call_document(call, now_micros)
    return {name: value for name, value in document.items() if name not in _FOLDED}


def clock_document(call: api_pb2.CallView, now_micros: int) -> dict[str, Any] | None:
    """The clock that matters now, or null: what it is, until when, and what is left of it."""
    if call.paused and call.due_clock in (0, calls_pb2.CLOCK_ANSWER):
        paused = [one for one in call.clocks if one.clock == calls_pb2.CLOCK_ANSWER]
        left = paused[0].remaining_micros if paused else 0
        return {
            "clock": "answer",
            "state": "paused",
            "due_micros": None,
            "remaining_micros": left or None,
        }
    if not call.due_clock:
        return None
    left = call.due_micros - now_micros
    return {
        "clock": enum_name(calls_pb2.Clock.DESCRIPTOR, call.due_clock),
        "state": "overdue" if call.overdue or (now_micros and left < 0) else "running",
        "due_micros": call.due_micros,
        "remaining_micros": left if now_micros else None,
    }


def _clock(clock: api_pb2.ClockView) -> dict[str, Any]:
    return {
        "clock": enum_name(calls_pb2.Clock.DESCRIPTOR, clock.clock),
        "generation": clock.generation,
        "state": enum_name(api_pb2.ClockStatus.DESCRIPTOR, clock.status),
        "due_micros": clock.due_micros or None,
        "remaining_micros": clock.remaining_micros or None,
        "breaches": clock.breaches,
    }


def _enum(enum: Any, number: int) -> str | int | None:
    return enum_name(enum, number) if number else None


def _event(event: api_pb2.RecordView) -> dict[str, Any]:
    from huying.node.cli.render import record_document

    return record_document(event)


def _withheld(call: api_pb2.CallView) -> Iterable[dict[str, Any]]:
    """What is not shown here of the call itself, and who may open it."""
    return _not_shown("call", call.caller, call.origin, call.index, call.slots)


def _withheld_event(call: api_pb2.CallView) -> Iterable[dict[str, Any]]:
    event = call.event
    return _not_shown("event", event.home, event.origin, event.index, event.slots)


def _not_shown(
    record: str, home: str, origin: str, index: int, slots: Iterable[api_pb2.Slot]
) -> Iterable[dict[str, Any]]:
    for slot in slots:
        if slot.fields and slot.state != api_pb2.SLOT_STATE_PRESENT:
            yield {
                "record": record,
                "state": enum_name(api_pb2.SlotState.DESCRIPTOR, slot.state),
                "home": home,
                "origin": origin,
                "index": index,
                "fields": list(slot.fields),
            }


def _step(step: api_pb2.CallStepView, raised_by: str) -> dict[str, Any]:
    kind = step.step.WhichOneof("step") or ("internal_note" if step.step.call else "raise")
    content = getattr(step.step, kind, None) if kind not in ("raise", "internal_note") else None
    return {
        "number": step.step.number or None,
        "step": kind,
        "home": step.home,
        "actor": (raised_by if kind == "raise" else step.step.actor) or None,
        "department": getattr(content, "department", "") or None,
        "time_micros": step.time_micros,
        "origin": step.origin,
        "index": step.index,
        "pending": step.pending,
        "void": step.void,
        "void_reason": enum_name(calls_pb2.VoidReason.DESCRIPTOR, step.void_reason)
        if step.void
        else None,
        "content": to_plain(step.step),
    }


def in_reading_order(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a call document as the answering node ordered them.

    What another node proposed stands before the step that took it, and what was not taken yet
    comes last: the order is that of the sequencer's feed, and no two clocks are compared.
    """
    steps: list[dict[str, Any]] = document["steps"]
    proposals = {
        (step["origin"], step["index"]): step
        for step in steps
        if parse_origin(step["origin"]).code != document["sequencer"]
    }
    own = [step for step in steps if (step["origin"], step["index"]) not in proposals]
    own.sort(key=lambda step: (parse_origin(step["origin"]).epoch, step["index"]))
    ordered: list[dict[str, Any]] = []
    for step in own:
        ref = step["content"].get("took", {}).get("ref", {})
        taken = proposals.pop((ref.get("origin", ""), ref.get("index", 0)), None)
        ordered += [step] if taken is None else [taken, step]
    return [*ordered, *proposals.values()]
