"""Entering people, changing them, and asking for their passwords."""

from __future__ import annotations

from typing import Any

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.passwords import Cost, Hashing, draw_password
from huying.node.web.access.people import check_area, parse_login
from huying.node.web.access.roles import Permission, Role
from huying.node.web.access.sessions import Sessions
from huying.node.web.access.setup_link import SetupLink
from huying.node.web.store import FILE_NAME, ConsoleStore
from tests.support.console_people import CHEAP, NOW, PASSWORD, cheap_accounts, enter

COUNTY = "370830000000"


@pytest.fixture
def accounts(store: ConsoleStore) -> Accounts:
    return cheap_accounts(store, "汶上县", "wenshang")


def refused(action: Any, *arguments: Any, **named: Any) -> HuyingError:
    with pytest.raises(HuyingError) as caught:
        action(*arguments, **named)
    assert PASSWORD not in str(caught.value)
    return caught.value


# --- people ----------------------------------------------------------------------------------


def test_a_person_comes_back_as_entered(accounts: Accounts) -> None:
    """What a page may show, and whose calls, follows from these fields."""
    roles = (Role.DEPARTMENT, Role.ADMIN)
    made = enter(
        accounts, "Li.Si", *roles, department="民政局", actor="县-民政局-11", language="en"
    )
    for found in (accounts.by_id(made.id), accounts.by_login("LI.SI"), *accounts.list()):
        assert found == made
    assert (made.login, made.roles, made.department) == ("li.si", roles, "民政局")
    assert made.permissions >= {Permission.CALLS_DEPARTMENT, Permission.PEOPLE}
    assert (made.disabled, made.must_change, made.has_second_factor) == (False, False, False)
    assert enter(accounts, "wang").actor != enter(accounts, "zhao").actor


@pytest.mark.parametrize(
    ("typed", "login"),
    [
        (" Zhang.San ", "zhang.san"),
        ("张三", "张三"),
        ("ｚｈａｎｇ１", "zhang1"),
        ("a@b-c_d", "a@b-c_d"),
    ],
)
def test_a_login_has_one_spelling(typed: str, login: str) -> None:
    """An input method that is switched to full width must not make another person."""
    assert parse_login(typed) == login


@pytest.mark.parametrize(
    "typed", ["", "a", ".ab", "a b", "zhаng", "a\u200bb", "a/b", "a\nb", "x" * 65, "<b>"]
)
def test_a_login_that_looks_like_another_is_refused(typed: str) -> None:
    """A Cyrillic а or an invisible sign would let one person pass for another in the trail."""
    assert refused(parse_login, typed).code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"login": "zhang"}, "login"),
        ({"actor": "县-1"}, "actor"),
        ({"name": " "}, "name"),
        ({"name": "两\n行"}, "name"),
        ({"name": "长" * 201}, "name"),
        ({"roles": ()}, "roles"),
        ({"roles": (Role.DEPARTMENT,)}, "department"),
        ({"language": "fr"}, "language"),
    ],
)
def test_what_no_account_can_be_is_refused_by_field(
    accounts: Accounts, fields: dict[str, Any], named: str
) -> None:
    """A form shows the message beside the field; nothing is half entered."""
    enter(accounts, "zhang", actor="县-1")
    given = {
        "login": "wang",
        "name": "王",
        "roles": (Role.CLERK,),
        "now": NOW,
        "password": PASSWORD,
    }
    error = refused(accounts.add, **(given | fields))
    assert (error.code, error.detail.partition(":")[0]) == (Code.INVALID_ARGUMENT, named)
    assert accounts.count() == 1


@pytest.mark.parametrize(
    ("area", "fits"),
    [
        ("", True),
        ("370830108000", True),
        ("370830108201", True),
        ("370830108201001", True),
        ("370831000000", False),
        ("37083010820", False),
        ("370830108000001", False),
    ],
)
def test_an_area_lies_within_the_node(area: str, fits: bool) -> None:
    """A person limited to another county's village would see nothing, or too much."""
    if fits:
        assert check_area(area, COUNTY) == area
    else:
        assert refused(check_area, area, COUNTY).code is Code.INVALID_ARGUMENT


def test_a_change_of_rights_ends_the_sessions_and_a_change_of_name_does_not(
    store: ConsoleStore, accounts: Accounts
) -> None:
    """Rights that were taken away must be gone from the tab that is open right now."""
    sessions = Sessions(store)
    enter(accounts, "admin", Role.ADMIN)
    person = enter(accounts, "zhang", Role.CLERK)
    for change, stays in (
        ({"name": "张三丰"}, True),
        ({"language": "en"}, True),
        ({"roles": (Role.CLERK,)}, True),
        ({"roles": (Role.PRINCIPAL,)}, False),
        ({"area": "370830108000"}, False),
        ({"actor": "乡-2"}, False),
        ({"department": "民政局"}, False),
    ):
        token = sessions.begin(person.id, NOW)
        changed = accounts.change(person.id, NOW, **change)
        assert [getattr(changed, name) for name in change] == [*change.values()]
        assert (sessions.find(token, NOW) is not None) is stays, change


