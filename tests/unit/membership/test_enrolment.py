"""The parent's side of a join: who is let in, who is refused, and what a refusal gives away."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog

from huying.common.engine import Engine
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENROL_BYTES_MAX, JOIN_REFUSALS_MAX
from huying.common.membership.join_request import parse_request, parse_response, prove_request
from huying.common.membership.join_token import JoinToken, mac_key, parse_token
from huying.node import keys, logs
from huying.node.app import open_engine
from huying.node.children import ReadRoster
from huying.node.config import Config
from huying.node.membership import joining, knocking
from huying.node.membership.enrolment import Enrolment, Strangers
from huying.node.membership.invites import InviteFolder, issue
from huying.node.membership.offers import make_offer
from huying.node.runtime import Runtime
from huying.wire.v1 import enrol_pb2
from tests.support.enrolled import NETWORK, make_node
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, StoppedClock
from tests.unit.membership.test_join_token import weak_key

OTHER = "370830109000"
DAY = 86_400.0


class Parent:
    """A county that is open for joins, without a socket, at a time that the test says."""

    def __init__(self, config: Config, runtime: Runtime, clock: StoppedClock) -> None:
        self.config, self.runtime, self.clock = config, runtime, clock
        self.enrolment = Enrolment(config, runtime, clock)

    def invite(self, code: str = TOWN, hours: float = 1.0) -> tuple[str, JoinToken]:
        offer = make_offer(self.config, code, "义桥镇")
        folder = InviteFolder(self.config.invites_dir)
        text, _ = issue(folder, offer, hours, self.clock.now())
        return text, parse_token(text)

    async def knock(self, request: bytes, host: str = "10.0.0.9") -> enrol_pb2.EnrolResponse:
        return parse_response(await self.enrolment.knock(request, host))

    async def refused(self, request: bytes, host: str = "10.0.0.9") -> None:
        """It is refused, and nothing is said of why."""
        before = self.enrolment.refused_attempts
        with pytest.raises(HuyingError) as caught:
            await self.enrolment.knock(request, host)
        assert (caught.value.code, caught.value.detail) == (Code.JOIN_REFUSED, "")
        assert caught.value.__cause__ is None
        assert self.enrolment.refused_attempts == before + 1

    async def reason(self, request: bytes) -> str:
        """Why it is refused, which this node's own operator may know."""
        with pytest.raises(HuyingError) as caught:
            await self.enrolment.by_file(request)
        assert caught.value.code is Code.JOIN_REFUSED
        return caught.value.detail

    async def own_size(self) -> int:
        class Size:
            def run(self, engine: Engine) -> int:
                assert engine.replica.own.quarantined == 0
                return engine.replica.own.size

        size: int = await self.runtime.operate(Size())
        return size

    async def children(self) -> dict[str, str]:
        return dict((await self.runtime.operate(ReadRoster())).links)


@contextlib.asynccontextmanager
async def serving(config: Config, clock: StoppedClock) -> AsyncIterator[Parent]:
    store, engine = open_engine(config)
    engine.confirmed = True  # nobody above can be asked here
    runtime = Runtime(engine, clock)
    await runtime.start()
    try:
        yield Parent(config, runtime, clock)
    finally:
        await runtime.stop()
        store.close()


@contextlib.asynccontextmanager
async def county(folder: Path) -> AsyncIterator[Parent]:
    made = make_node(folder / "county", COUNTY, name="汶上县", sync_listen="10.0.0.1:7400")
    async with serving(made.config, StoppedClock()) as parent:
        yield parent


