"""How a refusal crosses the API: HuyingError to a gRPC status with details, and back.

The status carries a google.rpc.ErrorInfo with domain `huying`, the code's name as reason and the
detail, so that a client rebuilds the very error. Nothing else crosses: the text of a foreign
exception may hold a body or a path, so it stays behind and its caller gets `UNKNOWN`.
"""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, NoReturn, ParamSpec, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no stubs

from huying.common.errors import Code, HuyingError
from huying.node import logs

__all__ = ["DOMAIN", "abort", "from_rpc_error", "guarded", "guarded_stream"]

DOMAIN: Final = "huying"
DETAILS_KEY: Final = "grpc-status-details-bin"
DETAIL_CHARACTERS_MAX: Final = 1000  # metadata has a limit of its own, of 8 KiB
# What a call may take where its client gives no deadline, and at most.
CALL_SECONDS_MAX: Final = 30.0

_LOG = logs.logger("huying.api")

P = ParamSpec("P")
R = TypeVar("R")
Context = grpc.aio.ServicerContext[Any, Any]


async def abort(context: Context, error: HuyingError) -> NoReturn:
    """End the call with the error's status and details."""
    code = grpc.StatusCode[error.advice.grpc_status]
    detail = error.detail[:DETAIL_CHARACTERS_MAX]
    info = error_details_pb2.ErrorInfo(
        reason=error.code.name, domain=DOMAIN, metadata={"detail": detail}
    )
    message = f"{error.code.name}: {detail}" if detail else error.code.name
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(info)
    await context.abort(code, message, ((DETAILS_KEY, status.SerializeToString()),))
    raise AssertionError("abort always raises")


def from_rpc_error(error: grpc.RpcError) -> HuyingError:
    """The refusal behind a failed call, as its server meant it where the server is a node.

    A reason that is not one of our codes reads as UNKNOWN; an unreachable or silent server as
    UNREACHABLE.
    """
    status = _details(error)
    if status is not None:
        for packed in status.details:
            info = error_details_pb2.ErrorInfo()
            if packed.Unpack(info) and info.domain == DOMAIN:
                code = Code.__members__.get(info.reason, Code.UNKNOWN)
                return HuyingError(code, info.metadata.get("detail", ""))
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return HuyingError(Code.UNREACHABLE, "the API did not answer")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return HuyingError(
                Code.BUSY, "the API takes no more calls, or the message is too large"
            )
        case grpc.StatusCode.UNAUTHENTICATED:
            return HuyingError(Code.UNAUTHENTICATED, "the API refused the token")
        case other:
            return HuyingError(Code.UNKNOWN, f"the API answered {other.name}")


def _details(error: grpc.RpcError) -> status_pb2.Status | None:
    metadata: Any = error.trailing_metadata()  # pairs; the stubs know no pair
    for key, value in metadata or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                status: status_pb2.Status = status_pb2.Status.FromString(value)
                return status
            except DecodeError:
                return None
    return None


def guarded(method: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """A unary method whose failures leave as statuses, and which ends within its deadline."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                return await method(*args, **kwargs)
        except TimeoutError:
            late = HuyingError(Code.BUSY, f"not done within {CALL_SECONDS_MAX:g} s")
            await abort(_context(args), late)
        except Exception as error:  # noqa: BLE001 - the one boundary where all are translated
            await _refuse(_context(args), method.__name__, error)

    return call


def guarded_stream(method: Callable[P, AsyncIterator[R]]) -> Callable[P, AsyncIterator[R]]:
    """A server-streaming method whose failures leave as statuses."""

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R]:
        try:
            async for response in method(*args, **kwargs):
                yield response
        except Exception as error:  # noqa: BLE001 - the one boundary where all are translated
            await _refuse(_context(args), method.__name__, error)

    return call


def _context(args: tuple[object, ...]) -> Context:
    """Every method is called with the servicer, the request and the context, in this order."""
    return cast("Context", args[2])


async def _refuse(context: Context, method: str, error: Exception) -> NoReturn:
    if isinstance(error, HuyingError):
        await abort(context, error)
    if isinstance(error, grpc.aio.AbortError):
        raise error
    # Where it happened, and what kind it was; never its text.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _LOG.error(
        "api_call_failed",
        method=method,
        error=type(error).__name__,
        at=f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}",
    )
    await abort(context, HuyingError(Code.UNKNOWN))
