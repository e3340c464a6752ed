"""Proving again who sits there: the person's own password, before a deed that is worth it.

A page of such deeds begins with `must_prove`: where the password was given ten minutes ago or
earlier, it answers with the way to the page that asks for it, and back. What was typed meanwhile
is kept as a draft, where the form names one.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_words import seconds_left
from huying.node.web.access.roles import Permission
from huying.node.web.local import local_path, next_path
from huying.node.web.page import NOT_KEPT, Ask, Page

__all__ = ["PAGES", "check_own_password", "must_prove", "renew_session"]

_DRAFT_KEY_CHARACTERS_MAX: Final = 200


async def must_prove(ask: Ask, back: str) -> Response | None:
    """None where the password was given lately; else the way to the page that asks for it.

    `back`: where to go on afterwards.
    """
    assert ask.signed_in is not None, "the page is not public"
    now = ask.now()
    if ask.signed_in.is_fresh(now):
        return None
    if ask.request.method == "POST":
        form = await ask.form()
        key = form.text("draft_key", _DRAFT_KEY_CHARACTERS_MAX)
        if key:
            fields = {k: v for k, v in form.values().items() if k not in NOT_KEPT}
            await ask.site.on_thread(lambda: ask.site.drafts.save(ask.person.id, key, fields, now))
    return RedirectResponse(ask.url("reauthenticate", next=back), status_code=303)


async def check_own_password(ask: Ask, password: str) -> str:
    """What is wrong with it, in words for the person; empty where it is theirs."""
    person, now, site = ask.person, ask.now(), ask.site

    def check() -> tuple[float, bool]:
        wait = site.throttle.admit_factor(person.id, now)
        if wait > 0:
            return wait, False
        found = site.accounts.check_password(person.login, password, now)
        if found is not None:
            site.throttle.passed_factor(person.id, now)
        return 0.0, found is not None

    wait, is_right = await site.on_thread(check)
    if wait > 0:
        return seconds_left(ask, wait)
    if not is_right:
        await ask.audit("password-ask", f"account:{person.login}", outcome="refused")
        return ask.t("密码不对", "That is not your password")
    return ""


async def renew_session(ask: Ask, response: Response) -> None:
    """Give the session another token, since its person has just proven who they are."""
    token = ask.request.cookies.get(ask.site.cookie, "")
    now = ask.now()
    fresh = await ask.site.on_thread(lambda: ask.site.sessions.renew(token, now))
    ask.site.set_session(response, fresh)


async def reauthenticate(ask: Ask) -> Response:
    """The page that asks for the password again."""
    return await _shown(ask, next_path(ask.request), "")


async def check_reauthenticate(ask: Ask) -> Response:
    """Whether it is their password; and on to where they wanted."""
    form = await ask.form()
    back = local_path(form.text("next"))
    if not ask.person.has_password:
        raise HuyingError(Code.NOT_FOUND, "the account has no password: sign in again")
    wrong = await check_own_password(ask, form.secret("own_password"))
    if wrong:
        return await _shown(ask, back, wrong)
    response = RedirectResponse(back, status_code=303)
    await renew_session(ask, response)
    return response


async def _shown(ask: Ask, back: str, wrong: str) -> Response:
    return await ask.render("reauthenticate.html", back=back, wrong=wrong)


PAGES: Final = (
    Page("/account/again", "reauthenticate", reauthenticate, Permission.SIGNED_IN),
    Page(
        "/account/again",
        "reauthenticate-check",
        check_reauthenticate,
        Permission.SIGNED_IN,
        ("POST",),
    ),
)
