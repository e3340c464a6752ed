"""Urging several calls by one form: first which and how many, then each with what became of it.

Each call is urged under a request id of its own, made of the form's and the call's: so a form that
is sent twice, by whatever accident, urges nobody twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import RECORD_ID_BYTES, URGED_CALLS_MAX
from huying.node.store.call_queries import CallRow
from huying.node.store.reader import Reader
from huying.node.web.calls.call_filters import day_ends, sees
from huying.node.web.calls.call_rows import ListedCall, Rests, listed
from huying.node.web.forms import Form
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["urge"]

_HEX: Final = re.compile(r"[0-9a-f]{32}")
_REASON_CHARACTERS_MAX: Final = 500
_ACTION: Final = "urge"  # in the audit trail


@dataclass(frozen=True, slots=True)
class _Urged:
    """What became of one call."""

    item: ListedCall
    error: HuyingError | None


async def urge(ask: Ask) -> Response:
    """Ask for a confirmation; then urge."""
    form = await ask.form()
    items = await _chosen(ask, form)
    if not form.flag("confirmed"):
        return await _confirm(ask, items, "")
    try:
        reason = form.required("reason", _REASON_CHARACTERS_MAX)
        request_id = form.id()
    except HuyingError as error:
        return await _confirm(ask, items, form.text("reason"), error)
    results = [
        _Urged(item, await _urge_one(ask, item.view.call, reason, request_id)) for item in items
    ]
    return await ask.render(
        "urged.html",
        {
            "urged": [one for one in results if one.error is None],
            "refused": [one for one in results if one.error is not None],
            "reason": reason,
        },
    )


async def _confirm(
    ask: Ask, items: list[ListedCall], reason: str, error: HuyingError | None = None
) -> Response:
    return await ask.render(
        "urge.html",
        {
            "items": items,
            "reason": reason,
            "error": error,
        },
        status=400 if error else 200,
    )


async def _chosen(ask: Ask, form: Form) -> list[ListedCall]:
    """The ticked calls, each once. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
    ids = list(dict.fromkeys(form.many("call")))
    if not 1 <= len(ids) <= URGED_CALLS_MAX or not all(_HEX.fullmatch(one) for one in ids):
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"call: tick 1 to {URGED_CALLS_MAX} calls, then urge them"
        )
    scope = ask.scope

    def read(reader: Reader) -> tuple[list[CallRow], Rests]:
        found = (reader.get_call(bytes.fromhex(one)) for one in ids)
        rows = [one[0] for one in found if one is not None and sees(scope, one[0])]
        return rows, reader.paused_rests(rows)

    rows, rests = await ask.node.read(read)
    if len(rows) != len(ids):
        raise HuyingError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")
    ends = day_ends(ask.now(), await ask.node.offset_minutes())
    return [listed(row, ends, rests) for row in rows]


async def _urge_one(ask: Ask, call: bytes, reason: str, request_id: bytes) -> HuyingError | None:
    """Urge one call; its row in the trail names it, as where it is urged on its own page."""
    step = calls_pb2.CallStep(call=call, actor=ask.person.actor, urge=calls_pb2.Urge(reason=reason))
    own_id = hashlib.sha256(b"urge" + request_id + call).digest()[:RECORD_ID_BYTES]
    request = api_pb2.TakeCallStepRequest(step=step, request_id=own_id)
    try:
        known = await ask.node.read(lambda reader: reader.request(own_id))
        await ask.node.ask("TakeCallStep", request)
    except HuyingError as error:
        await ask.audit(_ACTION, call.hex(), outcome="refused", detail=error.code.name)
        return error
    # A second press finds the first one's urge, and is nothing that anybody did.
    if known is None:
        await ask.audit(_ACTION, call.hex())
    return None
