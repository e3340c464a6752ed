"""Lives of calls to fill a database with: played once through the real rules, then copied.

Each life is a script of what people do and how long they take. It is played from a working hour of
a week without a holiday, with the shipped policy and calendar: every clock is printed, every
timeout written when it is due, as the sequencer does. A copy is moved by whole weeks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from huying.common.calls import SequencedStep
from huying.common.calls.call_clock import Rules, clock_marks, terms_of
from huying.common.calls.call_state import ClockStatus
from huying.common.calls.call_turns import Turn
from huying.common.policies import shipped_calendar, shipped_policy
from huying.node.store.call_fold import FoldedCall, folded_columns
from huying.wire.v1 import calls_pb2

__all__ = ["BASE_MICROS", "LEAD", "NEXT", "Life", "Step", "lives"]

LEAD, NEXT = "第一局", "第二局"  # whoever they are in a copy
# A Monday.
BASE_MICROS: Final = (
    int(datetime(2026, 3, 2, tzinfo=timezone(timedelta(hours=8))).timestamp()) * 10**6
)
VARIANTS: Final = 24  # of each script
HOUR: Final = 3600 * 10**6

_RESOLVED: Final = ("took", {"confirm": {"resolved": True, "satisfaction": 5}})
_UNRESOLVED: Final = ("took", {"confirm": {"resolved": False, "satisfaction": 2}})
_BEGIN: Final = (("dispatch", 2), ("accept", 2))
_ANSWERED: Final = (("accept", 2), ("answer", 40), (_RESOLVED, 30))

# (share in percent, what happens: the step and the hours after the one before, at most).
_SCRIPTS: Final[tuple[tuple[int, tuple[tuple[Any, int], ...]], ...]] = (
    (45, (*_BEGIN, ("note", 10), ("answer", 40), (_RESOLVED, 30))),
    (12, (*_BEGIN, ("note", 20), ("reply", 10), ("answer", 40))),  # closed in silence
    (10, (*_BEGIN, ("supplement_request", 8), ("supplement", 30), ("answer", 30), (_RESOLVED, 20))),
    (10, (*_BEGIN, ("urge", 100), ("answer", 260), (_RESOLVED, 20))),  # late, with its cards
    (
        6,
        (("dispatch", 2), ("objection", 3), ("ruling", 5), ("next", 3), *_ANSWERED),
    ),
    (8, (*_BEGIN, ("answer", 60), (_UNRESOLVED, 30), ("answer", 60), (_RESOLVED, 30))),
    (
        2,
        (*_BEGIN, ("answer", 40), (_RESOLVED, 20), ("reopen", 200), ("answer", 60), (_RESOLVED, 9)),
    ),
    (3, (("decline", 3),)),
    (2, (*_BEGIN, ("withdraw", 20))),
    (2, (("dispatch", 2), ("merge", 3))),
)
_PROPOSED: Final = {
    "supplement": {"text": "在村东头第三排,水表井旁"},
    "reopen": {"reason": "又发生了"},
    "withdraw": {"reason": "已自行解决"},
}
_TEXT: Final = "已到现场查看,原因是管道老化破裂,已更换并试压,现恢复正常。"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a life, as it stands at its place in the script."""

    after_micros: int  # since the call was received
    message: calls_pb2.CallStep
    proposed: bool  # of a took: the town wrote it, too
    columns: dict[str, str | int]  # of `calls`, once this step is the last
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Life:
    """One call from its receipt to its end."""

    share: float
    start_micros: int
    steps: tuple[Step, ...]


def lives(seed: int) -> list[Life]:
    """Every variant of every script; the same for the same seed."""
    chance = random.Random(seed)
    return [
        Life(share / VARIANTS, start, tuple(_play(chance, script, start)))
        for share, script in _SCRIPTS
        for start in (_some_start(chance) for _ in range(VARIANTS))
    ]


def _some_start(chance: random.Random) -> int:
    day, minute = chance.randrange(5), chance.randrange(8 * 60 + 30, 17 * 60)
    return BASE_MICROS + (day * 24 * 60 + minute) * 60 * 10**6


