"""Joining as operators do it: real processes, real TLS, the commands as they are typed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from huying.common.errors import ADVICE, Code
from huying.common.membership.join_token import format_token, parse_token
from huying.hub.fleet import free_addresses
from huying.node import tls
from huying.node.config import load
from huying.node.membership.knocking import knocking_certificate, knocking_key
from huying.node.transport.door import DOOR_METHOD, DOOR_SERVICE
from huying.node.transport.link import METHOD, SERVICE
from tests.integration.commands import huying, ok

NETWORK = "wenshang.example"
COUNTY, TOWN, OTHER = "370830000000", "370830108000", "370830109000"
VILLAGE, SECOND = "370830108201", "370830108202"
REFUSED = ADVICE[Code.JOIN_REFUSED].exit_code
SECONDS = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that find nobody dial again soon: how they wait is shown elsewhere."""
    monkeypatch.setenv("HUYING_TIMING__RETRY_SECONDS_MAX", "0.5")


def free_address() -> str:
    return free_addresses(1)[0]


@contextlib.contextmanager
def running(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    log = file.with_name("node.log")
    begun = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "huying.hub.cli", "--config", str(file), "run"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        eventually(lambda: b'"node_running"' in log.read_bytes()[begun:])
        yield process
    finally:
        process.terminate()
        process.wait(SECONDS)


def eventually(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.1)


@pytest.fixture
def county(tmp_path) -> Path:
    ok(
        *("init", tmp_path / "county", "--network", NETWORK, "--code", COUNTY, "--name", "汶上县"),
        *("--sync-listen", free_address(), "--api-listen", free_address()),
    )
    return tmp_path / "county" / "node.toml"


def invite(file: Path, code: str, *more: object) -> str:
    answer = ok("--config", file, "roster", "invite", code, *more)
    assert answer["code"] == code
    assert answer["expires"].endswith("Z")
    return str(answer["token"])


def join(folder: Path, token: str, *more: object) -> Path:
    answer = ok("join", token, "--data", folder, "--listen", free_address(), *more)
    assert answer["state"] == "enrolled"
    return folder / "node.toml"


def peers(file: Path) -> dict[str, bool]:
    status = ok("--config", file, "status")
    return {peer["code"]: peer["connected"] for peer in status["peers"]}


def linked(file: Path, code: str) -> bool:
    return peers(file).get(code, False)


def feed_size(file: Path, code: str) -> int:
    feeds = ok("--config", file, "status")["feeds"]
    return max((feed["size"] for feed in feeds if f"/{code}/" in feed["origin"]), default=0)


def test_a_town_joins_the_running_county_and_its_village_joins_while_the_county_is_down(
    county, tmp_path
):
    """A county's outage of a week must not keep a town from taking its villages in."""
    with running(county):
        token = invite(county, TOWN, "--name", "义桥镇")
        town = join(tmp_path / "town", token)
        with running(town):
            eventually(lambda: linked(town, COUNTY))
            assert linked(county, TOWN)
    with running(town):
        token = invite(town, VILLAGE, "--name", "义桥村")
        village = tmp_path / "village" / "node.toml"
        ok("join", "-", "--data", village.parent, stdin=token)  # a villager's shell keeps a history
        with running(village):
            eventually(lambda: linked(town, VILLAGE))
            with running(county):
                eventually(lambda: feed_size(county, VILLAGE) > 0)
                members = ok("--config", county, "roster", "list")["members"]
                relations = {member["code"]: member["relation"] for member in members}
                assert relations == {COUNTY: "self", TOWN: "child", VILLAGE: "below"}


def test_a_token_used_twice_expired_for_another_code_altered_or_guessed_lets_nobody_in(
    county, tmp_path
):
    """The answer is the same each time, and tells an attacker nothing."""
    with running(county):
        used, fresh = invite(county, TOWN), invite(county, OTHER)
        brief = invite(county, "370830110000", "--hours", "0.0003")  # a second
        join(tmp_path / "town", used, "--name", "义桥镇")
        forged = parse_token(fresh)
        other_code = _with(forged, code="370830111000")
        guessed = _with(forged, secret=b"\x07" * 16)
        time.sleep(1.5)
        answers = []
        for number, token in enumerate((used, brief, other_code, guessed)):
            done = huying("join", token, "--data", tmp_path / f"bad{number}", "--name", "x")
            assert done.returncode == REFUSED, done.stderr
            assert not (tmp_path / f"bad{number}" / "node.toml").exists()
            assert token not in done.stderr
            answers.append(done.stderr)
        assert len(set(answers)) == 1
        altered = fresh[:100] + ("A" if fresh[100] != "A" else "B") + fresh[101:]
        done = huying("join", altered, "--data", tmp_path / "bad", "--name", "x")
        assert done.returncode == ADVICE[Code.TOKEN_MALFORMED].exit_code
        assert Code.TOKEN_MALFORMED.name in done.stderr
        roster = ok("--config", county, "roster", "list")
        assert roster["refused_attempts"] == 4
        states = {one["code"]: (one["state"], one["refused"]) for one in roster["invites"]}
        assert states[TOWN] == ("used", 1)
        assert states[OTHER] == ("open", 1)  # the one for another code; a guess names no invite
        assert states["370830110000"] == ("expired", 1)
        assert [one["code"] for one in roster["members"]] == [COUNTY, TOWN]
        join(tmp_path / "other", fresh, "--name", "别的镇")
        log = county.with_name("node.log").read_text(encoding="utf-8")
        for token in (used, fresh, brief):
            assert token not in log
            assert parse_token(token).secret.hex() not in log


def _with(token, **fields) -> str:
    from dataclasses import replace

    return format_token(replace(token, **fields))


def test_a_join_that_was_cut_is_repeated_with_the_same_token(county, tmp_path):
    """The line drops when the answer is on its way; the operator types the command again."""
    token = invite(county, TOWN, "--name", "义桥镇")
    folder = tmp_path / "town"
    done = huying("join", token, "--data", folder)
    assert done.returncode == ADVICE[Code.UNREACHABLE].exit_code, done.stderr
    assert not (folder / "node.toml").exists()
    keys = (folder / "keys" / "feed-e1.key").read_text()
    with running(county):
        ok("join", token, "--data", folder)
    assert (folder / "keys" / "feed-e1.key").read_text() == keys
    assert not (folder / "join.token").exists()


def test_a_node_behind_a_gap_joins_by_file(tmp_path):
    """No socket on either side: the request and the answer travel on a stick."""
    ok(
        *("init", tmp_path / "county", "--network", NETWORK, "--code", COUNTY, "--name", "汶上县"),
        *("--api-listen", free_address()),
    )
    county = tmp_path / "county" / "node.toml"
    token = invite(county, TOWN, "--name", "义桥镇")
    request, response = tmp_path / "request", tmp_path / "response"
    town = tmp_path / "town"
    ok("join", token, "--data", town, "--request", request)
    answer = ok("--config", county, "roster", "enrol", request, "-o", response)
    assert (answer["code"], answer["state"]) == (TOWN, "enrolled")
    joined = ok("join", "--response", response, "--data", town)
    assert joined["parent"] == COUNTY
    config = load(town / "node.toml", {})
    assert config.parent is not None
    assert config.parent.address is None
    with running(town / "node.toml"):
        assert ok("--config", town / "node.toml", "status")["state"] == "live"
    done = huying("--config", county, "roster", "enrol", county, "-o", response)
    assert done.returncode == REFUSED


def test_a_village_moves_from_its_town_to_the_county_with_its_feed(county, tmp_path):
    """The town is dissolved; what the village wrote stays, and it goes on where it ended."""
    with running(county):
        town = join(tmp_path / "town", invite(county, TOWN, "--name", "义桥镇"))
        with running(town):
            village = join(tmp_path / "village", invite(town, VILLAGE, "--name", "义桥村"))
            with running(village):
                eventually(lambda: feed_size(county, VILLAGE) == 1)
            wrong = huying("--config", village, "rehome", invite(county, SECOND, "--name", "x"))
            assert wrong.returncode == ADVICE[Code.CONFIG].exit_code
            moved = ok("--config", village, "rehome", invite(county, VILLAGE))
            assert (moved["parent"], moved["parent_before"]) == (COUNTY, TOWN)
            assert moved["state"] == "enrolled"
            assert not moved["root_changed"]
            with running(village):
                eventually(lambda: linked(county, VILLAGE))
                assert ok("--config", village, "status")["origin"].endswith(f"{VILLAGE}/e1")
                eventually(lambda: VILLAGE not in peers(town))


def test_a_stranger_gets_no_further_than_the_door(county):
    """The port is open to whoever can reach it; a session is for children alone."""
    with running(county):
        config = load(county, {})
        own = (county.parent / "keys" / "tls.crt").read_bytes()
        credentials = grpc.ssl_channel_credentials(own, knocking_key(), knocking_certificate())
        options = [("grpc.ssl_target_name_override", tls.dns_name(COUNTY))]
        assert config.sync.listen is not None
        channel: Any
        with grpc.secure_channel(config.sync.listen, credentials, options) as channel:
            session: Any = channel.stream_stream(f"/{SERVICE}/{METHOD}")
            with pytest.raises(grpc.RpcError) as caught:
                list(session(iter([b"hello"]), timeout=10))
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            enrol: Any = channel.unary_unary(f"/{DOOR_SERVICE}/{DOOR_METHOD}")
            for junk in (b"", b"\xff" * 100, b"\x00" * 100_000):
                with pytest.raises(grpc.RpcError) as caught:
                    enrol(junk, timeout=10)
                assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
                assert caught.value.details() == Code.JOIN_REFUSED.name
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary("/huying.wire.v1.Admin/ShowRoster")(b"", timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_address_where_somebody_else_answers_is_told_apart(county, tmp_path):
    """A stolen address must not get to see the request, whose proofs are worth a session."""
    ok(
        *("init", tmp_path / "x", "--network", NETWORK, "--code", COUNTY, "--name", "假县"),
        *("--sync-listen", free_address(), "--api-listen", free_address()),
    )
    impostor = tmp_path / "x" / "node.toml"
    address = load(impostor, {}).sync.listen
    token = _with(parse_token(invite(county, TOWN)), address=address)
    with running(impostor):
        done = huying("join", token, "--data", tmp_path / "town", "--name", "x")
        assert done.returncode == ADVICE[Code.KEY].exit_code
        assert "another certificate" in done.stderr
        assert ok("--config", impostor, "roster", "list")["refused_attempts"] == 0


def test_the_fallback_address_is_tried_where_the_first_does_not_answer(county, tmp_path):
    """A token was printed yesterday; today the office has another line."""
    listen = load(county, {}).sync.listen
    with running(county):
        token = invite(county, TOWN, "--name", "义桥镇", "--fallback", listen)
        token = _with(parse_token(token), address=free_address())
        join(tmp_path / "town", token)
