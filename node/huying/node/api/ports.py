"""What the API and the metrics ask of the running node, and what a hub adds to the API.

The node's runtime implements `Runtime`; tests give a fake. Reads of records do not pass here: they
go to read-only connections of their own, so that no reader waits for the writer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import HuyingError
from huying.common.state import FeedState
from huying.common.status import NodeStatus
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["CallService", "Facts", "Reads", "Runtime"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while the process runs. Times are unix seconds."""

    network: str
    code: str
    name: str
    origin: str
    verifier_key: str  # C2SP vkey of the feed key, as the node started with it
    witness_key: str  # C2SP vkey of the witness key
    version: str
    started: float
    names: Mapping[str, str] = field(default_factory=dict)  # names of other divisions, by code
    certificates: Mapping[str, float] = field(default_factory=dict)  # expiry, by whose code


class Runtime(Protocol):
    """The running node as its API sees it. Called on the event loop unless stated otherwise."""

    def status(self) -> NodeStatus:
        """The newest snapshot. Safe on any thread; never blocks."""
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

    `huying.node.api.calls.Calls` is one; a hub may bring its own. Methods run on a reading thread
    and may read the store.
    """

    def raise_call(self, call: calls_pb2.Call, request_id: bytes) -> DraftEntry:
        """The draft of a new call. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
        ...

    def draft_call(self, draft: calls_pb2.CallDraft, request_id: bytes) -> DraftEntry:
        """The entry of a draft that waits for approval. Raises as `raise_call`."""
        ...

    def decide_draft(self, request: api_pb2.DecideDraftRequest) -> tuple[DraftEntry, ...]:
        """What approving or refusing a draft writes; the first carries the request's id.

        Raises HuyingError(NOT_FOUND, WRONG_STAGE or INVALID_ARGUMENT).
        """
        ...

    def step(self, step: calls_pb2.CallStep, request_id: bytes) -> tuple[DraftEntry, ...]:
        """The draft of a step, and what is written along with it.

        Raises HuyingError(WRONG_STAGE, NOT_A_PARTY, NOT_FOUND or INVALID_ARGUMENT).
        """
        ...

    def explained(self, error: HuyingError, call: bytes) -> HuyingError:
        """The refusal of a step of that call, with what came before it. Raises nothing."""
        ...


class Reads(Protocol):
    """What the store can be asked, over read-only connections. Safe on any thread.

    Each method sees one snapshot, and raises HuyingError(STORE_FAILED or CORRUPT).
    """

    def record(self, type_: int, home: str, record: bytes) -> api_pb2.RecordView:
        """The newest state of one record. Raises HuyingError(NOT_FOUND)."""
        ...

    def records(
        self, type_: int, home: str, grid: str, limit: int, page_token: bytes
    ) -> api_pb2.ListResponse:
        """One page of records by key; `home` and `grid` empty: all."""
        ...

    def call(self, call: bytes) -> api_pb2.CallView:
        """One call with its steps. Raises HuyingError(NOT_FOUND)."""
        ...

    def calls(
        self, wanted: api_pb2.ListCallsRequest, limit: int, now_micros: int
    ) -> api_pb2.ListCallsResponse:
        """One page of calls, without their steps; overdue is what ran out before `now_micros`."""
        ...

    def call_counts(self) -> tuple[int, int, int]:
        """How many calls are raised, answered at least once, and confirmed."""
        ...

    def request(self, request_id: bytes) -> tuple[str, int, bytes] | None:
        """The origin, index and record that a request was answered with, where it was written."""
        ...

    def feeds(self) -> list[FeedState]:
        """Every feed."""
        ...

    def changes(
        self, origin: str, start: int, limit: int, types: Collection[int]
    ) -> tuple[list[api_pb2.RecordView], int]:
        """The applied entries of `types` (empty: all) among the next `limit` of a feed's log.

        And where to go on: `start` itself at the end of what is held.
        """
        ...
