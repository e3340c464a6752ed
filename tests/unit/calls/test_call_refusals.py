"""Steps that do not count: who may not take them, and what the refusal says."""

from __future__ import annotations

import pytest

from huying.common.calls import (
    OWN_STEPS,
    CallStage,
    Role,
    allowed_steps,
    check_own_step,
)
from huying.common.errors import Code, HuyingError
from tests.support.call_desk import (
    HELPER,
    LEAD,
    ONE,
    OTHER_TOWN,
    SECOND,
    TOWN,
    step_of,
)
from tests.unit.calls.call_cases import S, at, refused

# --- who may not -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["accept", "objection", "answer"])
def test_only_the_lead_department_takes_the_leads_steps(kind):
    """首接负责: who was assigned answers for it."""
    error = (
        refused(at(S.DISPATCHED), **{kind: {"department": HELPER, "reason": "不属"}})
        if (kind == "objection")
        else refused(at(S.DISPATCHED), **{kind: {"department": HELPER}})
    )
    assert error.code is Code.NOT_A_PARTY
    assert LEAD in error.detail


@pytest.mark.parametrize(
    ("stage", "kind", "code", "says"),
    [
        (S.HANDLING, {"reply": {"department": LEAD, "text": "好"}}, Code.NOT_A_PARTY, HELPER),
        (S.HANDLING, {"note": {"department": SECOND, "text": "好"}}, Code.NOT_A_PARTY, LEAD),
        (
            S.HANDLING,
            {"card": {"colour": 1, "department": SECOND}},
            Code.NOT_A_PARTY,
            LEAD,
        ),
        (S.HANDLING, {"card": {"colour": 7, "department": LEAD}}, Code.INVALID_ARGUMENT, "YELLOW"),
        (S.RECEIVED, {"card": {"colour": 1}}, Code.WRONG_STAGE, "no department"),
        (S.RECEIVED, {"decline": {}}, Code.INVALID_ARGUMENT, "LEGAL_ROUTE"),
        (S.RECEIVED, {"dispatch": {}}, Code.INVALID_ARGUMENT, "lead"),
        (
            S.RECEIVED,
            {"dispatch": {"department": LEAD, "co_handlers": [LEAD]}},
            Code.INVALID_ARGUMENT,
            "not the lead",
        ),
        (S.OBJECTED, {"ruling": {}}, Code.INVALID_ARGUMENT, "upheld"),
        (
            S.OBJECTED,
            {"ruling": {"upheld": True, "department": LEAD}},
            Code.INVALID_ARGUMENT,
            "upheld",
        ),
        (S.CONFIRMED, {"closure": {"reason": 3}}, Code.WRONG_STAGE, "CONFIRMED"),
        (S.UNRESOLVED, {"closure": {"reason": 2}}, Code.WRONG_STAGE, "EXHAUSTED"),
        (S.RECEIVED, {"merge": {"into": b"x"}}, Code.INVALID_ARGUMENT, "16 bytes"),
        (
            S.RECEIVED,
            {"merge": {"into": ONE, "into_caller": TOWN}},
            Code.INVALID_ARGUMENT,
            "another call",
        ),
        (S.RECEIVED, {"party": {"code": TOWN, "role": 1}}, Code.WRONG_STAGE, "already"),
        (S.RECEIVED, {"party": {"code": OTHER_TOWN}}, Code.INVALID_ARGUMENT, "CO_HANDLER"),
        (S.RECEIVED, {"supervise": {}}, Code.INVALID_ARGUMENT, "ROUTINE"),
        (S.RECEIVED, {"timeout": {"clock": 5, "generation": 1}}, Code.WRONG_STAGE, "not run"),
        (S.RECEIVED, {"timeout": {"clock": 1, "generation": 2}}, Code.WRONG_STAGE, "not run"),
        (S.RECEIVED, {"timeout": {"clock": 99, "generation": 1}}, Code.WRONG_STAGE, "not run"),
        (S.ANSWERED, {"confirm": {"resolved": True}}, Code.INVALID_ARGUMENT, "answering node"),
    ],
)
def test_a_step_that_does_not_count_is_refused_with_what_to_do(stage, kind, code, says):
    """The message must say what is allowed and to whom; and the fold must agree with it."""
    error = refused(at(stage), **kind)
    assert (error.code, says in error.detail) == (code, True), error.detail


def test_the_refusal_names_the_stage_and_what_is_allowed_to_whom():
    """An answer before a dispatch: the message must say what comes first."""
    error = refused(at(S.RECEIVED), answer={"department": LEAD, "text": "好"})
    assert error.code is Code.WRONG_STAGE
    assert error.detail.startswith("answer: not allowed while the call is RECEIVED; allowed now: ")
    assert "centre: admit, decline, off_list, dispatch, " in error.detail
    assert "caller: withdraw, urge" in error.detail


@pytest.mark.parametrize("stage", list(CallStage))
@pytest.mark.parametrize("kind", list(OWN_STEPS))
def test_a_step_outside_its_stages_is_refused_at_every_one(stage, kind):
    """The table is the law: what is not in it changes nothing, at the desk and in the fold."""
    if stage in OWN_STEPS[kind].stages:
        return
    error = refused(at(stage), **{kind: {}})
    assert error.code is Code.WRONG_STAGE
    assert stage.name in error.detail


def test_an_answer_says_something():
    """An empty answer would start the town's window for nothing."""
    state = at(S.DISPATCHED).state()
    with pytest.raises(HuyingError, match=r"answer\.text"):
        check_own_step(state, step_of(answer={"department": LEAD}))
    with pytest.raises(HuyingError, match="unreviewed_text"):
        check_own_step(state, step_of(accept={"department": LEAD}, unreviewed_text="藏"))
    with pytest.raises(HuyingError, match=r"answer\.text"):
        check_own_step(state, step_of(answer={"department": LEAD}, unreviewed_text="藏"))


def test_what_a_role_may_do_now_is_what_would_not_be_refused():
    """The screen offers what works."""
    assert allowed_steps(at(S.OBJECTED).state(), Role.CENTRE)[:1] == ("ruling",)
    handling = allowed_steps(at(S.HANDLING).state(), "department")
    assert handling == ("note", "supplement_request", "reply", "extension_request", "answer")
    assert allowed_steps(at(S.ANSWERED).state(), "caller") == (
        "confirm",
        "rate",
        "withdraw",
        "urge",
    )
    assert allowed_steps(at(S.MERGED).state(), "centre") == ()
    assert allowed_steps(at(S.MERGED).state(), "caller") == ()
