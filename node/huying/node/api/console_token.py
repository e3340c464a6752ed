"""What the console may ask of its node, and the token by which the node knows that it is asking.

The process that faces people shows a token of its own. It opens what a page does and nothing else:
no key is rotated, no node is revoked, nothing is erased, put back or provided by a request that
somebody talked a page into; and `Append` takes just the records that pages write so, since calls,
orders and the like have methods of their own, which look at their stage. The node draws the token
at each start and once a day, so it is in no backup. Both processes are the same user's: this bounds
what a page can be made to ask, and not who runs code in the console's process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc

from huying.common.errors import Code, HuyingError
from huying.node import renewal
from huying.node.api.faults import abort
from huying.wire.v1 import feed_pb2

__all__ = ["CONSOLE_METHODS", "CONSOLE_RECORDS", "keep_drawing", "narrowed"]

_EVERY_SECONDS: Final = 86_400.0
_SERVICES: Final = {
    "Admin": ("RetryQuarantined", "ShowFigures", "ShowHistory", "ShowTrouble", "SkipQuarantined"),
    "Duty": ("SuggestDuty",),
    "EventDesk": ("HandleEvent",),
    "Hotline": ("ReturnOrder", "SettleOrder", "ShowOrder", "TakeOrder"),
    "HotlineDesk": ("AssignOrder", "ImportOrders", "ListHandlers"),
    "Node": (
        "Append",
        "DecideDraft",
        "DraftCall",
        "RaiseCall",
        "Status",
        "TakeCallStep",
        "Watch",
    ),
    "Provisions": (
        "DecideProvision",
        "OpenProvision",
        "RequestProvision",
        "ShowProvision",
        "WithdrawProvision",
    ),
}
# Whole names, as a call has them. A page that asks for another method adds it here.
CONSOLE_METHODS: Final = frozenset(
    f"/huying.wire.v1.{service}/{method}"
    for service, names in _SERVICES.items()
    for method in names
)
_APPEND: Final = "/huying.wire.v1.Node/Append"
# What pages write as it stands. A page that writes another type adds it here.
CONSOLE_RECORDS: Final = frozenset(
    {
        feed_pb2.RECORD_TYPE_EVENT,
        feed_pb2.RECORD_TYPE_EVIDENCE,
        feed_pb2.RECORD_TYPE_HOUSEHOLD,
        feed_pb2.RECORD_TYPE_RESIDENT,
        feed_pb2.RECORD_TYPE_VISIT,
    }
)


def narrowed(method: str, handler: Any) -> Any:
    """The handler of one of CONSOLE_METHODS as the console's token opens it."""
    if method != _APPEND:
        return handler

    async def append(request: Any, context: Any) -> Any:
        for number, draft in enumerate(request.drafts):
            if draft.type not in CONSOLE_RECORDS:
                detail = f"type: draft {number} is no record that a page writes"
                await abort(context, HuyingError(Code.TYPE_NOT_ALLOWED, detail))
        return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(
        append, handler.request_deserializer, handler.response_serializer
    )


async def keep_drawing(
    file: Path, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Put another token into `file` now, and once a day. Raises HuyingError(KEY)."""
    while True:
        await asyncio.to_thread(renewal.renew_console_token, file)
        await sleep(_EVERY_SECONDS)
