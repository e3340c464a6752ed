"""Giving a hotline order to another handler: what the node that imported it does."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from huying.common.codes import parse_code
from huying.common.errors import HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.hub.web.order_runs import HOTLINE_DESK
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.calling.order_pages import LoadedOrder, load_order
from huying.node.web.page import Ask, Page
from huying.wire.v1 import hotline_pb2

__all__ = ["PAGES"]


async def show_assign(ask: Ask) -> Response:
    """The form: who may handle the order."""
    return await _assign_page(ask, await load_order(ask, ask.path("order")))


async def _assign_page(
    ask: Ask, loaded: LoadedOrder, *, error: HuyingError | None = None, status: int = 200
) -> Response:
    form = await ask.form() if ask.request.method == "POST" else None
    handlers: list[tuple[str, str]] = []
    try:
        request = hotline_pb2.ListHandlersRequest()
        response = await ask.node.desk(HOTLINE_DESK, "ListHandlers", request)
        names = await ask.node.names()
        for one in response.handlers:
            if ask.scope.sees_record(one.code):
                name = names.get(one.code, one.name)
                key = (
                    "" if one.has_key else ask.t("(没有密钥,不带联系方式)", "(no key: no contact)")
                )
                handlers.append((one.code, f"{name} {one.code}{key}"))
    except HuyingError as fault:
        if error is None:
            error, status = fault, error_status(fault.code)
    return await ask.render(
        "order_assign.html",
        {"error": error},
        status=status,
        loaded=loaded,
        handlers=handlers,
        typed=form.values() if form is not None else {},
    )


async def assign(ask: Ask) -> Response:
    """Give it to the one who was chosen. To give it to the same one again changes nothing."""
    form = await ask.form()
    loaded = await load_order(ask, ask.path("order"))
    try:
        handler = parse_code(form.text("handler", 20), "handler")
        ask.scope.record(handler)
        request = hotline_pb2.AssignOrderRequest(
            record=loaded.view.record,
            handler=handler,
            actor=ask.person.actor,
            reason=form.text("reason", NAME_CHARACTERS_MAX),
        )
        response = await ask.node.desk(HOTLINE_DESK, "AssignOrder", request)
    except HuyingError as error:
        await ask.audit("order-assign", loaded.hex, outcome="refused", detail=error.code.name)
        status = error_status(error.code)
        return await _assign_page(ask, loaded, error=error, status=status)
    if not response.unchanged:
        await ask.audit("order-assign", loaded.hex, detail=handler)
    notice = "unchanged" if response.unchanged else "sent"
    return ask.redirect("order", order=loaded.hex, notice=notice)


_PATH: Final = "/orders/{order}/assign"
PAGES: Final = (
    Page(_PATH, "order-assign", show_assign, Permission.CALLS_CENTRE),
    Page(_PATH, "order-assign-send", assign, Permission.CALLS_CENTRE, ("POST",)),
)
