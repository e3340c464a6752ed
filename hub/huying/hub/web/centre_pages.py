"""The dispatch centre: what waits for it, side by side, the oldest first; admitting from the list.

Every other deed is done on the call's own page, where all that it needs to be judged by stands.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.hub.web.worklists import FilledList, fill
from huying.node.store.reader import Reader
from huying.node.web.access.roles import Permission
from huying.node.web.calls.call_access import load_call
from huying.node.web.calls.call_filters import day_ends, sees
from huying.node.web.calls.call_rows import Rests, listed
from huying.node.web.page import Ask, Nav, Page
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["PAGES"]

_HEX: Final = re.compile(r"[0-9a-f]{32}")


async def show_centre(ask: Ask) -> Response:
    """The worklists."""
    return await _show(ask, None)


async def _show(ask: Ask, error: HuyingError | None) -> Response:
    scope = ask.scope

    def read(reader: Reader) -> tuple[list[FilledList], Rests]:
        filled = fill(reader, scope.area, lambda row: sees(scope, row))
        return filled, reader.paused_rests(
            {row.call: row for one in filled for row in one.rows}.values()
        )

    filled, rests = await ask.node.read(read)
    ends = day_ends(ask.now(), await ask.node.offset_minutes())
    return await ask.render(
        "centre.html",
        {
            "lists": [
                (one.worklist, one.count, [listed(row, ends, rests) for row in one.rows])
                for one in filled
            ],
            "waiting": sum(one.count for one in filled),
            "error": error,
        },
        status=409 if error else 200,
    )


async def admit(ask: Ask) -> Response:
    """Admit one call, and back to the lists; a refusal is told above them."""
    form = await ask.form()
    call = form.required("call", 32)
    if not _HEX.fullmatch(call):
        raise HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")
    await load_call(ask, call)  # of the person's scope
    step = calls_pb2.CallStep(
        call=bytes.fromhex(call), actor=ask.person.actor, admit=calls_pb2.Admit()
    )
    request = api_pb2.TakeCallStepRequest(step=step, request_id=form.id())
    try:
        await ask.node.ask("TakeCallStep", request)
    except HuyingError as error:
        await ask.audit("call-admit", call, outcome="refused", detail=error.code.name.lower())
        return await _show(ask, error)
    await ask.audit("call-admit", call)
    return ask.redirect("centre", notice="sent")


PAGES: Final = (
    Page(
        "/centre",
        "centre",
        show_centre,
        Permission.CALLS_CENTRE,
        nav=Nav("调度中心", "Dispatch centre", 6, "calls"),
    ),
    Page("/centre/admit", "centre-admit", admit, Permission.CALLS_CENTRE, ("POST",)),
)
