"""A blocking client of one node's API, for the command line and for scripts.

Failures come back as the HuyingError that the node refused with; a node that does not answer is
`UNREACHABLE`. The token never appears in an error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import grpc

from huying.common.limits import BUNDLE_BYTES_MAX, MIB
from huying.node.api.auth import bearer
from huying.node.api.faults import from_rpc_error
from huying.wire.v1 import admin_pb2_grpc, api_pb2, api_pb2_grpc

if TYPE_CHECKING:
    from huying.node.desk import Topic

__all__ = ["Client"]

CALL_SECONDS: Final = 30.0
STATUS_SECONDS: Final = 5.0

Response = TypeVar("Response")


class Client:
    """Every method takes and gives the messages of api.proto, and raises HuyingError."""

    def __init__(self, address: str, token: str) -> None:
        # A proxy from the environment has no business between a program and its loopback node.
        self._channel = grpc.insecure_channel(
            address,
            options=(
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", BUNDLE_BYTES_MAX + MIB),
            ),
        )
        self._stub = api_pb2_grpc.NodeStub(self._channel)
        self._metadata = (bearer(token),)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def append(self, request: api_pb2.AppendRequest) -> api_pb2.AppendResponse:
        """Write drafts; they are durable when this returns."""
        return self._call(self._stub.Append, request)

    def get(self, request: api_pb2.GetRequest) -> api_pb2.RecordView:
        """One record. Raises HuyingError(NOT_FOUND)."""
        return self._call(self._stub.Get, request)

    def list(self, request: api_pb2.ListRequest) -> api_pb2.ListResponse:
        """One page of records."""
        return self._call(self._stub.List, request)

    def watch(
        self, request: api_pb2.WatchRequest, timeout_seconds: float | None = None
    ) -> Generator[api_pb2.Change, None, None]:
        """Changes as they are applied, for ever or until the time is over; close it to leave."""
        stream = self._stub.Watch(request, metadata=self._metadata, timeout=timeout_seconds)
        with closing(_Cancelling(stream)):
            try:
                yield from stream
            except grpc.RpcError as error:
                if (
                    timeout_seconds is not None
                    and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                ):
                    return
                raise from_rpc_error(error) from None

    def raise_call(self, request: api_pb2.RaiseCallRequest) -> api_pb2.CallStepResponse:
        """Raise a call."""
        return self._call(self._stub.RaiseCall, request)

    def draft_call(self, request: api_pb2.DraftCallRequest) -> api_pb2.CallStepResponse:
        """Write a draft of a call."""
        return self._call(self._stub.DraftCall, request)

    def decide_draft(self, request: api_pb2.DecideDraftRequest) -> api_pb2.CallStepResponse:
        """Approve a draft, or refuse it."""
        return self._call(self._stub.DecideDraft, request)

    def take_call_step(self, request: api_pb2.TakeCallStepRequest) -> api_pb2.CallStepResponse:
        """Write a step of a call."""
        return self._call(self._stub.TakeCallStep, request)

    def get_call(self, request: api_pb2.GetCallRequest) -> api_pb2.CallView:
        """One call with its steps. Raises HuyingError(NOT_FOUND)."""
        return self._call(self._stub.GetCall, request)

    def list_calls(self, request: api_pb2.ListCallsRequest) -> api_pb2.ListCallsResponse:
        """One page of calls."""
        return self._call(self._stub.ListCalls, request)

    def status(self) -> api_pb2.StatusResponse:
        """What the node says of itself."""
        return self._call(self._stub.Status, api_pb2.StatusRequest(), STATUS_SECONDS)

    def administer(self, method: str, request: Any, timeout_seconds: float) -> Any:
        """One method of huying.wire.v1.Admin. Raises HuyingError."""
        stub = admin_pb2_grpc.AdminStub(self._channel)
        return self._call(getattr(stub, method), request, timeout_seconds)

    def ask_desk(self, topic: Topic, method: str, request: Any, timeout_seconds: float) -> Any:
        """One method of a topic's service. Raises HuyingError."""
        stub = getattr(topic.generated("_grpc"), f"{topic.name}Stub")(self._channel)
        return self._call(getattr(stub, method), request, timeout_seconds)

    def _call(
        self,
        method: Callable[..., Response],
        request: Any,
        timeout_seconds: float = CALL_SECONDS,
    ) -> Response:
        try:
            return method(request, metadata=self._metadata, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None


class _Cancelling:
    """Cancels a stream that its reader leaves."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def close(self) -> None:
        self._stream.cancel()
