"""Floods of passwords: slowed down, counted, and never a way to lock somebody out."""

from __future__ import annotations

import threading

import pytest

from huying.common import limits
from huying.node.web.access.throttle import Throttle
from huying.node.web.store import FILE_NAME, ConsoleStore
from tests.support.console_people import NOW

HERE = "10.1.2.3"
DAY = 86_400.0


@pytest.fixture
def throttle(store: ConsoleStore) -> Throttle:
    return Throttle(store)


def tries_in(throttle: Throttle, login: str, seconds: float, address: str = HERE) -> int:
    """How many passwords somebody who never waits longer than needed can try in that time."""
    at, count = NOW, 0
    while at < NOW + seconds:
        wait = throttle.admit(login, address, at)
        if wait == 0:
            count += 1
        at += max(wait, 0.01)
    return count


def test_a_flood_on_one_login_is_worth_some_hundred_tries_a_day(throttle: Throttle) -> None:
    """With a thousand guesses a second the commonest passwords would fall within a minute."""
    count = tries_in(throttle, "zhang", DAY)
    assert limits.LOGIN_FAILURES_MAX < count < DAY / limits.LOGIN_DELAY_SECONDS_MAX + 40


def test_the_wait_grows_to_its_limit_and_what_came_too_early_counts_for_nothing(
    throttle: Throttle,
) -> None:
    """A lock that is made longer by knocking would be a way to keep somebody out for ever."""
    waits, at = [], NOW
    for _ in range(15):
        while (wait := throttle.admit("zhang", HERE, at)) > 0:
            waits.append(wait)
            assert throttle.admit("zhang", HERE, at) == wait  # knocking twice changes nothing
            at += wait
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[limits.LOGIN_DELAY_SECONDS_MAX] * 1]
    assert throttle.admit("zhang", HERE, at + limits.LOGIN_DELAY_SECONDS_MAX) == 0


def test_many_tries_at_once_gain_nothing(throttle: Throttle) -> None:
    """A check before and a count after would let a hundred threads through at the first failure."""
    admitted, start = [], threading.Barrier(12)

    def attempt() -> None:
        start.wait()
        if throttle.admit("zhang", HERE, NOW) == 0:
            admitted.append(1)

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == limits.LOGIN_FAILURES_MAX


def test_a_flood_over_many_logins_is_held_by_its_address(throttle: Throttle) -> None:
    """Password spraying: one common password, tried on everybody."""
    admitted = sum(throttle.admit(f"p{n}", HERE, NOW) == 0 for n in range(200))
    assert admitted == limits.LOGIN_SPREAD_FAILURES_MAX
    assert throttle.admit("wang", "10.9.9.9", NOW) == 0


def test_a_flood_from_many_addresses_is_held_all_together(throttle: Throttle) -> None:
    """A botnet has more addresses than we have people; each hash costs the engine's processor."""
    admitted = sum(
        throttle.admit(f"p{n}", f"10.{n // 200}.{n % 200}.1", NOW + n / 100) == 0
        for n in range(1000)
    )
    assert admitted <= limits.LOGIN_MINUTE_FAILURES_MAX + 10


def test_the_owner_gets_in_while_strangers_try_the_login_from_everywhere(
    throttle: Throttle,
) -> None:
    """Or anybody who knows a login could keep its owner from work."""
    throttle.admit("zhang", HERE, NOW)
    throttle.passed("zhang", HERE, NOW)
    at = NOW + 60
    for n in range(400):
        throttle.admit("zhang", f"203.0.{n // 200}.{n % 200}", at)
    assert throttle.admit("zhang", "198.51.100.7", at) > 0
    assert throttle.admit("zhang", HERE, at) == 0
    throttle.passed("zhang", HERE, at)
    # Known there for 30 days from the last sign-in; after that, as anybody.
    later = at + limits.KNOWN_ADDRESS_SECONDS
    for n in range(400):
        throttle.admit("zhang", f"203.0.{n // 200}.{n % 200}", later)
    assert throttle.admit("zhang", HERE, later) > 0


