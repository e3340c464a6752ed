"""What the API and the metrics ask of the running node, and what a hub adds to the API.

The node's runtime implements `Runtime`; tests give a fake. Reads of records do not pass here: they
go to read-only connections of their own, so that no reader waits for the writer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.status import NodeStatus
from huying.wire.v1 import calls_pb2

__all__ = ["CallService", "Facts", "Runtime"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while the process runs. Times are unix seconds."""

    network: str
    code: str
    name: str
    origin: str
    verifier_key: str  # C2SP vkey of the feed key
    witness_key: str  # C2SP vkey of the witness key
    version: str
    started: float
    names: Mapping[str, str] = field(default_factory=dict)  # names of other divisions, by code
    certificates: Mapping[str, float] = field(default_factory=dict)  # expiry, by whose code


class Runtime(Protocol):
    """The running node as its API sees it. Called on the event loop unless stated otherwise."""

    @property
    def facts(self) -> Facts:
        """Who this node is."""
        ...

    def status(self) -> NodeStatus:
        """The newest snapshot. Safe on any thread; never blocks."""
        ...

    def retry_next(self) -> Mapping[str, float]:
        """Unix seconds of the next attempt to reach each unreachable peer. Safe on any thread."""
        ...

    async def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        """Write all or none; returns after the durable commit.

        Raises what the engine refused with, HuyingError(BUSY) where the queue is full, or
        HuyingError(DRAINING).
        """
        ...

    async def wait_change(self, seen: int) -> int:
        """Wait until the count of applied entries differs from `seen`; returns the new count."""
        ...


class CallService(Protocol):
    """Turns steps of a call into drafts, refusing what the stage or the caller's role forbids.

    The node's own service knows raise and confirm; a hub's adds dispatch and answer. Methods run
    on a reading thread and may read the store.
    """

    def raise_call(self, call: calls_pb2.Call, request_id: bytes) -> DraftEntry:
        """The draft of a new call. Raises HuyingError(INVALID_ARGUMENT)."""
        ...

    def step(self, step: calls_pb2.CallStep, request_id: bytes) -> DraftEntry:
        """The draft of a step. Raises HuyingError(WRONG_STAGE, NOT_A_PARTY, NOT_FOUND or
        INVALID_ARGUMENT)."""
        ...
