"""The door: where a stranger with a join token is heard, on the port of the sessions.

Anybody may knock, so little is given: few at once, fewer from one address, a bounded request within
a bounded time, one answer. Sessions never wait behind strangers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import grpc

from huying.common.errors import Code, HuyingError
from huying.common.limits import ENROL_BYTES_MAX, ENROL_SECONDS_MAX, ENROLMENTS_MAX
from huying.node import logs
from huying.wire.v1 import enrol_pb2

__all__ = ["DOOR_METHOD", "DOOR_SERVICE", "Answer", "Door"]

DOOR_SERVICE: Final = enrol_pb2.DESCRIPTOR.services_by_name["Enrolment"].full_name
DOOR_METHOD: Final = "Enrol"
_FROM_ONE_HOST_MAX: Final = ENROLMENTS_MAX // 4

Answer = Callable[[bytes, str], Awaitable[bytes]]  # request, the caller's host -> response


class Door:
    """Serves `huying.wire.v1.Enrolment/Enrol`."""

    def __init__(self, answer: Answer) -> None:
        """`answer` raises HuyingError; its code and its detail are told to the stranger."""
        self._answer = answer
        self._inside: Counter[str] = Counter()

    def handlers(self) -> Any:
        """For the server. The request is read here, not by gRPC, so that it has its deadline."""
        handler: Any = grpc.stream_unary_rpc_method_handler(
            self._enrol, request_deserializer=None, response_serializer=None
        )
        return grpc.method_handlers_generic_handler(DOOR_SERVICE, {DOOR_METHOD: handler})

    async def _enrol(self, _requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        host = _host(context.peer())
        full = self._inside.total() >= ENROLMENTS_MAX or self._inside[host] >= _FROM_ONE_HOST_MAX
        if full:
            await _abort(context, HuyingError(Code.BUSY, "others are being enrolled; retry"))
        self._inside[host] += 1
        try:
            async with asyncio.timeout(ENROL_SECONDS_MAX):
                data = await context.read()
            if not isinstance(data, bytes) or len(data) > ENROL_BYTES_MAX:
                raise HuyingError(Code.JOIN_REFUSED)
            return await self._answer(data, host)
        except grpc.aio.AbortError:
            raise
        except TimeoutError:
            await _abort(context, HuyingError(Code.JOIN_REFUSED))
        except HuyingError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, a stranger learns nothing
            # A fault of our own: its words stay here.
            logs.say("join_failed", peer=host, kind=type(error).__name__)
            await _abort(context, HuyingError(Code.UNKNOWN))
        finally:
            self._inside[host] -= 1
            if not self._inside[host]:
                del self._inside[host]


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: HuyingError) -> NoReturn:
    words = f"{error.code.name}: {error.detail}" if error.detail else error.code.name
    await context.abort(grpc.StatusCode[error.advice.grpc_status], words)
    raise AssertionError("abort always raises")


def _host(peer: str) -> str:
    """The address without its port, of gRPC's `ipv4:HOST:PORT` or `ipv6:%5BHOST%5D:PORT`."""
    return unquote(peer).rpartition(":")[0]