def run(folder: Path, scenario: Callable[[Parent], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30), county(folder) as parent:
            await scenario(parent)

    asyncio.run(whole())


def begin(folder: Path, text: str, **wishes: Any) -> joining.Joining:
    return joining.begin(folder, parse_token(text), text, joining.Wishes(name="义桥镇", **wishes))


def changed(under_way: joining.Joining, key: bytes = b"", **fields: Any) -> bytes:
    """The request with other fields, all its proofs made anew by the keys at hand."""
    request = parse_request(under_way.request)
    for name, value in fields.items():
        setattr(request, name, value)
    made = under_way.keys
    prove_request(
        request,
        key or mac_key(under_way.token.secret),
        made.identity,
        lambda message: keys.sign_by_tls(made.tls, message),
    )
    return request.SerializeToString()


def test_a_good_token_enters_the_child_into_the_roster_at_once(tmp_path):
    """No restart, no file to copy: its certificate opens links from the next handshake on."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite()
        under_way = begin(tmp_path / "town", text, sync_listen="10.0.0.2:7400")
        answer = await parent.knock(under_way.request)
        assert (answer.state, answer.roster_index) == ("enrolled", 0)
        certificate = under_way.keys.tls.certificate_pem.decode()
        assert await parent.children() == {TOWN: certificate}
        joined = joining.finish(under_way, answer.SerializeToString())
        assert joined.parent.code == COUNTY
        assert joined.parent.certificate_sha256 == token.parent.certificate_sha256
        assert joined.made.config.parent is not None
        assert joined.made.config.parent.address == "10.0.0.1:7400"
        assert not list((tmp_path / "town").glob("join*"))

    run(tmp_path, scenario)


def test_a_token_works_once_and_its_holder_may_come_again_with_the_same_keys(tmp_path):
    """An answer that was lost must not cost a second token; and a copied token is worth nothing."""

    async def scenario(parent: Parent) -> None:
        text, _ = parent.invite()
        first, second = begin(tmp_path / "a", text), begin(tmp_path / "b", text)
        answer = await parent.knock(first.request)
        assert await parent.knock(first.request) == answer
        again = begin(tmp_path / "a", text)  # as `huying join` does after it was cut
        assert again.keys.identity.origin == first.keys.identity.origin
        assert (await parent.knock(again.request)).roster_index == answer.roster_index
        await parent.refused(second.request)
        assert "was used before" in await parent.reason(second.request)
        assert await parent.own_size() == 1

    run(tmp_path, scenario)


def test_each_bad_token_is_refused_with_the_same_words_and_counted(tmp_path):
    """Guessing, replaying and forging must all look alike from outside."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite()
        under_way = begin(tmp_path / "town", text)
        good = parse_request(under_way.request)
        cases = {
            "no such token": changed(under_way, token_id=b"\x09" * 8),
            "not made with the token": changed(under_way, key=b"\x05" * 32),
            "and another code": changed(under_way, code=OTHER),
            "decoded": b"\xff\xff\xff",
            "token_id": enrol_pb2.EnrolRequest().SerializeToString(),
            f"over {ENROL_BYTES_MAX}": b"\x00" * (ENROL_BYTES_MAX + 1),
        }
        altered = enrol_pb2.EnrolRequest()
        altered.CopyFrom(good)
        altered.hpke_key = b"\x09" + b"\x00" * 31
        cases["not made with the token of"] = altered.SerializeToString()
        for number, (why, request) in enumerate(cases.items()):
            await parent.refused(request, f"10.0.1.{number}")
            assert why in await parent.reason(request)
        (invite,) = parent.enrolment.invites.all()
        assert invite.failures == 2 * 3  # those that named this token, over the wire and by file
        assert invite.state == "open"
        assert await parent.children() == {}
        assert (await parent.knock(under_way.request)).state == "enrolled"
        assert token.code == TOWN

    run(tmp_path, scenario)


def test_an_expired_token_is_refused_and_so_is_its_repetition(tmp_path):
    """A mislaid token is worthless the next day, whoever used it first."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite(hours=24)
        used = begin(tmp_path / "a", text)
        parent.clock.seconds = token.expires_seconds - 1
        await parent.knock(used.request)
        parent.clock.seconds = token.expires_seconds
        await parent.refused(used.request)
        unused = begin(tmp_path / "b", parent.invite(OTHER)[0])
        parent.clock.seconds += DAY
        await parent.refused(unused.request)
        assert "expired" in await parent.reason(unused.request)

    run(tmp_path, scenario)


def test_no_token_lasts_longer_than_a_day_or_is_for_a_code_that_is_not_below(tmp_path):
    """The operator's slip of the hand is caught where it is made."""

    async def scenario(parent: Parent) -> None:
        for hours in (0.0, -1.0, 24.1, float("inf"), float("nan")):
            with pytest.raises(HuyingError, match="hours"):
                parent.invite(hours=hours)
        for code in (COUNTY, "370831108000", "370800000000"):
            with pytest.raises(HuyingError, match="not below"):
                parent.invite(code)
        with pytest.raises(HuyingError, match="12 digits"):
            parent.invite("37083010800")
        assert parent.enrolment.invites.all() == []

    run(tmp_path, scenario)


WEAK_HPKE = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"feed_key": weak_key(TOWN)}, "small order"),
        ({"feed_key": "nonsense"}, "verifier key"),
        ({"feed_key": ""}, "verifier key"),
        ({"hpke_key": b"\x00" * 32}, "small order"),
        ({"hpke_key": WEAK_HPKE}, "small order"),
        ({"hpke_key": b"\x01"}, "32 bytes"),
        ({"certificate": b"\x30\x00"}, "certificate"),
        ({"certificate": b"\x30" * 3000}, "certificate: over"),
        ({"network": "other.example"}, "another code"),
        ({"address": "anywhere"}, "address"),
        ({"succession": b"\xff"}, "succession"),
    ],
)
def test_weak_keys_and_nonsense_are_refused_from_the_holder_of_a_good_token(tmp_path, fields, why):
    """A token lets a division in, not a key that anybody can sign with."""

    async def scenario(parent: Parent) -> None:
        text, _ = parent.invite()
        under_way = begin(tmp_path / "town", text)
        request = changed(under_way, **fields)
        await parent.refused(request)
        assert why in await parent.reason(request)
        assert (await parent.knock(under_way.request)).state == "enrolled"

    run(tmp_path, scenario)


