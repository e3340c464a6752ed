"""A call in each of its states, as the steps that led there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from huying.common.calls import (
    CallStage,
    SequencedStep,
    advance,
)
from huying.common.errors import HuyingError
from huying.common.policies import shipped_policy
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import (
    HELPER,
    LEAD,
    TOWN,
    TWO,
    Desk,
    step_of,
)

__all__ = ["ANSWER", "OBJECTION", "WAYS", "S", "at", "refused"]


S = CallStage
ANSWER = {"department": LEAD, "text": "已修复"}
OBJECTION = {"department": LEAD, "reason": "不属本部门职责"}


# How to bring a call to each stage by the shortest way.
WAYS = {
    S.RAISED: (),
    S.RECEIVED: ("raise",),
    S.ADMITTED: ("raise", "admit"),
    S.DISPATCHED: ("raise", "dispatch"),
    S.OBJECTED: ("raise", "dispatch", "objection"),
    S.HANDLING: ("raise", "dispatch", "accept"),
    S.REVIEW: ("raise", "dispatch", "answer"),
    S.ANSWERED: ("raise", "dispatch", "answer"),
    S.CONFIRMED: ("raise", "dispatch", "answer", "resolved"),
    S.UNRESOLVED: ("raise", "dispatch", "answer", "unresolved"),
    S.CLOSED: ("raise", "dispatch", "answer", "resolved", "close"),
    S.DECLINED: ("raise", "decline"),
    S.WITHDRAWN: ("raise", "withdraw"),
    S.MERGED: ("raise", "merge"),
}


def at(stage: CallStage, **terms) -> Desk:
    """A desk with a call brought to the stage; `terms` are the policy's."""
    policy = shipped_policy()
    policy.review_required = stage is S.REVIEW
    for name, value in terms.items():
        setattr(policy, name, value)
    desk = Desk(policy)
    acts: dict[str, Callable[[], Any]] = {
        "raise": desk.raise_,
        "admit": lambda: desk.do(admit={}),
        "dispatch": lambda: desk.do(dispatch={"department": LEAD, "co_handlers": [HELPER]}),
        "objection": lambda: desk.do(objection=OBJECTION),
        "accept": lambda: desk.do(accept={"department": LEAD}),
        "answer": lambda: desk.do(answer=ANSWER),
        "resolved": lambda: desk.propose(confirm={"resolved": True}),
        "unresolved": lambda: desk.propose(confirm={"resolved": False}),
        "close": lambda: desk.do(closure={"reason": calls_pb2.CLOSURE_REASON_CONFIRMED}),
        "decline": lambda: desk.do(decline={"reason": calls_pb2.DECLINE_REASON_DUPLICATE}),
        "withdraw": lambda: desk.propose(withdraw={}),
        "merge": lambda: (
            desk.raise_(TWO),
            desk.do(merge={"into": TWO, "into_caller": TOWN}),
        ),
    }
    for act in WAYS[stage]:
        acts[act]()
    assert desk.state().stage is stage
    return desk


def refused(desk: Desk, **kind) -> HuyingError:
    """A step that must be refused, at the desk; and it counts for nothing in the fold either."""
    before = desk.state()
    with pytest.raises(HuyingError) as e:
        desk.do(**kind)
    assert desk.state() == before
    void = advance(before, SequencedStep(99, step_of(**kind)))
    assert void.void_count == before.void_count + 1
    assert void.stage is before.stage
    return e.value
