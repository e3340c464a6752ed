"""Security keys: what counts as an answer, whose it is, and what becomes of the sessions."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from huying.common import limits
from huying.common.errors import HuyingError
from huying.node.web.access import totp
from huying.node.web.access.security_keys import (
    Challenges,
    Party,
    SecurityKeys,
    party_of,
)
from huying.node.web.access.sessions import Sessions
from huying.node.web.access.totp import SecondFactors
from huying.node.web.schema import SECURITY_KEYS
from huying.node.web.store import ConsoleStore
from tests.support.console_people import CHEAP, cheap_accounts, enter
from tests.support.console_site import PASSWORD, ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY
from tests.unit.console.soft_key import SoftKey

ORIGIN = "https://huying.example:8443"
PARTY = Party("huying.example", ORIGIN)
NOW = 1_790_000_000.0
CHALLENGE = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    opened = ConsoleStore.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def zhang(store: ConsoleStore) -> str:
    return enter(cheap_accounts(store), "zhang").id


@pytest.fixture
def keys(store: ConsoleStore) -> SecurityKeys:
    return SecurityKeys(store, PARTY)


def registered(keys: SecurityKeys, person: str, key: SoftKey, name: str = "blue") -> bool:
    options = keys.creation_options(person, "zhang", CHALLENGE)
    return keys.add(person, name, key.made(options), CHALLENGE, NOW)


def answer(keys: SecurityKeys, person: str, key: SoftKey, challenge: bytes = CHALLENGE) -> str:
    return key.used(keys.request_options(person, challenge))


# --- what counts ---------------------------------------------------------------------------------


def test_a_registered_key_answers_its_own_challenge(
    keys: SecurityKeys, zhang: str, store: ConsoleStore
) -> None:
    """The ordinary case; the account counts as having a second factor."""
    key = SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    person = cheap_accounts(store).by_id(zhang)
    assert person is not None
    assert person.has_second_factor
    assert keys.check(zhang, answer(keys, zhang, key), CHALLENGE, NOW + 5)
    (shown,) = keys.list(zhang)
    assert (shown.name, shown.used_seconds) == ("blue", NOW + 5)


@pytest.mark.parametrize(
    ("origin", "domain"),
    [
        ("https://huying.example", PARTY.id),
        ("http://huying.example:8443", PARTY.id),
        ("https://evil.example:8443", PARTY.id),
        (ORIGIN, "evil.example"),
    ],
)
def test_an_answer_for_another_origin_is_refused(
    keys: SecurityKeys, zhang: str, origin: str, domain: str
) -> None:
    """This is what a key is for: a page that looks like ours learns nothing that opens ours."""
    elsewhere = SoftKey(origin, domain)
    assert not registered(keys, zhang, elsewhere)
    key = SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    key.origin, key.domain = origin, domain
    assert not keys.check(zhang, answer(keys, zhang, key), CHALLENGE, NOW)


def test_an_answer_to_another_challenge_is_refused(keys: SecurityKeys, zhang: str) -> None:
    """Else one that was recorded would open the door again."""
    key = SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    recorded = answer(keys, zhang, key, bytes(32))
    assert not keys.check(zhang, recorded, CHALLENGE, NOW)
    assert not keys.check(zhang, recorded, None, NOW)
    assert keys.check(zhang, recorded, bytes(32), NOW)


def test_a_count_that_does_not_go_on_is_refused(keys: SecurityKeys, zhang: str) -> None:
    """Two keys that count apart are one that was copied."""
    key = SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    key.count = 7
    assert keys.check(zhang, answer(keys, zhang, key), CHALLENGE, NOW)
    for count in (7, 3):
        key.count = count - 1
        assert not keys.check(zhang, answer(keys, zhang, key), CHALLENGE, NOW)
    key.count = 8
    assert keys.check(zhang, answer(keys, zhang, key), CHALLENGE, NOW)


def test_a_key_opens_its_owners_account_alone(
    keys: SecurityKeys, zhang: str, store: ConsoleStore
) -> None:
    """Somebody with a password and a key of their own must not enter as somebody else."""
    li = enter(cheap_accounts(store), "li").id
    key = SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    assert not keys.check(li, answer(keys, zhang, key), CHALLENGE, NOW)
    assert not registered(keys, li, key), "one credential, one account"
    assert not keys.remove(li, keys.list(zhang)[0].id, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "\ud800",
        '{"id": 7}',
        '{"id":"AA","rawId":"AA","response":{}}',
        "x" * 99,
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_else(
    keys: SecurityKeys, zhang: str, text: str
) -> None:
    """A hostile form must meet a refusal, never a defect."""
    assert registered(keys, zhang, SoftKey(ORIGIN, PARTY.id))
    assert not keys.check(zhang, text, CHALLENGE, NOW)
    assert not keys.add(zhang, "red", text, CHALLENGE, NOW)


def test_a_forged_signature_is_refused(keys: SecurityKeys, zhang: str) -> None:
    """Knowing a key's id is no key."""
    key, forger = SoftKey(ORIGIN, PARTY.id), SoftKey(ORIGIN, PARTY.id)
    assert registered(keys, zhang, key)
    forger.id = key.id
    assert not keys.check(zhang, answer(keys, zhang, forger), CHALLENGE, NOW)