def test_nobody_locks_the_last_administrator_out_by_a_page(accounts: Accounts) -> None:
    """Two who disable each other at once would leave a console that nobody can mend in it."""
    one, two = enter(accounts, "one", Role.ADMIN), enter(accounts, "two", Role.ADMIN)
    accounts.disable(one.id, NOW)
    assert refused(accounts.disable, two.id, NOW).code is Code.WRONG_STAGE
    assert refused(accounts.change, two.id, NOW, roles=(Role.CLERK,)).code is Code.WRONG_STAGE
    found = accounts.by_id(two.id)
    assert found == two  # nothing of the refused deeds stayed
    accounts.disable(two.id, NOW, keep_admin=False)  # on the machine itself
    accounts.enable(one.id, NOW)
    accounts.change(two.id, NOW, name="二")


def test_what_does_not_exist_is_not_found(accounts: Accounts) -> None:
    """A stale page must not make an account by changing it."""
    for action in (accounts.enable, accounts.disable, accounts.change):
        assert refused(action, "0" * 32, NOW).code is Code.NOT_FOUND
    assert refused(accounts.set_password, "0" * 32, PASSWORD, NOW).code is Code.NOT_FOUND
    assert accounts.by_id("0" * 32) is None
    assert accounts.by_login("' OR 1=1 --") is None


def test_a_subject_of_a_provider_is_one_person(accounts: Accounts) -> None:
    """Two accounts behind one subject would make it a matter of luck who signs in."""
    one, two = enter(accounts, "one"), enter(accounts, "two")
    accounts.bind_subject(one.id, "https://idp", "s-1", NOW)
    assert accounts.by_subject("https://idp", "s-1") == one
    assert accounts.by_subject("https://other", "s-1") is None
    error = refused(accounts.bind_subject, two.id, "https://idp", "s-1", NOW)
    assert (error.code, "s-1" in error.detail) == (Code.INVALID_ARGUMENT, False)
    accounts.bind_subject(one.id, "", "", NOW)
    accounts.bind_subject(two.id, "", "", NOW)  # none is no subject to be shared
    assert accounts.by_subject("https://idp", "s-1") is None


# --- passwords -------------------------------------------------------------------------------


def test_the_password_is_asked_for_exactly_as_it_was_typed(accounts: Accounts) -> None:
    """Trimming or folding would let passwords in that their owner never chose."""
    password = " Großes Pferd 电池 "
    made = enter(accounts, "zhang", password=password)
    assert accounts.check_password("Zhang", password, NOW) == made
    for wrong in (password.strip(), password.lower(), password + "x", password[:-1], "", "\ud800"):
        assert accounts.check_password("zhang", wrong, NOW) is None


def test_the_disabled_the_unknown_and_the_long_are_refused(accounts: Accounts) -> None:
    """Whatever is wrong, the answer is the same."""
    person = enter(accounts, "zhang")
    passwordless = accounts.add(login="oidc", name="无", roles=(Role.CLERK,), now=NOW)
    assert accounts.check_password("oidc", "", NOW) is None
    assert not passwordless.must_change
    assert accounts.check_password("nobody", PASSWORD, NOW) is None
    assert accounts.check_password("no such login!", PASSWORD, NOW) is None
    assert accounts.check_password("zhang", PASSWORD + "x" * 200_000, NOW) is None
    accounts.disable(person.id, NOW, keep_admin=False)
    assert accounts.check_password("zhang", PASSWORD, NOW) is None
    accounts.enable(person.id, NOW)
    assert accounts.check_password("zhang", PASSWORD, NOW) is not None


def test_an_unknown_login_costs_as_much_work_as_a_known_one(store: ConsoleStore) -> None:
    """Or a stranger would learn from the time, name by name, who works here."""
    made: list[str] = []

    class Counted(Hashing):
        def verify(self, encoded: str, password: str) -> bool:
            made.append(encoded.rpartition("$")[0].rpartition("$")[0])  # algorithm and cost
            return super().verify(encoded, password)

    accounts = Accounts(store, Counted(Cost(memory_kib=8, passes=1)))
    enter(accounts, "zhang")
    gone = enter(accounts, "gone")
    accounts.disable(gone.id, NOW, keep_admin=False)
    accounts.add(login="oidc", name="无", roles=(Role.CLERK,), now=NOW)
    work = []
    for login in ("zhang", "gone", "oidc", "nobody", "no such login!", ""):
        made.clear()
        assert accounts.check_password(login, "wrong password", NOW) is None
        work.append(tuple(made))
    assert set(work) == {("$argon2id$v=19$m=8,t=1,p=1",)}


