"""Signing in through the OpenID provider, and binding a subject of it to one's own account.

The provider never makes an account: an administrator enters people, and each binds the subject
once, signed in by password.
"""

from __future__ import annotations

from typing import Final

import anyio
import anyio.to_thread
from starlette.responses import RedirectResponse, Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.oidc import FLOW_SECONDS, Flow, Provider, Subject
from huying.node.web.access.proof import must_prove
from huying.node.web.access.roles import Permission
from huying.node.web.local import next_path
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_COOKIE: Final = "huying-oidc"
_DEED: Final = "oidc-sign-in"
_REFUSED_SECONDS: Final = 60.0  # between two rows of the trail about refusals


async def start(ask: Ask) -> Response:
    """To the provider, to sign in: by the button of our own page, not by somebody else's link."""
    if ask.request.headers.get("sec-fetch-site", "same-origin") == "cross-site":
        return RedirectResponse(ask.url("sign-in"), status_code=303)
    return await _to_provider(ask, next_path(ask.request), bind="")


async def bind(ask: Ask) -> Response:
    """To the provider, to bind whoever signs in there to the account that is signed in here."""
    assert ask.signed_in is not None, "the page is not public"
    # A link, not a form: the policy keeps forms from leading elsewhere. So no other site's link.
    if ask.request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HuyingError(Code.INVALID_ARGUMENT, "follow the link on your account's page")
    if not ask.signed_in.is_fresh(ask.now()):
        return RedirectResponse(ask.url("reauthenticate", next=ask.url("account")), 303)
    return await _to_provider(ask, ask.url("account"), bind=ask.person.id)


async def unbind(ask: Ask) -> Response:
    """The account is its password's alone again, where it has one."""
    refused = await must_prove(ask, ask.url("account"))
    if refused is not None:
        return refused
    person, now = ask.person, ask.now()
    if not person.has_password:
        raise HuyingError(
            Code.WRONG_STAGE, "the account has no password: unbound, nobody could sign in to it"
        )
    await ask.site.on_thread(lambda: ask.site.accounts.bind_subject(person.id, "", "", now))
    await ask.audit("oidc-unbind", person.login)
    return ask.redirect("sign-in", notice="saved")


async def callback(ask: Ask) -> Response:
    """Back from the provider."""
    try:
        response = await _answered(ask)
    except HuyingError as error:
        if error.code not in (Code.UNAUTHENTICATED, Code.UNREACHABLE):
            raise
        await _note_refused(ask, error.code.name)
        response = await ask.render("oidc_failed.html", {"error": error}, status=401)
    response.delete_cookie(_cookie(ask), secure=ask.site.is_tls, httponly=True, samesite="lax")
    return response


async def _answered(ask: Ask) -> Response:
    provider = _provider(ask)
    places = ask.site.flows.places
    flow = ask.site.flows.end(
        ask.request.cookies.get(_cookie(ask), ""), ask.query("state"), ask.now()
    )
    if error := ask.query("error"):
        raise HuyingError(Code.UNAUTHENTICATED, f"the provider says: {error[:60]}")
    # The code may be longer than what `query` keeps.
    code = ask.request.query_params.get("code", "")[:4096]
    issuer = ask.request.query_params.get("iss", "")
    subject = await anyio.to_thread.run_sync(
        lambda: provider.subject(flow, code, issuer), limiter=places
    )
    return await (_bound(ask, flow, subject) if flow.bind else _signed_in(ask, flow, subject))


async def _bound(ask: Ask, flow: Flow, subject: Subject) -> Response:
    here = ask.signed_in
    if here is None or here.pending_factor or here.person.id != flow.bind:
        raise HuyingError(Code.UNAUTHENTICATED, "the account that began this is not signed in")
    now = ask.now()
    await ask.site.on_thread(
        lambda: ask.site.accounts.bind_subject(flow.bind, subject.issuer, subject.subject, now)
    )
    await ask.audit("oidc-bind", ask.person.login)
    return ask.redirect("sign-in", notice="saved")


async def _signed_in(ask: Ask, flow: Flow, subject: Subject) -> Response:
    person = await ask.site.on_thread(
        lambda: ask.site.accounts.by_subject(subject.issuer, subject.subject)
    )
    if person is None or person.disabled:
        await _note_refused(ask, "no account is bound")
        return await ask.render("oidc_unknown.html", status=403)
    site, now, old = ask.site, ask.now(), ask.request.cookies.get(ask.site.cookie, "")
    agent = ask.request.headers.get("user-agent", "")

    def begin() -> str:
        if old:
            site.sessions.end(old)
        return site.sessions.begin(
            person.id,
            now,
            second_factor_pending=person.has_second_factor,
            address=ask.address,
            agent=agent,
        )

    token = await site.on_thread(begin)
    await ask.audit(_DEED, person.login)
    response = RedirectResponse(flow.next, status_code=303)
    ask.site.set_session(response, token)
    return response


async def _note_refused(ask: Ask, detail: str) -> None:
    """Write it down; of many, as nobody in particular can make them, one a minute."""
    last = await ask.site.on_thread(lambda: ask.site.audit.page(action=_DEED, count=1))
    young = last and ask.now() - last[0].time_micros / 1e6 < _REFUSED_SECONDS
    if not (young and last[0].outcome == "refused"):
        await ask.audit(_DEED, outcome="refused", detail=detail)


async def _to_provider(ask: Ask, next_: str, bind: str) -> Response:
    provider = _provider(ask)
    key, flow = ask.site.flows.begin(ask.now(), next_, bind)
    places = ask.site.flows.places
    address = await anyio.to_thread.run_sync(lambda: provider.address(flow), limiter=places)
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(
        _cookie(ask),
        key,
        max_age=int(FLOW_SECONDS),
        httponly=True,
        samesite="lax",  # the provider sends the browser back by a link
        secure=ask.site.is_tls,
    )
    return response


def _provider(ask: Ask) -> Provider:
    if ask.site.provider is None:
        raise HuyingError(Code.NOT_FOUND, "no OpenID provider is set up: oidc.issuer")
    return ask.site.provider


def _cookie(ask: Ask) -> str:
    return f"{'__Host-' if ask.site.is_tls else ''}{_COOKIE}-{ask.node.code}"


PAGES: Final = (
    Page("/oidc/start", "oidc-start", start, None),
    Page("/oidc/callback", "oidc-callback", callback, None),
    Page("/oidc/bind", "oidc-bind", bind, Permission.SIGNED_IN),
    Page("/oidc/unbind", "oidc-unbind", unbind, Permission.SIGNED_IN, ("POST",)),
)