def test_a_challenge_is_worth_one_try_of_its_own_session_for_five_minutes() -> None:
    """Whoever took a page along, or an answer, has nothing in hand."""
    waiting = Challenges()
    first = waiting.draw("a", "sign-in", NOW)
    assert waiting.take("b", "sign-in", NOW) is None
    assert waiting.take("a", "register", NOW) is None
    assert waiting.take("a", "sign-in", NOW + 300) == first
    assert waiting.take("a", "sign-in", NOW) is None
    late = waiting.draw("a", "sign-in", NOW)
    assert late != first
    assert len(late) == 32
    assert waiting.take("a", "sign-in", NOW + limits.SECOND_FACTOR_SECONDS + 1) is None


def test_challenges_that_nobody_answers_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the page costs an attacker with a password nothing; the oldest goes."""
    from huying.node.web.access import security_keys

    monkeypatch.setattr(security_keys, "_CHALLENGES_MAX", 3)
    waiting = Challenges()
    drawn = [waiting.draw(str(one), "sign-in", NOW) for one in range(4)]
    assert waiting.take("0", "sign-in", NOW) is None
    assert [waiting.take(str(one), "sign-in", NOW) for one in (1, 2, 3)] == drawn[1:]


@pytest.mark.parametrize(
    ("origin", "domain"),
    [
        ("https://huying.example:8443", "huying.example"),
        ("http://localhost:8000", "localhost"),
        ("https://localhost", "localhost"),
        ("http://127.0.0.1:8000", None),
        ("https://10.1.2.3", None),
        ("https://[fd00::1]:8443", None),
        ("http://huying.example", None),
    ],
)
def test_keys_are_offered_where_browsers_know_them(origin: str, domain: str | None) -> None:
    """A button that can't work is worse than none: browsers want TLS and a name."""
    party = party_of(origin)
    assert (party and party.id) == domain


def test_another_key_or_one_less_ends_every_session(
    keys: SecurityKeys, zhang: str, store: ConsoleStore
) -> None:
    """Whoever sits at a session that was stolen must not stay when its owner sees to the locks."""
    sessions = Sessions(store)
    before = sessions.begin(zhang, NOW)
    assert registered(keys, zhang, SoftKey(ORIGIN, PARTY.id))
    assert sessions.find(before, NOW) is None
    between = sessions.begin(zhang, NOW)
    assert keys.remove(zhang, keys.list(zhang)[0].id, NOW)
    assert sessions.find(between, NOW) is None


