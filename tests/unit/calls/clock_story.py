"""A call that lives through a few steps at given times, and what its clocks say then.

The marks are reckoned as the sequencer does, printed in the step, and folded.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from huying.common.calls import SequencedStep, advance
from huying.common.calls.call_clock import Rules, clock_marks, is_due, step_name, terms_of
from huying.common.calls.call_state import CallState, ClockKind, ClockState, ClockStatus
from huying.common.policies import shipped_calendar, shipped_policy
from huying.common.working_time import HOUR_MICROS
from huying.wire.v1 import calls_pb2, policy_pb2

__all__ = [
    "CALL",
    "CHINA",
    "COUNTY",
    "EXPIRED",
    "PAUSED",
    "ROAD",
    "RUNNING",
    "STOPPED",
    "TOWN",
    "WATER",
    "Story",
    "at",
    "handling",
    "shown",
]

CHINA = timezone(timedelta(hours=8))
TOWN = "370830100000"
COUNTY = "370830000000"
CALL = bytes(range(16))
RUNNING, PAUSED = ClockStatus.RUNNING, ClockStatus.PAUSED
STOPPED, EXPIRED = ClockStatus.STOPPED, ClockStatus.EXPIRED
ROAD, WATER = "交通局", "水务局"


def at(text: str) -> int:
    """Unix microseconds of a local time of 2026, as 03-02 10:00."""
    return int(datetime.fromisoformat(f"2026-{text}").replace(tzinfo=CHINA).timestamp()) * 10**6


def shown(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).astimezone(CHINA).strftime("%m-%d %H:%M")


class Story:
    """One call at its sequencer; `policy` and `calendar` may be changed on the way."""

    def __init__(self, **changes: Any) -> None:
        self.policy = shipped_policy()
        for name, value in changes.items():
            setattr(self.policy, name, value)
        self.calendar = shipped_calendar()
        self.state = CallState()
        self.received = 0
        self.marks: tuple[calls_pb2.ClockMark, ...] = ()

    def do(self, when: str, **step: Any) -> Story:
        """One step of the sequencer, at a local time."""
        message = calls_pb2.CallStep(call=CALL, caller=TOWN, **step)
        now = at(when)
        rules = Rules(self.policy, self.calendar)
        message.number = self.state.step_count + 1
        self.marks = clock_marks(
            self.state, message, rules, received_micros=self.received, now_micros=now
        )
        message.clocks.extend(self.marks)
        before = self.state
        self.state = advance(before, SequencedStep(message.number, message))
        assert self.state.void_count == before.void_count, f"{step_name(message)} is out of place"
        return self

    def took(self, when: str, **proposal: Any) -> Story:
        """A proposal of the town that is accepted."""
        ref = calls_pb2.EntryRef(origin=TOWN, index=self.state.step_count)
        return self.do(when, took=calls_pb2.Took(ref=ref, accepted=True, **proposal))

    def receive(self, when: str, urgency: int = 0) -> Story:
        raised = calls_pb2.Raise(
            terms=terms_of(self.policy), urgency=policy_pb2.Urgency.ValueType(urgency)
        )
        self.took(when, **{"raise": raised})
        self.received = at(when)
        return self

    def dispatch(self, when: str, department: str = ROAD, **more: Any) -> Story:
        return self.do(when, dispatch=calls_pb2.Dispatch(department=department, **more))

    def accept(self, when: str) -> Story:
        return self.do(when, accept=calls_pb2.Accept(department=self.state.department))

    def ask(self, when: str) -> Story:
        request = calls_pb2.SupplementRequest(department=self.state.department, text="照片")
        return self.do(when, supplement_request=request)

    def answer(self, when: str) -> Story:
        return self.do(when, answer=calls_pb2.Answer(department=self.state.department, text="已修"))

    def confirm(self, when: str, *, resolved: bool) -> Story:
        return self.took(when, confirm=calls_pb2.Confirm(resolved=resolved))

    def run_out(self, when: str, kind: ClockKind) -> Story:
        """The timer's step; the clock must be due by then."""
        timeout = calls_pb2.Timeout(
            clock=calls_pb2.Clock.ValueType(kind), generation=self.clock(kind).generation
        )
        assert is_due(self.state, timeout, at(when)), f"{kind.name}: {self.says(kind)}"
        return self.do(when, timeout=timeout)

    def away(self, since: str, until: str) -> Story:
        outage = calls_pb2.Outage(from_micros=at(since), until_micros=at(until))
        return self.do(until, outage=outage)

    def clock(self, kind: ClockKind) -> ClockState:
        found = self.state.clock(kind)
        assert found is not None, f"{kind.name} never ran"
        return found

    def says(self, kind: ClockKind) -> str:
        """As "1 RUNNING 03-09 17:30", "1 PAUSED 7.5h", "never"."""
        clock = self.state.clock(kind)
        if clock is None:
            return "never"
        status = f"{clock.generation} {clock.status.name}"
        if clock.status is PAUSED:
            return f"{status} {clock.remaining_micros / HOUR_MICROS:g}h"
        return f"{status} {shown(clock.due_micros)}"


def handling(**changes: Any) -> Story:
    """Received on Monday March 2nd at 10:00, with the department from 15:00 on."""
    return Story(**changes).receive("03-02 10:00").dispatch("03-02 14:00").accept("03-02 15:00")
