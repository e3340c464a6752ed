"""Who is refused at the door of a parent, and what a refusal gives away.

Anybody on the network may knock. A stranger learns nothing from being refused, costs no honest
child its turn, and a child believes nobody but the parent whom its token names.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from hashlib import sha256

import pytest
import structlog

from huying.common.errors import Code, HuyingError
from huying.common.limits import ENROL_BYTES_MAX, JOIN_REFUSALS_MAX
from huying.common.membership.join_request import parse_request
from huying.common.membership.join_token import mac_key
from huying.node import logs
from huying.node.membership import joining, knocking
from huying.node.membership.enrolment import Strangers
from huying.wire.v1 import enrol_pb2
from tests.support.enrolled import make_node
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, StoppedClock
from tests.unit.membership.enrolment_cases import OTHER, Parent, begin, changed, run
from tests.unit.membership.test_join_token import weak_key

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