def test_a_hash_of_another_cost_is_made_anew_at_the_next_sign_in(store: ConsoleStore) -> None:
    """Costs are raised over the years; nobody should have to choose another password for it."""
    enter(Accounts(store, CHEAP), "zhang")
    dearer = Hashing(Cost(memory_kib=16, passes=2))

    def encoded() -> str:
        with store.reading() as connection:
            return str(connection.exec_driver_sql("SELECT password FROM accounts").scalar())

    before = encoded()
    assert Accounts(store, dearer).check_password("zhang", "wrong password", NOW) is None
    assert encoded() == before
    assert Accounts(store, dearer).check_password("zhang", PASSWORD, NOW) is not None
    assert before != encoded()
    assert encoded().startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert Accounts(store, dearer).check_password("zhang", PASSWORD, NOW) is not None


def test_no_password_stands_in_the_file(store: ConsoleStore, accounts: Accounts) -> None:
    """A stolen disk must cost the thief a search for each password."""
    enter(accounts, "zhang", password=PASSWORD)
    data = b"".join(path.read_bytes() for path in store.folder.iterdir())
    assert (store.folder / FILE_NAME).exists()
    assert PASSWORD.encode() not in data
    assert b"$argon2id$" in data


def test_a_one_time_password_must_be_changed_and_ends_by_itself(accounts: Accounts) -> None:
    """Whoever read it out knows it; it must be worth little, and not for long."""
    drawn = draw_password()
    person = enter(accounts, "zhang", password=drawn, one_time=True)
    assert person.must_change
    end = NOW + limits.ONE_TIME_PASSWORD_SECONDS
    assert accounts.check_password("zhang", drawn, end - 1) is not None
    assert accounts.check_password("zhang", drawn, end) is None
    assert refused(accounts.set_password, person.id, drawn, NOW).code is Code.INVALID_ARGUMENT
    accounts.set_password(person.id, PASSWORD, NOW)
    changed = accounts.check_password("zhang", PASSWORD, end + 1)
    assert changed is not None
    assert not changed.must_change
    assert accounts.check_password("zhang", drawn, NOW) is None


def test_another_password_ends_every_session(store: ConsoleStore, accounts: Accounts) -> None:
    """It is changed because somebody else may know it, and may be signed in."""
    person, other = enter(accounts, "zhang"), enter(accounts, "wang")
    sessions = Sessions(store)
    tokens = [sessions.begin(person.id, NOW) for _ in range(3)]
    kept = sessions.begin(other.id, NOW)
    accounts.set_password(person.id, "another horse battery", NOW)
    assert [sessions.find(token, NOW) for token in tokens] == [None] * 3
    assert sessions.find(kept, NOW) is not None


# --- the first account -----------------------------------------------------------------------


def test_the_set_up_link_makes_one_account_and_is_void(store: ConsoleStore) -> None:
    """A link that works twice is a back door that was printed into a log."""
    link, accounts = SetupLink(store, CHEAP), cheap_accounts(store)
    void = link.issue(NOW)
    token = link.issue(NOW)  # the next start
    assert void is not None
    assert token is not None
    assert not link.is_valid(void, NOW)
    assert link.is_valid(token, NOW)
    assert token.encode() not in (store.folder / FILE_NAME).read_bytes()
    given: dict[str, Any] = {"login": "tech", "name": "技术员", "now": NOW}
    error = refused(link.redeem, token, password="short", **given)
    assert (error.code, accounts.count()) == (Code.INVALID_ARGUMENT, 0)
    person = link.redeem(token, password=PASSWORD, **given)
    assert person.permissions >= {Permission.PEOPLE, Permission.OPERATIONS}
    assert not person.must_change
    assert accounts.check_password("tech", PASSWORD, NOW) == person
    given["login"] = "second"
    assert refused(link.redeem, token, password=PASSWORD, **given).code is Code.NOT_FOUND
    assert link.issue(NOW) is None
    accounts.disable(person.id, NOW, keep_admin=False)
    assert link.issue(NOW) is None  # whatever happens to the accounts


def test_the_set_up_link_ends_after_a_day_or_with_the_first_account(store: ConsoleStore) -> None:
    """Somebody who finds the log of last month must find nothing."""
    link = SetupLink(store, CHEAP)
    token = link.issue(NOW)
    assert token is not None
    assert not link.is_valid(token, NOW + limits.SETUP_LINK_SECONDS)
    assert not link.is_valid("", NOW)
    assert not link.is_valid("\ud800", NOW)
    assert link.is_valid(token, NOW)
    enter(cheap_accounts(store), "by-command")
    assert not link.is_valid(token, NOW)
    given: dict[str, Any] = {"login": "tech", "name": "技", "password": PASSWORD, "now": NOW}
    assert refused(link.redeem, token, **given).code is Code.NOT_FOUND
