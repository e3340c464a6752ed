"""Signing in and out: the password, the second factor, and the link that makes the first account.

A wrong password, an unknown login and a disabled account get the same words after the same work.
What is written to the trail about a failure is written after the answer has gone, since one write
more for a login that exists would be heard in the time.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, Final

from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from huying.common.errors import HuyingError
from huying.common.limits import SECURITY_KEY_CHARACTERS_MAX
from huying.node.web.access.account_words import seconds_left
from huying.node.web.access.key_pages import SIGN_IN, key_question, key_refused, keys_of
from huying.node.web.access.password_rules import place_words
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Permission
from huying.node.web.access.setup_link import SetupLink
from huying.node.web.access.totp import SecondFactors
from huying.node.web.app import Site
from huying.node.web.local import local_path, next_path
from huying.node.web.page import Ask, Page
from huying.node.web.refusals import plain

__all__ = ["PAGES", "begin_session"]

_LOGIN_CHARACTERS_MAX: Final = 200
_NAME_CHARACTERS_MAX: Final = 200
_UNKNOWN: Final = "account:?"
# Of failures at logins that do not exist, the trail has one row in so many seconds.
_UNKNOWN_SECONDS: Final = 60.0


# --- the password -----------------------------------------------------------------------------


async def sign_in(ask: Ask) -> Response:
    """The way in; whoever is in already goes on."""
    back = next_path(ask.request)
    if ask.signed_in is not None:
        name = "second-factor" if ask.signed_in.pending_factor else ""
        return ask.redirect(name, next=back) if name else RedirectResponse(back, status_code=303)
    return await _sign_in_form(ask, back)


async def check_sign_in(ask: Ask) -> Response:
    """The password, judged; a session where it is right."""
    form = await ask.form()
    login = form.secret("login")[:_LOGIN_CHARACTERS_MAX]
    password = form.secret("password")
    back = local_path(form.secret("next"))
    site, address, now = ask.site, ask.address, ask.now()

    def judge() -> Person | float | None:
        wait = site.throttle.admit(login, address, now)
        if wait > 0:
            return wait
        person = site.accounts.check_password(login, password, now)
        if person is not None:
            site.throttle.passed(login, address, now)
        return person

    found = await site.on_thread(judge)
    if isinstance(found, Person):
        pending = found.has_second_factor
        going = RedirectResponse(
            ask.url("second-factor", next=back) if pending else back, status_code=303
        )
        await begin_session(ask, going, found, pending=pending)
        return going
    if found is not None:
        response = await _sign_in_form(ask, back, login, seconds_left(ask, found), status=429)
        response.headers["Retry-After"] = str(math.ceil(found))
        return response
    wrong = ask.t(
        "登录名或密码不对,或账号不可用。一次性密码三天后失效。",
        "Wrong login or password, or the account can't be used. One-time passwords end after"
        " three days.",
    )
    response = await _sign_in_form(ask, back, login, wrong, status=401)
    response.background = BackgroundTask(_note_failure, site, login, now)
    return response


async def _sign_in_form(
    ask: Ask, back: str, login: str = "", wrong: str = "", *, status: int = 200
) -> Response:
    return await ask.render(
        "sign_in.html",
        status=status,
        back=back,
        login=login,
        wrong=wrong,
        has_provider=ask.site.provider is not None,
        provider_label=ask.site.config.oidc.label,
    )


def _note_failure(site: Site, login: str, now: float) -> None:
    # The answer has gone; the trail that can't be written now refuses the next sign-in that works.
    with contextlib.suppress(HuyingError):
        person = site.accounts.by_login(login)
        if person is not None:
            site.audit.write(now, "-", "sign-in", f"account:{person.login}", outcome="refused")
            return
        last = site.audit.page(action="sign-in", object_=_UNKNOWN, count=1)
        if not last or now - last[0].time_micros / 1e6 >= _UNKNOWN_SECONDS:
            site.audit.write(now, "-", "sign-in", _UNKNOWN, outcome="refused")


async def begin_session(
    ask: Ask, response: Response, person: Person, *, pending: bool = False, noted: bool = True
) -> None:
    """Sign a person in: write it down, end what this browser had, and hand it a new token.

    `noted=False`: they were signed in, and what they did is in the trail already.
    """
    site, now, old = ask.site, ask.now(), ask.request.cookies.get(ask.site.cookie, "")
    agent = ask.request.headers.get("user-agent", "")

    def begin() -> str:
        if noted and not pending:
            site.audit.write(now, person.login, "sign-in", f"account:{person.login}")
        if old:
            site.sessions.end(old)
        return site.sessions.begin(
            person.id, now, second_factor_pending=pending, address=ask.address, agent=agent
        )

    ask.site.set_session(response, await site.on_thread(begin))


# --- the second factor ------------------------------------------------------------------------


async def second_factor(ask: Ask) -> Response:
    """The page that asks for the code."""
    back = next_path(ask.request)
    if ask.signed_in is None:
        return ask.redirect("sign-in", next=back)
    if not ask.signed_in.pending_factor:
        return RedirectResponse(back, status_code=303)
    return await _ask_factor(ask, back, "", 200)


async def _ask_factor(ask: Ask, back: str, wrong: str, status: int) -> Response:
    options = await key_question(ask)
    shown = {"back": back, "wrong": wrong, "key_options": options}
    return await ask.render("second_factor.html", shown, status=status)


async def check_second_factor(ask: Ask) -> Response:
    """The code, judged; the session counts from then on, with another token."""
    form = await ask.form()
    back = local_path(form.secret("next"))
    if ask.signed_in is None:  # more than five minutes ago
        return ask.redirect("sign-in", notice="again", next=back)
    if not ask.signed_in.pending_factor:
        return RedirectResponse(back, status_code=303)
    person, site, now = ask.person, ask.site, ask.now()
    code, token = form.secret("code"), ask.request.cookies.get(site.cookie, "")
    answer = form.text("key_answer", SECURITY_KEY_CHARACTERS_MAX)
    challenge = site.challenges.take(ask.signed_in.session_id, SIGN_IN, now)
    factors = SecondFactors(site.console, ask.node.name)

    def judge() -> str | float:
        wait = site.throttle.admit_factor(person.id, now)
        if wait > 0:
            return wait
        if answer:
            is_right = keys_of(ask).check(person.id, answer, challenge, now)
        else:
            is_right = factors.check(person.id, code, now)
        if not is_right:
            site.audit.write(
                now, person.login, "second-factor", f"account:{person.login}", outcome="refused"
            )
            return 0.0
        site.throttle.passed_factor(person.id, now)
        site.audit.write(now, person.login, "sign-in", f"account:{person.login}")
        return site.sessions.renew(token, now)

    found = await site.on_thread(judge)
    if isinstance(found, str):
        response = RedirectResponse(back, status_code=303)
        site.set_session(response, found)
        return response
    if found > 0:
        return await _ask_factor(ask, back, seconds_left(ask, found), 429)
    wrong = ask.t(
        "验证码不对或已用过。等应用里的数字变了再输入;手机时间要准。",
        "Wrong, or used already. Wait for the next code; the handset's clock must be right.",
    )
    return await _ask_factor(ask, back, key_refused(ask) if answer else wrong, 401)


# --- signing out ------------------------------------------------------------------------------


async def sign_out(ask: Ask) -> Response:
    """End this session."""
    token = ask.request.cookies.get(ask.site.cookie, "")
    await ask.audit("sign-out", f"account:{ask.person.login}")
    await ask.site.on_thread(lambda: ask.site.sessions.end(token))
    return signed_out(ask, "signed-out")


def signed_out(ask: Ask, notice: str) -> Response:
    """To the sign-in page, without the cookie."""
    response = ask.redirect("sign-in", notice=notice)
    response.delete_cookie(
        ask.site.cookie, path="/", secure=ask.site.is_tls, httponly=True, samesite="lax"
    )
    return response


# --- the first account ------------------------------------------------------------------------


async def set_up(ask: Ask) -> Response:
    """The page that the set-up link opens."""
    link, token, now = SetupLink(ask.console), ask.path("token"), ask.now()
    if not await ask.site.on_thread(lambda: link.is_valid(token, now)):
        return await ask.render("set_up_void.html", status=404)
    return await _set_up_form(ask, {}, "")


async def save_set_up(ask: Ask) -> Response:
    """Make the first account, and sign it in."""
    form, now = await ask.form(), ask.now()
    link, token = SetupLink(ask.console), ask.path("token")
    if not await ask.site.on_thread(lambda: link.is_valid(token, now)):
        return await ask.render("set_up_void.html", status=404)
    password = form.secret("password")
    if password != form.secret("password_again"):
        return await _set_up_form(ask, form.values(), passwords_differ(ask))
    try:
        person = await ask.site.on_thread(
            lambda: link.redeem(
                token,
                login=form.text("login", _LOGIN_CHARACTERS_MAX),
                name=form.text("name", _NAME_CHARACTERS_MAX),
                password=password,
                now=now,
                language=ask.language,
                words=place_words(ask.site.config.node),
            )
        )
    except HuyingError as error:
        return await _set_up_form(ask, form.values(), plain(error, ask.language))
    await ask.audit("account-add", f"account:{person.login}", detail="by the set-up link")
    response = ask.redirect("account", notice="saved")
    await begin_session(ask, response, person)
    return response


async def _set_up_form(ask: Ask, values: dict[str, Any], wrong: str) -> Response:
    shown = {key: values.get(key, "") for key in ("login", "name")}
    return await ask.render("set_up.html", values=shown, wrong=wrong, status=400 if wrong else 200)


def passwords_differ(ask: Ask) -> str:
    """What to say where a new password was typed in two ways."""
    return ask.t("两次输入的新密码不一致", "The two new passwords differ")


PAGES: Final = (
    Page("/sign-in", "sign-in", sign_in, None),
    Page("/sign-in", "sign-in-check", check_sign_in, None, ("POST",)),
    Page("/second-factor", "second-factor", second_factor, None),
    Page("/second-factor", "second-factor-check", check_second_factor, None, ("POST",)),
    Page("/sign-out", "sign-out", sign_out, Permission.SIGNED_IN, ("POST",)),
    Page("/set-up/{token}", "set-up", set_up, None),
    Page("/set-up/{token}", "set-up-save", save_set_up, None, ("POST",)),
)
