"""What a call's steps add up to: its stage, whose turn it is, its clocks, its counts.

Plain data. `huying.common.calls` folds a sequencer's entries into it; no field of it comes from a
timestamp of two machines, and times are as the sequencer printed them. docs/CALLS.md, "Fold".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = [
    "ENDED_STAGES",
    "CallStage",
    "CallState",
    "CallTerms",
    "ClockKind",
    "ClockState",
    "ClockStatus",
    "Place",
    "VoidReason",
]


class CallStage(enum.IntEnum):
    """Where a call stands; the numbers are those of the API's `CallStage`."""

    RAISED = 1  # 已呼叫: sent, not yet received
    RECEIVED = 2  # 已收到: the centre admits or declines
    DISPATCHED = 3  # 已派单: the department accepts or objects
    ANSWERED = 4  # 已答复: the caller confirms
    CONFIRMED = 5  # 已确认: resolved; may be reopened for a while
    UNRESOLVED = 6  # 未解决: back with the department
    ADMITTED = 7  # 已受理: to be dispatched
    OBJECTED = 8  # 已异议: the centre rules
    HANDLING = 9  # 办理中
    REVIEW = 10  # 待审核: answered, the centre reviews
    CLOSED = 11  # 已办结
    DECLINED = 12  # 不予受理
    WITHDRAWN = 13  # 已撤回
    MERGED = 14  # 已并案


# Nobody has anything to do any more, unless the call is reopened.
ENDED_STAGES: Final = frozenset(
    {
        CallStage.CONFIRMED,
        CallStage.CLOSED,
        CallStage.DECLINED,
        CallStage.WITHDRAWN,
        CallStage.MERGED,
    }
)


class VoidReason(enum.IntEnum):
    """Why a proposal does not count; the numbers are those of the wire's `VoidReason`."""

    NONE = 0
    WRONG_STAGE = 1
    NOT_A_PARTY = 2
    DUPLICATE = 3
    MALFORMED = 4
    TOO_LATE = 5
    NOT_APPROVED = 6
    TOO_OFTEN = 7


class ClockKind(enum.IntEnum):
    """The clocks of a call; the numbers are those of the wire's `Clock`."""

    ADMIT = 1
    ACCEPT = 2
    ANSWER = 3
    SUPPLEMENT = 4
    CONFIRM = 5
    REOPEN = 6
    YELLOW = 7
    RED = 8


class ClockStatus(enum.IntEnum):
    """What a clock does."""

    RUNNING = 1
    PAUSED = 2
    STOPPED = 3  # what it waited for was done
    EXPIRED = 4  # it ran out: a breach, or a window that closed


class Place(NamedTuple):
    """Where an entry of the sequencer stands: its indexes begin anew with every epoch."""

    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls


@dataclass(frozen=True, slots=True)
class ClockState:
    """One clock, in its newest generation, as the sequencer printed it."""

    kind: ClockKind
    generation: int  # from 1
    status: ClockStatus
    due_micros: int = 0  # running, expired: when it runs, or ran, out; stopped: as it was
    remaining_micros: int = 0  # paused: what is left, in the clock's own time
    breaches: int = 0  # how many of its generations ran out


@dataclass(frozen=True, slots=True)
class CallTerms:
    """What holds for the call, from the policy in force when it was received."""

    policy_version: int = 0
    objections_max: int = 1
    extensions_max: int = 1
    reopens_max: int = 1
    review_required: bool = False
    item_required: bool = False


@dataclass(frozen=True, slots=True)
class CallState:
    """What the sequencer's entries say so far. A place is that of the entry that made it so."""

    stage: CallStage = CallStage.RAISED
    caller: str = ""  # division code; empty until the call is received
    village: str = ""  # the village concerned, or empty
    joined: tuple[str, ...] = ()  # codes that `party` steps brought in, in order
    terms: CallTerms = CallTerms()
    urgency: int = 0  # policy_pb2.Urgency
    department: str = ""  # 主办; while an objection is open, still the first receiver
    co_handlers: tuple[str, ...] = ()  # 协办
    replied: tuple[str, ...] = ()  # co-handlers that replied since the last dispatch
    duty_item: str = ""  # as the dispatch cites it
    off_list: bool = False  # the centre's leader let it through
    assigned: bool = False  # by a ruling: the department may not return it
    objected: tuple[str, ...] = ()  # departments that objected, in order
    awaiting_supplement: bool = False
    extension_asked: bool = False
    extensions: int = 0  # granted
    reopens: int = 0
    reworks: int = 0
    urges: int = 0
    supervision: int = 0  # the highest calls_pb2.SupervisionLevel
    card: int = 0  # the highest calls_pb2.CardColour
    clocks: tuple[ClockState, ...] = ()  # by kind, ascending; those that ever ran
    deadline_micros: int = 0  # to answer, as printed on the call
    received_at: Place | None = None
    admitted_at: Place | None = None
    dispatched_at: Place | None = None  # the newest
    accepted_at: Place | None = None
    answered_at: Place | None = None  # the newest answer that was sent to the caller
    first_answered_at: Place | None = None
    confirmed_at: Place | None = None
    ended_at: Place | None = None  # when the stage became one of ENDED_STAGES
    resolved: bool | None = None  # None until the caller confirmed the newest answer
    satisfaction: int = 0  # 1 to 5; 0 where not rated
    response: int = 0
    manner: int = 0
    merged_into: tuple[str, bytes] | None = None  # caller and id
    void_count: int = 0  # proposals of parties refused, and steps out of place
    step_count: int = 0  # the highest number of a sequencer's step
    missing_count: int = 0  # numbers below it of which nothing is here
    taken: frozenset[tuple[str, int]] = frozenset()  # (origin, index) of every proposal judged

    @property
    def parties(self) -> tuple[str, ...]:
        """The nodes below the sequencer that take part: caller, village, then who joined."""
        found = (self.caller, self.village, *self.joined)
        return tuple(dict.fromkeys(code for code in found if code))

    @property
    def is_open(self) -> bool:
        """Whether somebody still has something to do."""
        return self.stage not in ENDED_STAGES

    def clock(self, kind: ClockKind) -> ClockState | None:
        """One clock, or None where it never ran."""
        return next((clock for clock in self.clocks if clock.kind is kind), None)