class _Player:
    """The sequencer's part: numbers and clocks."""

    def __init__(self) -> None:
        self.folded = FoldedCall()
        self.rules = Rules(shipped_policy(), shipped_calendar())
        self.received = 0

    def print(self, message: calls_pb2.CallStep, now: int) -> None:
        state = self.folded.state
        message.number = state.step_count + 1
        marks = clock_marks(
            state, message, self.rules, received_micros=self.received, now_micros=now
        )
        message.clocks.extend(marks)
        if message.HasField("dispatch"):
            message.dispatch.deadline_micros = marks[-1].due_micros
        self.received = self.received or now
        self.folded.add(SequencedStep(message.number, message), now)

    def due(self, until: int) -> tuple[int, calls_pb2.CallStep] | None:
        """The timeout that comes first, if one does by then."""
        running = [
            (clock.due_micros, clock.kind, clock.generation)
            for clock in self.folded.state.clocks
            if clock.status is ClockStatus.RUNNING and clock.due_micros <= until
        ]
        if not running:
            return None
        at, kind, generation = min(running)
        clock = calls_pb2.Clock.ValueType(int(kind))
        timeout = calls_pb2.Timeout(clock=clock, generation=generation)
        return at, calls_pb2.CallStep(timeout=timeout)


def _play(chance: random.Random, script: tuple[tuple[Any, int], ...], start: int) -> Iterator[Step]:
    player = _Player()
    raised = calls_pb2.Raise(terms=terms_of(shipped_policy()))
    taken = calls_pb2.Took(accepted=True)
    getattr(taken, "raise").CopyFrom(raised)
    plan = [(start, calls_pb2.CallStep(took=taken), False)]
    now = start
    for what, hours in script:
        now += chance.randrange(hours * HOUR // 3, hours * HOUR)
        plan.append((now, *_message(what)))
    for at, message, proposed in plan:
        while (out := player.due(at)) is not None:
            yield _step(player, start, *out, proposed=False)
        if _is_over(player, message):
            return
        yield _step(player, start, at, message, proposed=proposed)
    while (out := player.due(start + 365 * 24 * HOUR)) is not None:
        yield _step(player, start, *out, proposed=False)


def _is_over(player: _Player, message: calls_pb2.CallStep) -> bool:
    """Whether the script went on after the call had closed by itself, and does not reopen it."""
    state = player.folded.state
    return bool(state.step_count) and not state.is_open and not message.took.HasField("reopen")


def _step(
    player: _Player, start: int, at: int, message: calls_pb2.CallStep, *, proposed: bool
) -> Step:
    kind = message.WhichOneof("step") or ""
    if getattr(getattr(message, kind), "department", None) == "":
        getattr(message, kind).department = player.folded.state.department
    elif kind == "took":
        # Any place, but each its own; a copy names its own proposal's.
        message.took.ref.index = at
    player.print(message, at)
    folded = player.folded
    return Step(at - start, message, proposed, folded_columns(folded), folded.turns)


def _message(what: Any) -> tuple[calls_pb2.CallStep, bool]:
    """The step of a script, and whether the town proposes it."""
    if isinstance(what, tuple):
        return calls_pb2.CallStep(took=calls_pb2.Took(accepted=True, **what[1])), True
    if what in _PROPOSED:
        return calls_pb2.CallStep(took={"accepted": True, what: _PROPOSED[what]}), True  # type: ignore[arg-type]
    own: dict[str, Any] = {
        "dispatch": {"dispatch": {"department": LEAD, "co_handlers": [NEXT]}},
        "next": {"dispatch": {"department": NEXT}},
        "objection": {"objection": {"department": LEAD, "reason": "不属本局职责"}},
        "ruling": {"ruling": {"upheld": True, "reason": "属第二局"}},
        "reply": {"reply": {"department": NEXT, "text": "已配合"}},
        "decline": {"decline": {"reason": calls_pb2.DECLINE_REASON_DUPLICATE, "text": "重复"}},
        "merge": {"merge": {"into": bytes(16), "into_caller": "370830100000", "reason": "同一事"}},
        "urge": {"urge": {"reason": "请尽快"}},
    }
    if what in own:
        return calls_pb2.CallStep(**own[what]), False
    texts = {} if what == "accept" else {"text": _TEXT}
    made: dict[str, Any] = {what: {"department": "", **texts}}
    return calls_pb2.CallStep(**made), False
