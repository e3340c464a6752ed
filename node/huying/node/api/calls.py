"""Drafts for the steps of a call, from what the API is asked.

The checks are a courtesy to the person at the screen, on the state seen here; whether a proposal
counts is for the call's sequencer to say (docs/CALLS.md).
"""

from __future__ import annotations

from collections.abc import Callable

from huying.common import codes
from huying.common.call_drafts import raise_draft, step_draft
from huying.common.calls import CallStage, CallState
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES
from huying.common.ports import Clock
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["Calls"]

_STEPS = ("dispatch", "answer", "confirm")  # a took is the sequencer's own, never a person's


class Calls:
    """`CallService` of the node `code`: the caller's steps, and the answering node's."""

    def __init__(
        self, code: str, clock: Clock, read_call: Callable[[bytes], api_pb2.CallView]
    ) -> None:
        self._code = code
        self._clock = clock
        self._read_call = read_call

    def raise_call(self, call: calls_pb2.Call, request_id: bytes) -> DraftEntry:
        """The draft of a new call, addressed to the village it concerns.

        Where none is named, the county above answers, and it is raised now. Raises
        HuyingError(TYPE_NOT_ALLOWED or INVALID_ARGUMENT).
        """
        _check_request(request_id)
        message = calls_pb2.Call()
        message.CopyFrom(call)
        if not message.sequencer:
            for code in codes.ancestors(self._code):
                if codes.level(code) == codes.Level.COUNTY:
                    message.sequencer = code
        if not message.raised_micros:
            message.raised_micros = int(self._clock.now() * 1e6)
        return raise_draft(self._code, message, request_id=request_id)

    def step(self, step: calls_pb2.CallStep, request_id: bytes) -> DraftEntry:
        """The draft of a step, addressed to the parties below this node.

        Raises HuyingError(NOT_FOUND, WRONG_STAGE, NOT_A_PARTY or INVALID_ARGUMENT).
        """
        _check_request(request_id)
        if len(step.call) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"step.call: {RECORD_ID_BYTES} bytes")
        if step.WhichOneof("step") not in _STEPS:
            raise HuyingError(Code.INVALID_ARGUMENT, f"step: one of {', '.join(_STEPS)}")
        call = self._read_call(step.call)
        message = calls_pb2.CallStep()
        message.CopyFrom(step)
        message.caller = call.caller
        if message.WhichOneof("step") == "answer" and not message.answer.department:
            message.answer.department = call.department
        return step_draft(
            self._code,
            call.sequencer,
            _state(call),
            message,
            village=call.content.village,
            request_id=request_id,
        )


def _state(call: api_pb2.CallView) -> CallState:
    """As much of the folded state as the checks of a next step look at."""
    return CallState(
        stage=CallStage(call.stage),
        caller=call.caller,
        village=call.content.village,
        department=call.department,
    )


def _check_request(request_id: bytes) -> None:
    if request_id and len(request_id) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"request_id: {RECORD_ID_BYTES} bytes, or none")