def test_a_success_takes_its_own_try_back_and_no_other(throttle: Throttle) -> None:
    """A village behind one address signs in each morning; an attacker's account is no eraser."""
    for n in range(60):
        assert throttle.admit(f"p{n}", HERE, NOW) == 0
        throttle.passed(f"p{n}", HERE, NOW)
    assert throttle.counts().failures == 0
    for n in range(limits.LOGIN_SPREAD_FAILURES_MAX - 1):
        assert throttle.admit(f"victim{n}", HERE, NOW) == 0
    assert throttle.admit("own", HERE, NOW) == 0
    throttle.passed("own", HERE, NOW)
    assert throttle.admit("victim99", HERE, NOW) == 0
    assert throttle.admit("victim98", HERE, NOW) > 0


def test_failures_are_forgotten_with_time(throttle: Throttle) -> None:
    """Somebody who mistypes once a day must never meet a wait."""
    for day in range(40):
        assert throttle.admit("zhang", HERE, NOW + day * DAY) == 0
    for minute in range(200):  # one of a village every two minutes
        assert throttle.admit(f"q{minute}", "10.7.7.7", NOW + minute * 120.0) == 0


def test_failures_that_come_slowly_are_forgotten_no_faster(throttle: Throttle) -> None:
    """Who tries every 14 minutes is slowed down too, in the end."""
    waited = False
    for n in range(400):
        waited = waited or throttle.admit("zhang", HERE, NOW + n * 14 * 60.0 / 4) > 0
    assert waited


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("testclient", "", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses_of_one_customer_are_one(
    throttle: Throttle, one: str, other: str, same: bool
) -> None:
    """A home connection has 2^64 addresses of IPv6 to knock from."""
    for n in range(limits.LOGIN_SPREAD_FAILURES_MAX):
        throttle.admit(f"p{n}", one, NOW)
    assert (throttle.admit("zhang", other, NOW) > 0) is same


def test_what_was_typed_as_login_is_not_kept(store: ConsoleStore, throttle: Throttle) -> None:
    """People type their password into the wrong field."""
    throttle.admit("my-secret-passphrase", HERE, NOW)
    assert b"my-secret-passphrase" not in (store.folder / FILE_NAME).read_bytes()


def test_the_table_is_bounded_and_known_addresses_stay_longest(
    throttle: Throttle, store: ConsoleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood must fill neither the disk nor push people out who work here."""
    monkeypatch.setattr(limits, "THROTTLE_ROWS_MAX", 50)
    throttle.admit("zhang", HERE, NOW)
    throttle.passed("zhang", HERE, NOW)
    for n in range(300):
        throttle.admit(f"p{n}", f"10.2.{n // 200}.{n % 200}", NOW + 10 * n)
    with store.reading() as connection:
        keys = connection.exec_driver_sql("SELECT key, known_until FROM throttle").all()
    assert len(keys) <= 50
    assert sum(row.known_until > 0 for row in keys) == 1
    assert throttle.counts().failures == 300


def test_codes_are_slowed_down_too_and_a_reset_lets_in_at_once(throttle: Throttle) -> None:
    """A code has six digits: at full speed it would fall in hours."""
    for _ in range(limits.LOGIN_FAILURES_MAX):
        assert throttle.admit_factor("id-1", NOW) == 0
        assert throttle.admit("zhang", HERE, NOW) == 0
    assert throttle.admit_factor("id-1", NOW) > 0
    assert throttle.admit("Zhang ", HERE, NOW) > 0
    assert throttle.admit_factor("id-2", NOW) == 0
    assert throttle.counts().refused == 2
    throttle.forget("zhang", "id-1")
    assert throttle.admit("zhang", HERE, NOW) == 0
    assert throttle.admit_factor("id-1", NOW) == 0
    throttle.passed_factor("id-1", NOW)
    for _ in range(limits.LOGIN_FAILURES_MAX):
        assert throttle.admit_factor("id-1", NOW) == 0


def test_a_clock_that_was_set_back_makes_no_wait_longer(throttle: Throttle) -> None:
    """A wait until next year because the clock once was wrong is a lock-out."""
    for _ in range(limits.LOGIN_FAILURES_MAX):
        throttle.admit("zhang", HERE, NOW + 365 * DAY)
    assert throttle.admit("zhang", HERE, NOW) <= limits.LOGIN_DELAY_SECONDS_MAX
