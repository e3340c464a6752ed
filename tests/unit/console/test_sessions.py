"""Who is signed in, for how long, and what ends it."""

from __future__ import annotations

import hashlib

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.sessions import Sessions
from huying.node.web.store import FILE_NAME, ConsoleStore
from tests.support.console_people import NOW, cheap_accounts, enter

IDLE = 1800.0
ABSOLUTE = 43200.0


@pytest.fixture
def accounts(store: ConsoleStore) -> Accounts:
    return cheap_accounts(store)


@pytest.fixture
def sessions(store: ConsoleStore) -> Sessions:
    return Sessions(store, IDLE, ABSOLUTE)


def test_a_token_is_random_and_only_its_hash_is_kept(
    store: ConsoleStore, accounts: Accounts, sessions: Sessions
) -> None:
    """Whoever reads the file, or a backup of it, must not be able to take sessions over."""
    person = enter(accounts, "zhang")
    tokens = {sessions.begin(person.id, NOW) for _ in range(10)}
    assert len(tokens) == 10
    data = (store.folder / FILE_NAME).read_bytes()
    for token in tokens:
        assert len(token) == 43  # 32 bytes
        assert token.encode() not in data
        assert hashlib.sha256(token.encode()).digest() in data
        found = sessions.find(token, NOW)
        assert found is not None
        assert found.person == person
    assert sessions.find("", NOW) is None
    assert sessions.find("\ud800", NOW) is None


def test_a_session_ends_when_nothing_was_done_for_a_while(
    accounts: Accounts, sessions: Sessions
) -> None:
    """A handset that was left on a table must not stay signed in."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)
    assert sessions.find(token, NOW + IDLE - 1) is not None
    assert sessions.find(token, NOW + 2 * IDLE - 2) is not None  # being used, it goes on
    assert sessions.find(token, NOW + 3 * IDLE - 2) is None
    assert sessions.find(token, NOW + 2 * IDLE) is not None  # looking later changed nothing


def test_a_session_ends_after_its_time_however_busy_it_is(
    accounts: Accounts, sessions: Sessions
) -> None:
    """A stolen token must not live for as long as its thief likes."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)
    at = NOW
    while at + IDLE / 2 < NOW + ABSOLUTE:
        at += IDLE / 2
        if at < NOW + ABSOLUTE:
            assert sessions.find(token, at) is not None
    token = sessions.renew(token, at - IDLE / 4) if sessions.find(token, at - 1) else token
    assert sessions.find(token, NOW + ABSOLUTE) is None  # another token makes it no younger


def test_a_clock_that_was_set_far_back_ends_a_session(
    accounts: Accounts, sessions: Sessions
) -> None:
    """Otherwise a session of a clock that once ran ahead would live for years."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)
    assert sessions.find(token, NOW - 60) is not None
    assert sessions.find(token, NOW - 3600) is None


def test_using_a_session_is_noted_once_a_minute(
    store: ConsoleStore, accounts: Accounts, sessions: Sessions
) -> None:
    """Each note is a write to the disk; a page with ten pictures would make eleven."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)

    def seen() -> float:
        with store.reading() as connection:
            return float(
                connection.exec_driver_sql("SELECT seen_seconds FROM sessions").scalar_one()
            )

    sessions.find(token, NOW + limits.SESSION_TOUCH_SECONDS - 1)
    assert seen() == NOW
    sessions.find(token, NOW + limits.SESSION_TOUCH_SECONDS)
    assert seen() == NOW + limits.SESSION_TOUCH_SECONDS


