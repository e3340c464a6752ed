"""数据提供申请: the requests that wait here, what was decided, and who looked.

A village clerk reads one in a few words, presses once for yes or no, and once more to confirm. All
of it works without script; the node itself decides what can't be given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.page import Ask, Nav, Page
from huying.node.web.provisions.provision_reads import (
    PROVISIONS,
    Shown,
    find_provision,
    list_shown,
    may_open,
    refresh_heard,
)
from huying.node.web.provisions.provision_words import REASONS
from huying.wire.v1 import provision_pb2

__all__ = ["PAGES"]

_DECIDE: Final = Permission.PROVISIONS_DECIDE
_ASK: Final = Permission.PROVISIONS_ASK
_TOKEN_HEX_MAX: Final = 200
_NOTE_CHARACTERS_MAX: Final = 500


async def provisions(ask: Ask) -> Response:
    """The requests that wait, or all of them."""
    decides = ask.may(_DECIDE)
    waiting = ask.query("show", "waiting" if decides else "all") == "waiting"
    shown, token = await list_shown(ask, waiting=waiting, page_token=_token(ask.query("page")))
    show = "waiting" if waiting else "all"
    return await ask.render(
        "provisions.html",
        shown=shown,
        waiting=waiting,
        decides=decides,
        next_url=ask.url("provisions", show=show, page=token.hex()) if token else "",
    )


def _token(text: str) -> bytes:
    try:
        return bytes.fromhex(text[:_TOKEN_HEX_MAX])
    except ValueError:
        return b""


async def provision(ask: Ask) -> Response:
    """One request: who asks for what, what became of it, and who looked."""
    shown = await find_provision(ask, ask.path("record"))
    await refresh_heard(ask, shown)
    if shown.subject:
        await ask.audit("provision-view", shown.view.record.hex())
    return await _page(ask, "provision.html", shown)


async def approve(ask: Ask) -> Response:
    """Whether to give it; and the approval."""
    return await _decided(
        ask,
        "approve",
        lambda _form: {"verdict": provision_pb2.PROVISION_VERDICT_APPROVED},
    )


async def deny(ask: Ask) -> Response:
    """Why not; and the denial."""

    def given(form: Any) -> dict[str, Any]:
        reason = form.text("reason", 32)
        if reason not in REASONS:
            raise HuyingError(Code.INVALID_ARGUMENT, f"reason: one of {', '.join(REASONS)}")
        return {
            "verdict": provision_pb2.PROVISION_VERDICT_DENIED,
            "reason": provision_pb2.DenialReason.Value(f"DENIAL_REASON_{reason.upper()}"),
            "text": form.text("text", _NOTE_CHARACTERS_MAX),
        }

    return await _decided(ask, "deny", given)


async def _decided(ask: Ask, deed: str, given: Callable[[Any], dict[str, Any]]) -> Response:
    shown = await find_provision(ask, ask.path("record"))
    record = shown.view.record
    if not shown.is_home:
        raise HuyingError(Code.NOT_FOUND, "another node decides this request")
    if ask.request.method == "GET":
        return await _page(ask, "provision_decide.html", shown, deed=deed)
    form = await ask.form()
    form.id()
    try:
        asked = provision_pb2.DecideProvisionRequest(
            record=record, actor=ask.person.actor, **given(form)
        )
        if _is_done(shown, ask.person.actor, asked.verdict):
            return ask.redirect("provision", record=record.hex())
        await ask.node.desk(PROVISIONS, "DecideProvision", asked)
    except HuyingError as error:
        return await _page(ask, "provision_decide.html", shown, error, deed=deed, form=form)
    await ask.audit(f"provision-{deed}", record.hex())
    return ask.redirect("provision", record=record.hex(), notice="sent")


async def withdraw(ask: Ask) -> Response:
    """Whether to take an approval back; and the withdrawal."""
    shown = await find_provision(ask, ask.path("record"))
    record = shown.view.record
    if not shown.is_home:
        raise HuyingError(Code.NOT_FOUND, "another node decides this request")
    if ask.request.method == "GET":
        return await _page(ask, "provision_decide.html", shown, deed="withdraw")
    form = await ask.form()
    form.id()
    if _is_done(shown, ask.person.actor, provision_pb2.PROVISION_VERDICT_WITHDRAWN):
        return ask.redirect("provision", record=record.hex())
    try:
        asked = provision_pb2.WithdrawProvisionRequest(
            record=record, actor=ask.person.actor, text=form.text("text", _NOTE_CHARACTERS_MAX)
        )
        await ask.node.desk(PROVISIONS, "WithdrawProvision", asked)
    except HuyingError as error:
        return await _page(ask, "provision_decide.html", shown, error, deed="withdraw", form=form)
    await ask.audit("provision-withdraw", record.hex())
    return ask.redirect("provision", record=record.hex(), notice="sent")


def _is_done(shown: Shown, actor: str, verdict: int) -> bool:
    """Whether this person said that very thing already: the form was sent twice."""
    view = shown.view
    return (
        view.HasField("decision")
        and view.decision.verdict == verdict
        and view.decision.decided_by == actor
    )


async def _page(
    ask: Ask,
    template: str,
    shown: Shown,
    error: HuyingError | None = None,
    *,
    deed: str = "",
    form: Any = None,
) -> Response:
    view = shown.view
    waits = view.stage == provision_pb2.PROVISION_STAGE_WAITING
    decides = shown.is_home and ask.may(_DECIDE)
    return await ask.render(
        template,
        {
            "one": shown,
            "view": view,
            "deed": deed,
            "reasons": REASONS,
            "may_decide": decides and waits and not view.obstacle,
            "may_deny": decides and waits,
            "may_withdraw": decides and view.stage == provision_pb2.PROVISION_STAGE_APPROVED,
            "may_open": may_open(ask, view)
            and view.stage == provision_pb2.PROVISION_STAGE_APPROVED,
            "note": form.text("text") if form is not None else "",
            "error": error,
        },
        status=200 if error is None else 409 if error.code is Code.WRONG_STAGE else 400,
    )


_BOTH: Final = ("GET", "POST")
PAGES: Final = (
    Page(
        "/provisions",
        "provisions",
        provisions,
        _DECIDE,
        nav=Nav("数据申请", "Data requests", 40, "provisions"),
        also=_ASK,
    ),
    Page("/provisions/{record}", "provision", provision, _DECIDE, also=_ASK),
    Page("/provisions/{record}/approve", "provision-approve", approve, _DECIDE, _BOTH),
    Page("/provisions/{record}/deny", "provision-deny", deny, _DECIDE, _BOTH),
    Page("/provisions/{record}/withdraw", "provision-withdraw", withdraw, _DECIDE, _BOTH),
)
