"""Security keys on the screen: one's own, another one, and the question that a key answers.

The page that has the button carries the challenge; a script hands the key's answer to the page's
form, which is sent like any other. A challenge is of the session that it was drawn for.
"""

from __future__ import annotations

from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import SECURITY_KEY_CHARACTERS_MAX
from huying.node.web.access.security_keys import SecurityKeys, party_of
from huying.node.web.page import Ask

__all__ = [
    "REGISTER",
    "SIGN_IN",
    "added_key",
    "key_offer",
    "key_question",
    "key_refused",
    "keys_of",
]

SIGN_IN: Final = "sign-in"
REGISTER: Final = "register"


def keys_of(ask: Ask) -> SecurityKeys:
    """The keys of this console. Raises HuyingError(WRONG_STAGE) where browsers know none here."""
    party = party_of(ask.site.origin)
    if party is None:
        raise HuyingError(Code.WRONG_STAGE, "keys: browsers know them over TLS and a name alone")
    return SecurityKeys(ask.console, party, ask.node.name)


async def key_question(ask: Ask) -> str:
    """What a key of the person is asked at this sign-in, as JSON; empty where there is none."""
    assert ask.signed_in is not None, "somebody has given a password"
    if party_of(ask.site.origin) is None:
        return ""
    keys, person = keys_of(ask), ask.person
    if not await ask.site.on_thread(lambda: keys.list(person.id)):
        return ""
    challenge = _challenge(ask, ask.signed_in.session_id, SIGN_IN)
    return await ask.site.on_thread(lambda: keys.request_options(person.id, challenge))


async def key_offer(ask: Ask) -> dict[str, Any]:
    """The person's keys, and what the browser needs to make another one."""
    assert ask.signed_in is not None, "the page is not public"
    if party_of(ask.site.origin) is None:
        return {"keys": (), "key_options": "", "origin": ask.site.origin}
    keys, person = keys_of(ask), ask.person
    challenge = _challenge(ask, ask.signed_in.session_id, REGISTER)
    return {
        "keys": await ask.site.on_thread(lambda: keys.list(person.id)),
        "key_options": await ask.site.on_thread(
            lambda: keys.creation_options(person.id, person.login, challenge)
        ),
        "origin": ask.site.origin,
    }


def _challenge(ask: Ask, session: str, purpose: str) -> bytes:
    """For the page that is asked for.

    What an open tab loads again by itself takes none of the new page's forms, so the challenge in
    the form that stands there must go on waiting for its key.
    """
    by_itself = "x-live" in ask.request.headers
    return ask.site.challenges.draw(session, purpose, ask.now(), keep=by_itself)


async def added_key(ask: Ask) -> bool:
    """Take the key that the form brings; whether it was good. Raises as `SecurityKeys.add`."""
    assert ask.signed_in is not None, "the page is not public"
    form, person, now = await ask.form(), ask.person, ask.now()
    challenge = ask.site.challenges.take(ask.signed_in.session_id, REGISTER, now)
    name = form.text("key_name")
    answer = form.text("key_answer", SECURITY_KEY_CHARACTERS_MAX)
    keys = keys_of(ask)
    return await ask.site.on_thread(lambda: keys.add(person.id, name, answer, challenge, now))


def key_refused(ask: Ask) -> str:
    """That a key's answer does not count."""
    return ask.t(
        "安全密钥没有通过,或页面打开超过了五分钟。请再试一次。",
        "The key was refused, or the page was open for over five minutes. Try again.",
    )