def test_a_disk_that_is_full_signs_nobody_out(
    store: ConsoleStore, accounts: Accounts, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what to delete must be able to look."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)

    def full() -> None:
        raise HuyingError(Code.DISK_FULL, "console.db")

    monkeypatch.setattr(store, "writing", full)
    assert sessions.find(token, NOW + 120) is not None
    assert sessions.find(token, NOW + IDLE) is None


def test_a_token_that_was_planted_before_is_worthless_afterwards(
    accounts: Accounts, sessions: Sessions
) -> None:
    """Session fixation: who knew the token before the code was given is not signed in by it."""
    person = enter(accounts, "zhang")
    planted = sessions.begin(person.id, NOW, second_factor_pending=True)
    found = sessions.find(planted, NOW + 200)
    assert found is not None
    assert found.pending_factor
    token = sessions.renew(planted, NOW + 200)
    assert sessions.find(planted, NOW + 200) is None
    renewed = sessions.find(token, NOW + 200 + IDLE - 1)
    assert renewed is not None
    assert not renewed.pending_factor
    assert renewed.session_id == found.session_id
    with pytest.raises(HuyingError) as caught:
        sessions.renew(planted, NOW + 200)
    assert caught.value.code is Code.NOT_FOUND


def test_half_a_sign_in_lasts_five_minutes_and_is_no_sign_in(
    accounts: Accounts, sessions: Sessions
) -> None:
    """A password alone must open nothing, and not wait for a code the whole day."""
    person = enter(accounts, "zhang")
    token = sessions.begin(person.id, NOW, second_factor_pending=True)
    assert sessions.list(person.id, NOW) == ()
    assert accounts.last_logins()[person.id] == 0
    assert sessions.find(token, NOW + limits.SECOND_FACTOR_SECONDS) is None
    assert sessions.last_person(token, NOW + limits.SECOND_FACTOR_SECONDS) is None
    sessions.renew(token, NOW + 100)
    assert accounts.last_logins()[person.id] == NOW + 100


def test_the_password_was_given_lately_or_is_asked_for_again(
    accounts: Accounts, sessions: Sessions
) -> None:
    """Whoever finds an open tab must not be able to change whose console this is."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)
    late = NOW + limits.REAUTHENTICATED_SECONDS
    found = sessions.find(token, late)
    assert found is not None
    assert found.is_fresh(late - 1)
    assert not found.is_fresh(late)
    again = sessions.find(sessions.renew(token, late), late)
    assert again is not None
    assert again.is_fresh(late)


def test_a_disabled_person_is_out_at_once(accounts: Accounts, sessions: Sessions) -> None:
    """Not at the end of the session: now."""
    person = enter(accounts, "zhang")
    token = sessions.begin(person.id, NOW)
    accounts.disable(person.id, NOW, keep_admin=False)
    assert sessions.find(token, NOW) is None
    assert sessions.last_person(token, NOW) is None
    with pytest.raises(HuyingError) as caught:
        sessions.begin(person.id, NOW)
    assert caught.value.code is Code.NOT_FOUND
    accounts.enable(person.id, NOW)
    assert sessions.find(token, NOW) is None  # it was ended, not hidden


def test_a_session_that_outlived_its_account_opens_nothing(
    store: ConsoleStore, accounts: Accounts, sessions: Sessions
) -> None:
    """A row that another program, or a copy put back, left behind."""
    token = sessions.begin(enter(accounts, "zhang").id, NOW)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE accounts SET disabled = 1")
    assert sessions.find(token, NOW) is None


def test_one_session_or_all_of_them_are_ended_by_their_owner_alone(
    accounts: Accounts, sessions: Sessions
) -> None:
    """A lost handset is signed out from the desk; somebody else's id in the form does nothing."""
    person, other = enter(accounts, "zhang"), enter(accounts, "wang")
    tokens = [
        sessions.begin(person.id, NOW + n, address=f"10.0.0.{n}", agent="x" * 999) for n in range(3)
    ]
    others = sessions.begin(other.id, NOW)
    listed = sessions.list(person.id, NOW + 3)
    assert [row.address for row in listed] == ["10.0.0.2", "10.0.0.1", "10.0.0.0"]
    assert len(listed[0].agent) == 200
    assert not sessions.end_one(other.id, listed[0].id)
    assert sessions.end_one(person.id, listed[0].id)
    sessions.end(tokens[1])
    alive = [sessions.find(token, NOW + 3) is not None for token in (*tokens, others)]
    assert alive == [True, False, False, True]
    assert sessions.end_all(person.id) == 1
    assert sessions.find(others, NOW + 3) is not None


def test_sessions_of_one_person_are_bounded(accounts: Accounts, sessions: Sessions) -> None:
    """A script that signs in and in must not fill the file."""
    person = enter(accounts, "zhang")
    tokens = [sessions.begin(person.id, NOW + n) for n in range(limits.SESSIONS_MAX + 3)]
    alive = [sessions.find(token, NOW + 60) is not None for token in tokens]
    assert alive == [False] * 3 + [True] * limits.SESSIONS_MAX


def test_who_a_session_was_is_known_for_a_day_after_it_ran_out(
    accounts: Accounts, sessions: Sessions
) -> None:
    """What they typed into a form of an expired session becomes their draft, and nobody else's."""
    person = enter(accounts, "zhang")
    token = sessions.begin(person.id, NOW)
    assert sessions.last_person(token, NOW + IDLE + 60) == person.id
    end = NOW + IDLE + limits.SESSION_REMEMBERED_SECONDS
    sessions.forget_over(end - 1)
    assert sessions.last_person(token, end - 1) == person.id
    assert sessions.last_person(token, end) is None
    assert sessions.forget_over(end) == 1
    assert sessions.last_person(token, NOW) is None
    ended = sessions.begin(person.id, NOW)
    sessions.end(ended)
    assert sessions.last_person(ended, NOW) is None  # signed out on purpose