@pytest.mark.parametrize("stolen", ["feed_key", "witness_key", "certificate"])
def test_a_key_that_is_not_proven_to_be_held_is_refused(tmp_path, stolen):
    """Somebody else's public key, enrolled as one's own, would make their words one's own."""

    async def scenario(parent: Parent) -> None:
        text, _ = parent.invite()
        mine, theirs = begin(tmp_path / "a", text), begin(tmp_path / "b", text)
        value = getattr(parse_request(theirs.request), stolen)
        request = changed(mine, **{stolen: value})
        await parent.refused(request)
        assert "signature" in await parent.reason(request)

    run(tmp_path, scenario)


def test_a_certificate_in_another_name_or_one_that_issues_others_is_refused(tmp_path):
    """It joins the list of those that open the parent's port."""

    async def scenario(parent: Parent) -> None:
        mine = begin(tmp_path / "a", parent.invite()[0])
        other = begin(tmp_path / "b", parent.invite(OTHER)[0])
        pem = other.keys.tls.certificate_pem.decode()
        request = changed(mine, certificate=ssl.PEM_cert_to_DER_cert(pem))
        assert f"not in the name of {TOWN}" in await parent.reason(request)

    run(tmp_path, scenario)


def test_a_second_key_for_a_known_epoch_is_refused(tmp_path):
    """Two keys under one origin's name would be a fork by the roster's own hand."""

    async def scenario(parent: Parent) -> None:
        text, _ = parent.invite()
        stale = parent.invite()[0]  # both for epoch 1
        await parent.knock(begin(tmp_path / "a", text).request)
        request = begin(tmp_path / "b", stale).request
        await parent.refused(request)
        assert await parent.own_size() == 1
        assert list(await parent.children()) == [TOWN]

    run(tmp_path, scenario)


def test_a_division_that_joins_anew_begins_a_new_epoch(tmp_path):
    """A wiped machine has other keys; its old feed stays what it was."""

    async def scenario(parent: Parent) -> None:
        await parent.knock(begin(tmp_path / "a", parent.invite()[0]).request)
        again = begin(tmp_path / "b", parent.invite()[0])
        assert again.keys.identity.origin == f"{NETWORK}/feed/{TOWN}/e2"
        answer = await parent.knock(again.request)
        assert answer.state == "enrolled"  # above a child of the root stands nobody to ask
        certificate = again.keys.tls.certificate_pem.decode()
        assert await parent.children() == {TOWN: certificate}

    run(tmp_path, scenario)


