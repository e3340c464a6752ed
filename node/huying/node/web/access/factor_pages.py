"""Setting up the second factor: an app by its picture and first code, keys, recovery codes."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import SECURITY_KEY_CHARACTERS_MAX
from huying.node.web.access.account_words import seconds_left
from huying.node.web.access.key_pages import added_key, key_offer, key_refused, keys_of
from huying.node.web.access.people import must_have_factor
from huying.node.web.access.proof import must_prove
from huying.node.web.access.roles import Permission
from huying.node.web.access.sign_in_pages import begin_session, signed_out
from huying.node.web.access.totp import SecondFactors, qr_data_uri
from huying.node.web.local import local_path, next_path
from huying.node.web.page import Ask, Page
from huying.node.web.refusals import plain

__all__ = ["PAGES"]

_GROUP: Final = 4  # characters of the secret that stand together, to be typed


async def factor(ask: Ask) -> Response:
    """The factor that there is; or the one that is offered."""
    back = next_path(ask.request, ask.url("account"))
    refused = await must_prove(ask, ask.url("factor", next=back))
    return refused or await _shown(ask, back, "", app=bool(ask.query("app")))


async def confirm(ask: Ask) -> Response:
    """The first code of the app: it counts from now on."""
    form, person, now = await ask.form(), ask.person, ask.now()
    back = local_path(form.text("next"), ask.url("account"))
    refused = await must_prove(ask, ask.url("factor", next=back))
    if refused is not None:
        return refused
    factors, code = _factors(ask), form.secret("code")

    def judge() -> tuple[str, ...] | float:
        wait = ask.site.throttle.admit_factor(person.id, now)
        if wait > 0:
            return wait
        codes = factors.confirm(person.id, code, now)
        if codes is None:
            return 0.0
        ask.site.throttle.passed_factor(person.id, now)
        return codes

    found = await ask.site.on_thread(judge)
    if not isinstance(found, tuple):
        wrong = ask.t(
            "验证码不对。请输入应用里现在显示的六位数字;手机时间要准。",
            "Wrong code. Type the six digits that the app shows now; its clock must be right.",
        )
        text = seconds_left(ask, found) if found > 0 else wrong
        return await _shown(ask, back, text, app=True)
    await ask.audit("factor-set", f"account:{person.login}")
    response = await ask.render("factor_codes.html", codes=found, back=back, is_new=True)
    await begin_session(ask, response, person, noted=False)
    return response


async def add_key(ask: Ask) -> Response:
    """Another security key: it counts from now on, and every other device signs in anew."""
    form, person = await ask.form(), ask.person
    back = local_path(form.text("next"), ask.url("account"))
    refused = await must_prove(ask, ask.url("factor", next=back))
    if refused is not None:
        return refused
    try:
        is_good = await added_key(ask)
    except HuyingError as error:
        return await _shown(ask, back, plain(error, ask.language))
    outcome = "done" if is_good else "refused"
    await ask.audit("key-add", f"account:{person.login}", outcome=outcome)
    if not is_good:
        return await _shown(ask, back, key_refused(ask))
    if person.has_second_factor:
        response = ask.redirect("factor", notice="saved")
    else:
        codes = await ask.site.on_thread(lambda: _factors(ask).renew_codes(person.id))
        response = await ask.render("factor_codes.html", codes=codes, back=back, is_new=True)
    await begin_session(ask, response, person, noted=False)
    return response


async def remove_key(ask: Ask) -> Response:
    """Take a key away; where it was the only factor, the recovery codes go with it."""
    form, person, now = await ask.form(), ask.person, ask.now()
    refused = await must_prove(ask, ask.url("factor"))
    if refused is not None:
        return refused
    key = form.text("key", SECURITY_KEY_CHARACTERS_MAX)
    if not await ask.site.on_thread(lambda: keys_of(ask).remove(person.id, key, now)):
        return ask.redirect("factor", notice="unchanged")
    await ask.audit("key-remove", f"account:{person.login}")
    left = await ask.site.on_thread(lambda: ask.site.accounts.by_id(person.id))
    if left is None or not left.has_second_factor:
        await ask.site.on_thread(lambda: _factors(ask).drop(person.id, now))
        return signed_out(ask, "factor-dropped")
    response = ask.redirect("factor", notice="saved")
    await begin_session(ask, response, person, noted=False)
    return response


async def renew_codes(ask: Ask) -> Response:
    """Ten other recovery codes."""
    refused = await must_prove(ask, ask.url("factor"))
    if refused is not None:
        return refused
    person = ask.person
    if not person.has_second_factor:
        raise HuyingError(Code.WRONG_STAGE, "the account has no second factor")
    codes = await ask.site.on_thread(lambda: _factors(ask).renew_codes(person.id))
    await ask.audit("factor-codes", f"account:{person.login}")
    return await ask.render("factor_codes.html", codes=codes, back=ask.url("account"), is_new=False)


async def drop(ask: Ask) -> Response:
    """Take the factor away; every device signs in anew."""
    refused = await must_prove(ask, ask.url("factor"))
    if refused is not None:
        return refused
    person, now = ask.person, ask.now()
    await ask.audit("factor-drop", f"account:{person.login}")
    await ask.site.on_thread(lambda: _factors(ask).drop(person.id, now))
    return signed_out(ask, "factor-dropped")


async def _shown(ask: Ask, back: str, wrong: str, *, app: bool = False) -> Response:
    """The factors that there are; or what is offered, as where another one is an `app`."""
    person, now = ask.person, ask.now()
    values: dict[str, Any] = {"back": back, "wrong": wrong, **await key_offer(ask)}
    has_app = await ask.site.on_thread(lambda: _factors(ask).has_app(person.id))
    if person.has_second_factor and (has_app or not app):
        left = await ask.site.on_thread(lambda: _factors(ask).recovery_codes_left(person.id))
        policy = ask.site.config.console.second_factor
        return await ask.render(
            "factor.html",
            values,
            status=400 if wrong else 200,
            codes_left=left,
            has_app=has_app,
            must_have=must_have_factor(policy, person),
        )
    offer = await ask.site.on_thread(lambda: _factors(ask).offer(person.id, now))
    groups = [offer.secret[at : at + _GROUP] for at in range(0, len(offer.secret), _GROUP)]
    return await ask.render(
        "factor_set_up.html",
        values,
        status=400 if wrong else 200,
        picture=qr_data_uri(offer.uri),
        uri=offer.uri,
        secret=" ".join(groups),
    )


def _factors(ask: Ask) -> SecondFactors:
    return SecondFactors(ask.console, ask.node.name)


_OWN: Final = Permission.SIGNED_IN
PAGES: Final = (
    Page("/account/factor", "factor", factor, _OWN),
    Page("/account/factor", "factor-confirm", confirm, _OWN, ("POST",)),
    Page("/account/factor/keys", "key-add", add_key, _OWN, ("POST",)),
    Page("/account/factor/keys/remove", "key-remove", remove_key, _OWN, ("POST",)),
    Page("/account/factor/codes", "factor-codes", renew_codes, _OWN, ("POST",)),
    Page("/account/factor/drop", "factor-drop", drop, _OWN, ("POST",)),
)
