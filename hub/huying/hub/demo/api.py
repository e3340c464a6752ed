"""An asynchronous client of one node, as the demo's people use it.

A write carries a request id, so it may be sent again when no answer came: the node answers a
request that it has seen as it did, and writes nothing twice. A watch goes on where it was.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
import grpc.aio

from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES, TRANSPORT_BYTES_MAX
from huying.hub.fleet import Member
from huying.node.api.auth import bearer
from huying.node.api.faults import from_rpc_error
from huying.node.config import load
from huying.node.desk import Topic
from huying.wire.v1 import api_pb2, api_pb2_grpc, calls_pb2

__all__ = ["NodeApi", "to_draft"]

CALL_SECONDS: Final = 30.0  # a busy machine is no fault
RETRY_SECONDS: Final = 0.1
# What passes when the node comes back, or has room again.
_PASSING: Final = frozenset({Code.UNREACHABLE, Code.DRAINING, Code.BUSY})

Response = TypeVar("Response")


def to_draft(draft: DraftEntry) -> api_pb2.Draft:
    """The API's form of a draft, with a request id."""
    return api_pb2.Draft(
        kind=draft.kind,  # type: ignore[arg-type]  # an open enum
        type=draft.type,  # type: ignore[arg-type]  # an open enum
        record=draft.record,
        message=draft.message.SerializeToString(),
        to=draft.to,
        request_id=draft.request_id or secrets.token_bytes(RECORD_ID_BYTES),
    )


class NodeApi:
    """A client of one node. With `patient`, it waits for a node that is away, for ever."""

    def __init__(self, member: Member, *, patient: bool = False) -> None:
        config = load(member.config_file)
        self.code = member.code
        self.name = member.place.name
        self._patient = patient
        self._metadata = (bearer(config.token_file.read_text(encoding="ascii").strip()),)
        self._channel = grpc.aio.insecure_channel(
            config.api.listen,
            options=(
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", TRANSPORT_BYTES_MAX),
                # A node that was killed comes back at the same address, and soon.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
            ),
        )
        self._stub = api_pb2_grpc.NodeStub(self._channel)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def append(self, drafts: Sequence[DraftEntry]) -> list[api_pb2.Receipt]:
        """Write all or none; durable on return. Raises HuyingError."""
        request = api_pb2.AppendRequest(drafts=[to_draft(draft) for draft in drafts])
        response = await self._call(self._stub.Append, request)
        return list(response.receipts)

    async def raise_call(self, call: calls_pb2.Call) -> api_pb2.CallStepResponse:
        """呼叫. Raises HuyingError."""
        request = api_pb2.RaiseCallRequest(call=call, request_id=_request_id())
        return await self._call(self._stub.RaiseCall, request)

    async def draft_call(self, draft: calls_pb2.CallDraft) -> api_pb2.CallStepResponse:
        """拟稿: a call that the town principal has not approved yet. Raises HuyingError."""
        request = api_pb2.DraftCallRequest(draft=draft, request_id=_request_id())
        return await self._call(self._stub.DraftCall, request)

    async def approve(self, draft: bytes, principal: str) -> api_pb2.CallStepResponse:
        """审签: the draft becomes the call, under its own id. Raises HuyingError."""
        request = api_pb2.DecideDraftRequest(
            draft=draft, approved=True, decided_by=principal, request_id=_request_id()
        )
        return await self._call(self._stub.DecideDraft, request)

    async def ask(self, topic: Topic, method: str, request: Any) -> Any:
        """One method of a topic of the desk. Raises HuyingError.

        A node that has just started is asked again until it may write.
        """
        stub = getattr(topic.generated("_grpc"), f"{topic.name}Stub")(self._channel)
        deadline = time.monotonic() + CALL_SECONDS
        while True:
            try:
                return await self._call(getattr(stub, method), request)
            except HuyingError as error:
                if error.code is not Code.BUSY or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(RETRY_SECONDS)

    async def take_step(self, step: calls_pb2.CallStep) -> api_pb2.CallStepResponse:
        """A step of a call. Raises HuyingError."""
        request = api_pb2.TakeCallStepRequest(step=step, request_id=_request_id())
        return await self._call(self._stub.TakeCallStep, request)

    async def get_call(self, call: bytes) -> api_pb2.CallView:
        """One call. Raises HuyingError(NOT_FOUND)."""
        return await self._call(self._stub.GetCall, api_pb2.GetCallRequest(call=call))

    async def status(self) -> api_pb2.StatusResponse:
        """What the node says of itself. Raises HuyingError."""
        return await self._call(self._stub.Status, api_pb2.StatusRequest())

    async def watch(self, *types: int) -> AsyncGenerator[api_pb2.RecordView, None]:
        """Every entry of these types, from the first on, and then as they are applied."""
        cursor: dict[str, int] = {}
        while True:
            request = api_pb2.WatchRequest(
                cursor=[api_pb2.Position(origin=key, index=at) for key, at in cursor.items()],
                types=types,  # type: ignore[arg-type]  # an open enum
            )
            try:
                async for change in self._stub.Watch(request, metadata=self._metadata):
                    cursor[change.next.origin] = change.next.index
                    if change.HasField("record"):
                        yield change.record
            except grpc.aio.AioRpcError as error:
                refused = self._refusal(error)
                if not self._patient or refused.code not in _PASSING:
                    raise refused from None
            await asyncio.sleep(RETRY_SECONDS)

    def _refusal(self, error: grpc.aio.AioRpcError) -> HuyingError:
        """What the node refused with, and which node it was."""
        refused = from_rpc_error(error)
        return HuyingError(refused.code, f"{self.name} {self.code}: {refused.detail}")

    async def _call(self, method: Callable[..., Awaitable[Response]], request: Any) -> Response:
        while True:
            try:
                return await method(request, metadata=self._metadata, timeout=CALL_SECONDS)
            except grpc.aio.AioRpcError as error:
                refused = self._refusal(error)
                if not self._patient or refused.code not in _PASSING:
                    raise refused from None
            await asyncio.sleep(RETRY_SECONDS)


def _request_id() -> bytes:
    return secrets.token_bytes(RECORD_ID_BYTES)
