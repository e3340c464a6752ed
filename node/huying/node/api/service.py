"""The service `huying.wire.v1.Node`: what people and programs beside the node ask of it.

Writes go to the engine and are acknowledged after the durable commit. Reads run on a small pool of
threads over read-only connections, so neither blocks the event loop nor waits for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import grpc

from huying.common import codes
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    COMMIT_ENTRIES_MAX,
    LIST_ENTRIES_DEFAULT,
    LIST_ENTRIES_MAX,
    RECORD_ID_BYTES,
    TRANSPORT_BYTES_MAX,
)
from huying.common.ports import Clock
from huying.node.api.drafts import parse_draft
from huying.node.api.faults import guarded, guarded_stream
from huying.node.api.ports import CallService, Facts, Reads, Runtime
from huying.node.api.views import receipt_view, status_view
from huying.node.api.watch import Cursor, Watch
from huying.wire.v1 import api_pb2, api_pb2_grpc

__all__ = ["NodeService"]

READ_THREADS: Final = 2  # on two cores; more would only queue inside SQLite
WATCHES_MAX: Final = 16
PARSED_AT_ONCE_MAX: Final = 8  # drafts; each is 16 KiB at most

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class NodeService(api_pb2_grpc.NodeServicer):
    """One instance per node. `observe_append` is told how many seconds each append took."""

    def __init__(
        self,
        *,
        facts: Facts,
        runtime: Runtime,
        reads: Reads,
        calls: CallService,
        clock: Clock,
        retry_next: Callable[[], Mapping[str, float]] = dict,
        observe_append: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._facts = facts
        self._runtime = runtime
        self._reads = reads
        self._calls = calls
        self._clock = clock
        self._retry_next = retry_next
        self._observe_append = observe_append
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="huying-read")
        self._watches: set[asyncio.Task[Any]] = set()
        # Whoever is at a call holds its lock, and so keeps it here.
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def close(self) -> None:
        """End the watches and the reading threads."""
        for watch in self._watches:
            watch.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @guarded
    async def Append(
        self, request: api_pb2.AppendRequest, context: Context
    ) -> api_pb2.AppendResponse:
        """Write all the drafts or none; durable when it answers."""
        if not 1 <= len(request.drafts) <= COMMIT_ENTRIES_MAX:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"drafts: 1 to {COMMIT_ENTRIES_MAX} in one request"
            )
        if request.ByteSize() > TRANSPORT_BYTES_MAX:  # just a bundle may be larger
            raise HuyingError(
                Code.LIMIT_EXCEEDED, f"drafts: over {TRANSPORT_BYTES_MAX} bytes in one request"
            )
        own = self._facts.code

        def parse() -> list[DraftEntry]:
            return [parse_draft(draft, own) for draft in request.drafts]

        # Going to a thread and back costs more than parsing a few.
        few = len(request.drafts) <= PARSED_AT_ONCE_MAX
        drafts = parse() if few else await self._read(parse)
        return api_pb2.AppendResponse(receipts=await self._append(drafts))

    @guarded
    async def Get(self, request: api_pb2.GetRequest, context: Context) -> api_pb2.RecordView:
        """One record as far as it is visible here."""
        home = codes.parse_code(request.home or self._facts.code, "home")
        if len(request.record) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
        return await self._read(lambda: self._reads.record(request.type, home, request.record))

    @guarded
    async def List(self, request: api_pb2.ListRequest, context: Context) -> api_pb2.ListResponse:
        """One page of records by key."""
        if request.home:
            codes.parse_code(request.home, "home")
        limit = _limit(request.limit)
        return await self._read(
            lambda: self._reads.records(
                request.type, request.home, request.grid, limit, request.page_token
            )
        )

    @guarded_stream
    async def Watch(
        self, request: api_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[api_pb2.Change]:
        """Every entry applied here from the cursor on, for as long as the client reads."""
        if len(self._watches) >= WATCHES_MAX:
            raise HuyingError(Code.BUSY, f"{WATCHES_MAX} watches are open already")
        cursor = Cursor.parse(request.cursor)
        watch = Watch(
            self._runtime,
            self._reads,
            self._read,
            cursor,
            frozenset(request.types),
            until_end=request.until_end,
        )
        task = asyncio.current_task()
        assert task is not None, "gRPC runs every call in a task"
        self._watches.add(task)
        try:
            async for change in watch.changes():
                yield change
        finally:
            self._watches.discard(task)

    @guarded
    async def RaiseCall(
        self, request: api_pb2.RaiseCallRequest, context: Context
    ) -> api_pb2.CallStepResponse:
        """Raise a call; its id is that of the new record."""
        draft = await self._read(lambda: self._calls.raise_call(request.call, request.request_id))
        (receipt,) = await self._append([draft])
        return api_pb2.CallStepResponse(call=receipt.record, receipt=receipt)

    @guarded
    async def DraftCall(
        self, request: api_pb2.DraftCallRequest, context: Context
    ) -> api_pb2.CallStepResponse:
        """Write a draft; its id becomes the call's."""
        draft = await self._read(lambda: self._calls.draft_call(request.draft, request.request_id))
        (receipt,) = await self._append([draft])
        return api_pb2.CallStepResponse(call=receipt.record, receipt=receipt)

    @guarded
    async def DecideDraft(
        self, request: api_pb2.DecideDraftRequest, context: Context
    ) -> api_pb2.CallStepResponse:
        """Approve a draft, which raises the call, or refuse it."""
        return await self._decide(
            request.draft, request.request_id, lambda: self._calls.decide_draft(request)
        )

    @guarded
    async def TakeCallStep(
        self, request: api_pb2.TakeCallStepRequest, context: Context
    ) -> api_pb2.CallStepResponse:
        """Write a step of a call."""
        return await self._decide(
            request.step.call,
            request.request_id,
            lambda: self._calls.step(request.step, request.request_id),
        )

    @guarded
    async def GetCall(self, request: api_pb2.GetCallRequest, context: Context) -> api_pb2.CallView:
        """One call with its steps."""
        if len(request.call) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"call: {RECORD_ID_BYTES} bytes")
        return await self._read(lambda: self._reads.call(request.call))

    @guarded
    async def ListCalls(
        self, request: api_pb2.ListCallsRequest, context: Context
    ) -> api_pb2.ListCallsResponse:
        """One page of calls."""
        limit = _limit(request.limit)
        now_micros = int(self._clock.now() * 1e6)
        return await self._read(lambda: self._reads.calls(request, limit, now_micros))

    @guarded
    async def Status(
        self, request: api_pb2.StatusRequest, context: Context
    ) -> api_pb2.StatusResponse:
        """What the node says of itself."""
        counts = await self._read(self._reads.call_counts)
        return status_view(
            self._facts, self._runtime.status(), self._retry_next(), counts, self._clock.now()
        )

    async def _decide(
        self, call: bytes, request_id: bytes, draft: Callable[[], tuple[DraftEntry, ...]]
    ) -> api_pb2.CallStepResponse:
        """Read, check and write one step of a call or draft, with nobody else in between.

        The sequencer's own steps are checked once more inside the transaction; of a proposal only
        this keeps two people at two screens from sending it twice.
        """
        lock = self._turns.setdefault(call, asyncio.Lock())
        async with lock:
            try:
                receipts = await self._append(list(await self._read(draft)))
            except HuyingError as error:
                # A request that was written moved the call on itself.
                known = self._reads.request(request_id) if request_id else None
                if known is None:
                    refused = error
                    raise await self._read(lambda: self._calls.explained(refused, call)) from None
                origin, index, record = known
                receipts = [
                    api_pb2.Receipt(
                        origin=origin, index=index, record=record, repeated_request=True
                    )
                ]
        return api_pb2.CallStepResponse(call=call, receipt=receipts[0], further=receipts[1:])

    async def _append(self, drafts: list[DraftEntry]) -> list[api_pb2.Receipt]:
        began = self._clock.monotonic()
        receipts = await self._runtime.append(drafts)
        self._observe_append(self._clock.monotonic() - began)
        return [receipt_view(receipt) for receipt in receipts]

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _limit(asked: int) -> int:
    """How many to list. Raises HuyingError(INVALID_ARGUMENT) over the limit."""
    if asked > LIST_ENTRIES_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"limit: at most {LIST_ENTRIES_MAX}")
    return asked or LIST_ENTRIES_DEFAULT