def test_below_a_parent_that_is_not_the_root_a_new_key_waits_for_the_grandparent(tmp_path):
    """A town could make a key for its village itself, and write in the village's name."""

    async def scenario(parent: Parent) -> None:
        town = begin(tmp_path / "town", parent.invite()[0], sync_listen="10.0.0.2:7400")
        answer = await parent.knock(town.request)
        made = joining.finish(town, answer.SerializeToString()).made
        async with serving(made.config, parent.clock) as above:
            first = begin(tmp_path / "a", above.invite(VILLAGE)[0])
            assert (await above.knock(first.request)).state == "enrolled"
            again = begin(tmp_path / "b", above.invite(VILLAGE)[0])
            answer = await above.knock(again.request)
            assert answer.state == "waiting"
            pem = again.keys.tls.certificate_pem.decode()
            assert (await above.children())[VILLAGE] == pem  # its link is the town's own affair
            joined = joining.finish(again, answer.SerializeToString())
            assert joined.state == "waiting"

    run(tmp_path, scenario)


def test_a_node_that_moved_away_and_back_is_named_anew(tmp_path):
    """The second word must be heard although it says what the first said."""

    async def scenario(parent: Parent) -> None:
        under_way = begin(tmp_path / "town", parent.invite()[0])
        await parent.knock(under_way.request)
        token = parent.invite()[1]
        again = joining.make_request(under_way.config, token, under_way.keys)
        answer = await parent.knock(again)
        assert (answer.state, answer.roster_index) == ("enrolled", 1)
        assert await parent.own_size() == 2

    run(tmp_path, scenario)


def test_who_is_refused_too_often_has_to_wait_and_others_do_not(tmp_path):
    """A guess costs time; an honest neighbour on another machine does not pay for it."""

    async def scenario(parent: Parent) -> None:
        under_way = begin(tmp_path / "town", parent.invite()[0])
        guess = changed(under_way, token_id=b"\x01" * 8)
        for _ in range(JOIN_REFUSALS_MAX):
            await parent.refused(guess, "10.6.6.6")
        with pytest.raises(HuyingError) as caught:
            await parent.enrolment.knock(under_way.request, "10.6.6.6")
        assert caught.value.code is Code.BUSY
        assert (await parent.knock(under_way.request, "10.0.0.9")).state == "enrolled"
        parent.clock.seconds += 60
        await parent.refused(guess, "10.6.6.6")

    run(tmp_path, scenario)


def test_an_army_of_strangers_shares_one_account():
    """What is remembered of attackers must not grow with them."""
    clock = StoppedClock()
    strangers = Strangers(clock.monotonic)
    for number in range(5000):
        strangers.refused(f"host {number}")
    with pytest.raises(HuyingError, match="refused attempts"):
        strangers.check("host 9999")
    strangers.check("host 1")  # one of those that have an account of their own
    clock.seconds += 5000 * 6
    strangers.check("host 9999")


def test_what_is_kept_of_tokens_is_private_and_a_damaged_file_lets_nobody_in(tmp_path):
    """The MAC key is as good as the token, for as long as it lasts."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite()
        (path,) = parent.config.invites_dir.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        content = path.read_text(encoding="utf-8")
        assert text not in content
        assert token.secret.hex() not in content
        under_way = begin(tmp_path / "town", text)
        for damage in ('state = "new"', "", "x" * 5000, 'state = "open"\nmore = 1'):
            path.write_text(content.replace('state = "open"', damage), encoding="utf-8")
            await parent.refused(under_way.request)
        path.write_text(content, encoding="utf-8")
        await parent.knock(under_way.request)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [one.state for one in parent.enrolment.invites.all()] == ["used"]
        assert "mac_key" not in repr(parent.enrolment.invites.all())

    run(tmp_path, scenario)


def test_a_crash_between_the_mark_and_the_entry_lets_the_same_keys_finish(tmp_path):
    """The token is used up first: a crash may delay a child, and never lets in a second one."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite()
        mine, theirs = begin(tmp_path / "a", text), begin(tmp_path / "b", text)
        whole = parent.runtime.operate

        async def torn(_operation: object) -> None:
            raise HuyingError(Code.DISK_FULL, "as the power went")

        parent.runtime.operate = torn  # type: ignore[method-assign, assignment]
        with pytest.raises(HuyingError, match="DISK_FULL"):
            await parent.enrolment.knock(mine.request, "10.0.0.9")
        parent.runtime.operate = whole  # type: ignore[method-assign]
        parent.enrolment = Enrolment(parent.config, parent.runtime, parent.clock)
        await parent.refused(theirs.request)
        assert (await parent.knock(mine.request)).roster_index == 0
        assert token.code == TOWN

    run(tmp_path, scenario)


