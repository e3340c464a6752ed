"""Setting up the second factor: the picture that an app reads, the code, the recovery codes."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_words import seconds_left
from huying.node.web.access.people import must_have_factor
from huying.node.web.access.proof import must_prove
from huying.node.web.access.roles import Permission
from huying.node.web.access.sign_in_pages import begin_session, signed_out
from huying.node.web.access.totp import SecondFactors, qr_data_uri
from huying.node.web.local import local_path, next_path
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_GROUP: Final = 4  # characters of the secret that stand together, to be typed


async def factor(ask: Ask) -> Response:
    """The factor that there is; or the one that is offered."""
    back = next_path(ask.request, ask.url("account"))
    refused = await must_prove(ask, ask.url("factor", next=back))
    return refused or await _shown(ask, back, "")


async def confirm(ask: Ask) -> Response:
    """The first code of the new factor: it counts from now on."""
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
        return await _shown(ask, back, seconds_left(ask, found) if found > 0 else wrong)
    await ask.audit("factor-set", f"account:{person.login}")
    response = await ask.render("factor_codes.html", codes=found, back=back, is_new=True)
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


async def _shown(ask: Ask, back: str, wrong: str) -> Response:
    person, now = ask.person, ask.now()
    values: dict[str, Any] = {"back": back, "wrong": wrong}
    if person.has_second_factor:
        left = await ask.site.on_thread(lambda: _factors(ask).recovery_codes_left(person.id))
        policy = ask.site.config.console.second_factor
        return await ask.render(
            "factor.html", values, codes_left=left, must_have=must_have_factor(policy, person)
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
    Page("/account/factor/codes", "factor-codes", renew_codes, _OWN, ("POST",)),
    Page("/account/factor/drop", "factor-drop", drop, _OWN, ("POST",)),
)
