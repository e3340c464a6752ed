"""The second factor: codes by time, each worth one time, and recovery codes."""

from __future__ import annotations

import hashlib
import hmac
import struct
import threading

import pyotp
import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.passwords import Cost, Hashing
from huying.node.web.access.people import Person
from huying.node.web.access.sessions import Sessions
from huying.node.web.access.totp import STEP_SECONDS, SecondFactors, matching_step, qr_svg
from huying.node.web.store import FILE_NAME, ConsoleStore
from tests.support.console_people import CHEAP, NOW, cheap_accounts, enter


@pytest.fixture
def factors(store: ConsoleStore) -> SecondFactors:
    return SecondFactors(store, "汶上县", CHEAP)


@pytest.fixture
def person(store: ConsoleStore) -> Person:
    return enter(cheap_accounts(store), "zhang")


def code_at(secret: str, now: float) -> str:
    return pyotp.TOTP(secret).generate_otp(int(now) // STEP_SECONDS)


def confirmed(factors: SecondFactors, person: Person) -> tuple[str, tuple[str, ...]]:
    """Its secret and its recovery codes; the step of NOW is used up."""
    offer = factors.offer(person.id, NOW)
    codes = factors.confirm(person.id, code_at(offer.secret, NOW), NOW)
    assert codes is not None
    return offer.secret, codes


def test_codes_are_those_of_the_rfc() -> None:
    """RFC 6238, appendix B, with the last six digits: any app must come to the same."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
    for at, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        assert matching_step(secret, code, at) == at // STEP_SECONDS
        counter = struct.pack(">Q", at // STEP_SECONDS)
        digest = hmac.digest(b"12345678901234567890", counter, hashlib.sha1)
        start = digest[-1] & 15
        value = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
        assert f"{value % 10**6:06}" == code


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "１２３４５６", "12345a", "²34567", "-12345"]
)
def test_what_is_no_code_is_none(code: str) -> None:
    """`int` would take more than people see."""
    assert matching_step("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", code, NOW) is None


def test_a_factor_counts_once_its_person_has_shown_it(
    store: ConsoleStore, factors: SecondFactors, person: Person
) -> None:
    """A factor that was never scanned would lock its person out at the next sign-in."""
    accounts = cheap_accounts(store)
    offer = factors.offer(person.id, NOW)
    assert factors.offer(person.id, NOW + 1) == offer  # a page that is loaded again
    assert offer.secret in offer.uri
    assert offer.uri.startswith("otpauth://totp/")
    assert not accounts.by_id(person.id).has_second_factor  # type: ignore[union-attr]
    assert not factors.check(person.id, code_at(offer.secret, NOW), NOW)
    assert factors.confirm(person.id, "000000", NOW) is None
    late = NOW + 1 + limits.SECOND_FACTOR_SECONDS
    assert factors.confirm(person.id, code_at(offer.secret, late), late) is None
    assert factors.offer(person.id, late) != offer
    confirmed(factors, person)
    assert accounts.by_id(person.id).has_second_factor  # type: ignore[union-attr]


def test_a_code_is_taken_one_step_beside_and_no_further(
    factors: SecondFactors, person: Person
) -> None:
    """Handsets' clocks differ by seconds; a code of two minutes ago may be on somebody's film."""
    secret, _ = confirmed(factors, person)
    now = NOW + 3600
    for beside, taken in ((-2, False), (2, False), (-1, True), (0, True), (1, True)):
        code = code_at(secret, now + beside * STEP_SECONDS)
        assert factors.check(person.id, code, now) is taken, beside


def test_a_code_that_was_used_is_worthless(factors: SecondFactors, person: Person) -> None:
    """Replay: who looked over the shoulder, or stands in the middle, has thirty seconds."""
    secret, _ = confirmed(factors, person)
    assert not factors.check(person.id, code_at(secret, NOW), NOW)  # used to confirm it
    now = NOW + 60
    newer, older = code_at(secret, now + STEP_SECONDS), code_at(secret, now)
    assert factors.check(person.id, newer, now)
    assert not factors.check(person.id, newer, now)
    assert not factors.check(person.id, older, now)  # of a step before the one that was used


def test_of_two_who_send_one_code_at_once_one_gets_in(
    factors: SecondFactors, person: Person
) -> None:
    """A check and a note with a gap between them is a gap for the one in the middle."""
    secret, _ = confirmed(factors, person)
    now = NOW + 60
    code, start, found = code_at(secret, now), threading.Barrier(6), []

    def attempt() -> None:
        start.wait()
        found.append(factors.check(person.id, code, now))

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 5 + [True]


def test_a_recovery_code_is_worth_one_time(
    store: ConsoleStore, factors: SecondFactors, person: Person
) -> None:
    """The handset is in the river; the paper in the drawer opens the door once for each line."""
    _, codes = confirmed(factors, person)
    assert len(set(codes)) == limits.RECOVERY_CODES
    data = (store.folder / FILE_NAME).read_bytes()
    assert not any(
        code.encode() in data or code.replace("-", "").encode() in data for code in codes
    )
    assert not factors.check(person.id, "aaaa-bbbb-cccc", NOW)
    assert factors.check(person.id, f" {codes[3].upper().replace('-', ' ')} ", NOW)
    assert not factors.check(person.id, codes[3], NOW)
    assert factors.recovery_codes_left(person.id) == limits.RECOVERY_CODES - 1
    renewed = factors.renew_codes(person.id)
    assert not factors.check(person.id, codes[4], NOW)
    assert factors.check(person.id, renewed[4], NOW)


def test_recovery_codes_stay_good_when_the_cost_is_raised(
    store: ConsoleStore, factors: SecondFactors, person: Person
) -> None:
    """They lie in a drawer for years; an update must not make them worthless in silence."""
    _, codes = confirmed(factors, person)
    dearer = SecondFactors(store, "汶上县", Hashing(Cost(memory_kib=16, passes=2)))
    assert dearer.check(person.id, codes[0], NOW)


def test_codes_of_one_person_are_nothing_to_another(
    store: ConsoleStore, factors: SecondFactors, person: Person
) -> None:
    """Each factor belongs to one account."""
    other = enter(cheap_accounts(store), "wang")
    secret, codes = confirmed(factors, person)
    confirmed(factors, other)
    assert not factors.check(other.id, codes[0], NOW)
    assert not factors.check(other.id, code_at(secret, NOW + 90), NOW + 90)
    assert not factors.check("0" * 32, codes[0], NOW)


def test_another_factor_or_none_ends_every_session(
    store: ConsoleStore, factors: SecondFactors, person: Person
) -> None:
    """Whoever changes it may be doing so because somebody else is signed in."""
    sessions = Sessions(store)
    before = sessions.begin(person.id, NOW)
    _, codes = confirmed(factors, person)
    assert sessions.find(before, NOW) is None
    token = sessions.begin(person.id, NOW)
    factors.drop(person.id, NOW)
    assert sessions.find(token, NOW) is None
    assert not factors.check(person.id, codes[0], NOW)
    assert factors.recovery_codes_left(person.id) == 0


def test_nobody_has_no_factor(factors: SecondFactors, person: Person) -> None:
    """An empty secret must not make every code right, or none a crash."""
    assert not factors.check(person.id, "000000", NOW)
    assert not factors.check(person.id, "aaaa-bbbb-cccc", NOW)
    with pytest.raises(HuyingError) as caught:
        factors.offer("0" * 32, NOW)
    assert caught.value.code is Code.NOT_FOUND


def test_the_secret_shows_in_no_repr_and_the_picture_has_no_script(
    factors: SecondFactors, person: Person
) -> None:
    """Objects end in logs; and the page's policy lets no style or script through."""
    offer = factors.offer(person.id, NOW)
    assert offer.secret not in repr(offer)
    picture = qr_svg(offer.uri).decode()
    assert picture.startswith("<svg")
    assert not {"style", "script", "href"} & set(
        picture.replace("=", " ").replace("<", " ").split()
    )
