"""What the console may ask of its node, and the token by which the node knows that it is asking.

The process that faces people shows a token of its own. It opens what a page does and nothing else:
no key is rotated, no node is revoked, nothing is erased, put back or provided by a request that
somebody talked a page into. The node draws it at each start and once a day, so it is in no backup.
Both processes are the same user's: this bounds what a page can be made to ask, and not who runs
code in the console's process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from huying.node import renewal

__all__ = ["CONSOLE_METHODS", "keep_drawing"]

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


async def keep_drawing(
    file: Path, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Put another token into `file` now, and once a day. Raises HuyingError(KEY)."""
    while True:
        await asyncio.to_thread(renewal.renew_console_token, file)
        await sleep(_EVERY_SECONDS)
