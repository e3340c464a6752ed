"""What the steps of a call are checked against: the call as it is known here, and its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from huying.common.calls import SequencedStep
from huying.common.calls.call_state import CallState
from huying.wire.v1 import api_pb2, calls_pb2, policy_pb2

__all__ = ["CallBook", "KnownCall", "PendingStep"]


@dataclass(frozen=True, slots=True)
class PendingStep:
    """A proposal that its sequencer has not taken, as far as is known here."""

    home: str  # division code of the proposer
    kind: str  # confirm, reopen, …; raise for the call itself
    actor: str
    time_micros: int


@dataclass(frozen=True, slots=True)
class KnownCall:
    """One call as this node knows it."""

    call: bytes
    caller: str
    sequencer: str
    content: calls_pb2.Call  # as far as it is visible
    state: CallState
    steps: tuple[tuple[str, SequencedStep, int], ...]  # (origin, step, unix µs), in their order
    pending: Sequence[PendingStep] = ()


class CallBook(Protocol):
    """What is read of calls before a step of one is written. Safe on any thread."""

    def known_call(self, call: bytes) -> KnownCall:
        """One call. Raises HuyingError(NOT_FOUND)."""
        ...

    def record(self, type_: int, home: str, record: bytes) -> api_pb2.RecordView:
        """The newest state of one record. Raises HuyingError(NOT_FOUND)."""
        ...

    def event_home(self, event: bytes, homes: Sequence[str]) -> str:
        """Which of these divisions wrote the event; empty where none that is known here did."""
        ...

    def divisions_below(self, code: str) -> list[str]:
        """The codes of the nodes below a division that the rosters held here name."""
        ...

    def policy(self, sequencer: str) -> policy_pb2.Policy:
        """The policy in force at that node, as far as it has arrived here."""
        ...

    def duty_item(self, sequencer: str, number: str) -> policy_pb2.DutyItem:
        """One item of that node's duty list in force. Raises HuyingError(INVALID_ARGUMENT)."""
        ...