def test_nothing_secret_is_logged_or_shown(tmp_path, capsys):
    """Logs are collected, mailed and kept."""

    async def scenario(parent: Parent) -> None:
        logs.configure("debug", "json")
        text, token = parent.invite()
        under_way = begin(tmp_path / "town", text)
        await parent.refused(changed(under_way, key=b"\x05" * 32))
        await parent.knock(under_way.request)
        printed = "".join(capsys.readouterr())
        assert "join_refused" in printed
        secret = token.secret
        for each in (text, secret.hex(), mac_key(secret).hex(), str(secret)):
            assert each not in printed
            assert each not in repr((token, under_way, parent.enrolment.invites.all()))

    try:
        run(tmp_path, scenario)
    finally:
        structlog.reset_defaults()  # the log was bound to this test's captured stream


def test_an_answer_that_was_altered_or_is_another_s_makes_no_node(tmp_path):
    """It may come back on a stick: pins that somebody put in would be trusted for good."""

    async def scenario(parent: Parent) -> None:
        text, _ = parent.invite()
        under_way = begin(tmp_path / "a", text)
        answer = await parent.knock(under_way.request)
        other = begin(tmp_path / "b", parent.invite(OTHER)[0])
        theirs = await parent.knock(other.request)
        altered = enrol_pb2.EnrolResponse()
        altered.CopyFrom(answer)
        altered.state = "waiting"
        for bad in (theirs, altered):
            with pytest.raises(HuyingError) as caught:
                joining.finish(under_way, bad.SerializeToString())
            assert caught.value.code is Code.JOIN_REFUSED
        for junk in (b"", b"\xff", b"\x00" * (ENROL_BYTES_MAX + 1)):
            with pytest.raises(HuyingError):
                joining.finish(under_way, junk)
        assert not (tmp_path / "a" / "node.toml").exists()
        joining.finish(under_way, answer.SerializeToString())

    run(tmp_path, scenario)


def test_a_parent_that_is_not_who_the_token_names_is_not_believed(tmp_path):
    """Who stole the token knows its MAC key, and still is not the parent."""

    async def scenario(parent: Parent) -> None:
        text, token = parent.invite()
        under_way = begin(tmp_path / "town", text)
        answer = (await parent.knock(under_way.request)).SerializeToString()
        village = make_node(tmp_path / "x", VILLAGE, name="村")
        from tests.unit.membership.test_join_token import bare

        for wrong in (
            replace(token, root=bare(COUNTY)),
            replace(token, parent=replace(token.parent, certificate_sha256=b"\x01" * 32)),
            replace(token, parent=bare(COUNTY, token.parent.certificate_sha256)),
        ):
            with pytest.raises(HuyingError, match="than the token names") as caught:
                joining.take_answer(wrong, under_way.request, answer)
            assert caught.value.code is Code.KEY
        assert village.pin.code == VILLAGE

    run(tmp_path, scenario)


def test_everybody_makes_the_same_knocking_certificate():
    """The port trusts these bytes; a library that signs otherwise would shut the door."""
    first = knocking.knocking_certificate()
    knocking.knocking_certificate.cache_clear()
    assert knocking.knocking_certificate() == first
    digest = sha256(ssl.PEM_cert_to_DER_cert(first.decode())).hexdigest()
    assert digest == "384478756f0f5bee94ce5fbd499f8fa9533daef298c645d017d06a41fbdf920d"
