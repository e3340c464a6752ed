"""One's own account: what it is, its password, its language, and where it is signed in."""

from __future__ import annotations

from typing import Final

from starlette.responses import RedirectResponse, Response

from huying.common.errors import HuyingError
from huying.node.web.access.account_words import device
from huying.node.web.access.people import must_have_factor
from huying.node.web.access.proof import check_own_password, must_prove
from huying.node.web.access.roles import Permission, role_names
from huying.node.web.access.sign_in_pages import begin_session, passwords_differ, signed_out
from huying.node.web.access.totp import SecondFactors
from huying.node.web.home_pages import keep_language
from huying.node.web.local import local_path, next_path
from huying.node.web.page import Ask, Page
from huying.node.web.refusals import plain

__all__ = ["PAGES"]

_ID_CHARACTERS_MAX: Final = 64


async def account(ask: Ask) -> Response:
    """Everything about one's own account."""
    assert ask.signed_in is not None, "the page is not public"
    person, now = ask.person, ask.now()
    factors = SecondFactors(ask.console, ask.node.name)
    sessions = await ask.site.on_thread(lambda: ask.site.sessions.list(person.id, now))
    codes_left = await ask.site.on_thread(lambda: factors.recovery_codes_left(person.id))
    return await ask.render(
        "account.html",
        role_list=[ask.t(*role_names(role)) for role in person.roles],
        sessions=[(one, device(ask, one.agent)) for one in sessions],
        own_session=ask.signed_in.session_id,
        codes_left=codes_left,
        must_have=must_have_factor(ask.site.config.console.second_factor, person),
        has_provider=ask.site.provider is not None,
        provider_label=ask.site.config.oidc.label,
    )


async def change_password(ask: Ask) -> Response:
    """The page where another password is chosen."""
    return await _password_form(ask, next_path(ask.request), "")


async def save_password(ask: Ask) -> Response:
    """Another password, and one session instead of all there were."""
    form, person, now = await ask.form(), ask.person, ask.now()
    back = local_path(form.text("next"))
    password = form.secret("password")
    if password != form.secret("password_again"):
        return await _password_form(ask, back, passwords_differ(ask))
    wrong = await check_own_password(ask, form.secret("own_password"))
    if wrong:
        return await _password_form(ask, back, wrong)
    try:
        await ask.site.on_thread(lambda: ask.site.accounts.set_password(person.id, password, now))
    except HuyingError as error:
        return await _password_form(ask, back, plain(error, ask.language))
    await ask.audit("password-change", f"account:{person.login}")
    if back == "/":
        response = ask.redirect("account", notice="password-changed")
    else:
        response = RedirectResponse(back, status_code=303)
    await begin_session(ask, response, person, noted=False)
    return response


async def _password_form(ask: Ask, back: str, wrong: str) -> Response:
    status = 400 if wrong else 200
    return await ask.render("change_password.html", back=back, wrong=wrong, status=status)


async def save_language(ask: Ask) -> Response:
    """The language that the person reads, on every device from now on."""
    form, person = await ask.form(), ask.person
    language = "en" if form.text("language", 8) == "en" else "zh"
    await ask.site.on_thread(lambda: ask.site.accounts.set_language(person.id, language))
    response = ask.redirect("account", notice="saved")
    keep_language(ask, response, language)
    return response


async def end_session(ask: Ask) -> Response:
    """End one session of one's own, as on a handset that was lost.

    Another one than this asks for proof, so that whoever found an open browser can't shut its
    owner out everywhere else.
    """
    assert ask.signed_in is not None, "the page is not public"
    form, person = await ask.form(), ask.person
    session = form.text("session", _ID_CHARACTERS_MAX)
    if session != ask.signed_in.session_id:
        refused = await must_prove(ask, ask.url("account"))
        if refused is not None:
            return refused
    ended = await ask.site.on_thread(lambda: ask.site.sessions.end_one(person.id, session))
    if ended:
        await ask.audit("session-end", f"account:{person.login}")
    if session == ask.signed_in.session_id:
        return signed_out(ask, "signed-out")
    return ask.redirect("account", notice="saved" if ended else "unchanged")


async def end_sessions(ask: Ask) -> Response:
    """Log out everywhere, here too; for whoever has proven lately who they are."""
    person = ask.person
    refused = await must_prove(ask, ask.url("account"))
    if refused is not None:
        return refused
    await ask.audit("sign-out-everywhere", f"account:{person.login}")
    await ask.site.on_thread(lambda: ask.site.sessions.end_all(person.id))
    return signed_out(ask, "signed-out-everywhere")


_OWN: Final = Permission.SIGNED_IN
PAGES: Final = (
    Page("/account", "account", account, _OWN),
    Page("/account/password", "change-password", change_password, _OWN),
    Page("/account/password", "change-password-save", save_password, _OWN, ("POST",)),
    Page("/account/language", "account-language", save_language, _OWN, ("POST",)),
    Page("/account/sessions/end", "session-end", end_session, _OWN, ("POST",)),
    Page("/account/sessions/end-all", "sign-out-everywhere", end_sessions, _OWN, ("POST",)),
)