def test_keys_are_few_and_named(
    keys: SecurityKeys, zhang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without bound, or of nameless keys, nobody looks through for the lost one."""
    monkeypatch.setattr(limits, "SECURITY_KEYS_MAX", 1)
    for name in ("", "x" * 201, "two\nlines"):
        with pytest.raises(HuyingError, match="key_name"):
            registered(keys, zhang, SoftKey(ORIGIN, PARTY.id), name)
    assert registered(keys, zhang, SoftKey(ORIGIN, PARTY.id))
    with pytest.raises(HuyingError, match="at most 1"):
        registered(keys, zhang, SoftKey(ORIGIN, PARTY.id))


def test_taking_the_factor_away_takes_the_keys(
    keys: SecurityKeys, zhang: str, store: ConsoleStore
) -> None:
    """`user reset --factor` is for a lost key as well."""
    registered(keys, zhang, SoftKey(ORIGIN, PARTY.id))
    SecondFactors(store, "", CHEAP).drop(zhang, NOW)
    person = cheap_accounts(store).by_id(zhang)
    assert person is not None
    assert not person.has_second_factor
    with store.reading() as connection:
        assert connection.execute(select(SECURITY_KEYS.c.id)).all() == []


# --- on the pages --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(totp, "Hashing", lambda: CHEAP)
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        with ConsoleUnderTest(network, COUNTY, host="localhost") as made:
            yield made
        network.close()


def options_of(page: Any) -> str:
    found = re.search(r'data-key-options="([^"]*)"', page.text)
    assert found, text_of(page.text)
    return html.unescape(found[1])


def add_key(console: ConsoleUnderTest, key: SoftKey) -> Any:
    page = console.get("/account/factor")
    made = key.made(options_of(page))
    return console.fill(page, "/account/factor/keys", key_name="蓝色钥匙", key_answer=made)


def give_password(console: ConsoleUnderTest, login: str) -> Any:
    console.sign_out()
    page = console.get("/sign-in")
    answer = console.fill(page, "/sign-in", login=login, password=PASSWORD)
    assert answer.headers["location"].startswith("/second-factor")
    return console.get("/second-factor")


def test_a_key_alone_is_a_second_factor_and_signs_in(console: ConsoleUnderTest) -> None:
    """Whoever has no handset for codes may have a key, and ten codes on paper."""
    console.sign_in("centre", login="keyed")
    key = SoftKey(console.site.origin, "localhost")
    answer = add_key(console, key)
    assert answer.status_code == 200, text_of(answer.text)
    codes = re.findall(r"<code>([a-z0-9-]+)</code>", answer.text)
    assert len(codes) == limits.RECOVERY_CODES
    assert "蓝色钥匙" in text_of(console.get("/account/factor").text)

    page = give_password(console, "keyed")
    assert console.get("/account").headers["location"].startswith("/second-factor")
    used = key.used(options_of(page))
    assert console.fill(page, "/second-factor", key_answer=used).status_code == 303
    assert console.get("/account").status_code == 200

    page = give_password(console, "keyed")
    assert console.fill(page, "/second-factor", code=codes[0]).status_code == 303
    assert console.get("/account").status_code == 200


def test_an_answer_that_was_sent_once_opens_nothing_again(console: ConsoleUnderTest) -> None:
    """Whoever recorded the form must not enter with it, nor with a page that was left open."""
    console.sign_in("centre", login="replayed")
    key = SoftKey(console.site.origin, "localhost")
    add_key(console, key)
    page = give_password(console, "replayed")
    used = key.used(options_of(page))
    assert console.fill(page, "/second-factor", key_answer=used).status_code == 303
    again = give_password(console, "replayed")
    assert console.fill(again, "/second-factor", key_answer=used).status_code == 401
    late = give_password(console, "replayed")
    answer = key.used(options_of(late))
    console.get("/second-factor")  # draws another challenge
    refused = console.fill(late, "/second-factor", key_answer=answer)
    assert refused.status_code == 401
    assert "安全密钥没有通过" in text_of(refused.text)
    rows = console.site.audit.page(action="second-factor", count=10)
    assert {(row.actor, row.outcome) for row in rows} >= {("replayed", "refused")}


def test_a_page_that_keeps_itself_fresh_takes_no_answer_for_void(console: ConsoleUnderTest) -> None:
    """The node was away for a moment while somebody looked for the key in a drawer."""
    console.sign_in("centre", login="patient")
    page = console.get("/account/factor")
    console.get("/account/factor", headers={"X-Live": "1"})
    key = SoftKey(console.site.origin, "localhost")
    made = key.made(options_of(page))
    assert console.fill(page, "/account/factor/keys", key_name="k", key_answer=made).is_success
    page = give_password(console, "patient")
    console.get("/second-factor", headers={"X-Live": "1"})
    used = key.used(options_of(page))
    assert console.fill(page, "/second-factor", key_answer=used).status_code == 303


def test_removing_the_last_key_ends_every_session(console: ConsoleUnderTest) -> None:
    """Then there is no second factor, nor recovery codes for one, and its owner signs in anew."""
    console.sign_in("centre", login="removed")
    add_key(console, SoftKey(console.site.origin, "localhost"))
    page = console.get("/account/factor")
    gone = console.fill(page, "/account/factor/keys/remove")
    assert gone.headers["location"].startswith("/sign-in")
    person = console.site.accounts.by_login("removed")
    assert person is not None
    assert not person.has_second_factor
    assert SecondFactors(console.store, "").recovery_codes_left(person.id) == 0


def test_a_key_that_is_refused_changes_nothing(console: ConsoleUnderTest) -> None:
    """The page comes back, says so, and draws another challenge."""
    console.sign_in("centre", login="refused")
    page = console.get("/account/factor")
    evil = SoftKey("https://evil.example", "localhost").made(options_of(page))
    answer = console.fill(page, "/account/factor/keys", key_name="x", key_answer=evil)
    assert answer.status_code == 400
    assert json.loads(options_of(answer))["challenge"] != json.loads(options_of(page))["challenge"]
    answer = console.fill(answer, "/account/factor/keys", key_name="", key_answer="{}")
    assert "密钥的名字" in text_of(answer.text)
    assert not console.site.accounts.by_login("refused").has_second_factor  # type: ignore[union-attr]


def test_where_browsers_know_no_keys_the_page_says_why(
    console: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is a number has none; the technician can give the console a name."""
    console.sign_in("centre", login="numbered")
    monkeypatch.setattr(console.site, "origin", "https://10.1.2.3:8443")
    shown = text_of(console.get("/account/factor").text)
    assert "https://10.1.2.3:8443 用不了安全密钥" in shown
