"""The parent's side of a join: a token lets one child in, once, in its time, and over a crash."""

from __future__ import annotations

import stat

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.limits import ENROL_BYTES_MAX
from huying.common.membership.join_request import parse_request
from huying.node.membership import joining
from huying.node.membership.enrolment import Enrolment
from huying.wire.v1 import enrol_pb2
from tests.support.enrolled import NETWORK
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.membership.enrolment_cases import DAY, OTHER, Parent, begin, changed, run, serving


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
