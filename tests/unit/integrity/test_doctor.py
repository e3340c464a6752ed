"""The doctor names what is wrong, says in two languages what to do, and changes nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from huying.common.errors import ADVICE, Code
from huying.common.feed.merkle import EMPTY_ROOT
from huying.node import config as node_config
from huying.node import keys
from huying.node.backups.backup import back_up
from huying.node.cli import check_link, check_machine, check_store
from huying.node.cli.checks import CHECKS, examine
from huying.node.cli.finding import Finding, Outcome, exit_code
from huying.node.config import Config
from huying.node.highwater import FileMark
from tests.support.enrolled import make_node

COUNTY, TOWN = "370830000000", "370830108000"


@pytest.fixture
def town(tmp_path: Path) -> Config:
    """A town below a county that does not run."""
    county = make_node(tmp_path / COUNTY, COUNTY, sync_listen="127.0.0.1:1")
    made = make_node(
        tmp_path / TOWN, TOWN, parent=county.config.file, sync_listen="127.0.0.1:0",
        api_listen="127.0.0.1:2",
    )  # fmt: skip
    return node_config.load(made.config.file, {})


def found(config: Config, name: str) -> list[Finding]:
    return [finding for finding in examine(config) if finding.name == name]


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_new_node_has_nothing_that_fails_and_is_left_as_it_was(town: Config) -> None:
    """The first thing an operator runs must not frighten without reason, nor touch anything."""
    before = snapshot(town.file.parent)
    findings = examine(town)
    assert [one.detail for one in findings if one.outcome is Outcome.FAIL] == []
    assert exit_code(findings) == 0
    assert {one.name for one in findings} >= {name for name, _ in CHECKS} - {"roster"}
    assert snapshot(town.file.parent) == before
    for one in findings:
        assert one.detail
        assert one.detail_zh
        if one.outcome is not Outcome.OK:
            assert one.advice_zh
            assert one.advice_en


def test_a_key_that_others_may_read_is_named_with_the_command(town: Config) -> None:
    """The one mistake of a restore that nobody notices."""
    path = town.keys_dir / "hpke.key"
    path.chmod(0o640)
    failed = [one for one in found(town, "keys") if one.outcome is Outcome.FAIL]
    assert any(str(path) in one.detail and "chmod" in one.advice_zh for one in failed)
    assert exit_code(failed) == ADVICE[Code.KEY].exit_code


def test_an_unreadable_mark_and_another_host_s_are_told_apart(town: Config) -> None:
    """One is damage, the other a clone."""
    town.mark_file.write_text("nonsense")
    (one,) = found(town, "mark")
    assert (one.outcome, one.code) == (Outcome.FAIL, Code.CORRUPT)
    town.mark_file.unlink()
    (one,) = found(town, "mark")
    assert one.outcome is Outcome.OK  # nothing was written yet
    FileMark(town.mark_file, bytes(32)).write(f"wenshang.example/feed/{TOWN}/e1", 0, EMPTY_ROOT)
    (one,) = found(town, "mark")
    assert one.outcome is Outcome.OK


@pytest.mark.parametrize(("now", "told"), [(1e9, "早于"), (5e9, "将来")])
def test_a_year_that_can_not_be_fails(
    town: Config, monkeypatch: pytest.MonkeyPatch, now: float, told: str
) -> None:
    """A machine without its battery signs cosignatures of 1970."""
    monkeypatch.setattr(time, "time", lambda: now)
    (one,) = check_machine.clock(town)
    assert one.outcome is Outcome.FAIL
    assert told in one.detail_zh


@pytest.mark.parametrize(("free", "outcome"), [(50e6, Outcome.FAIL), (500e6, Outcome.WARN)])
def test_a_disk_that_fills_is_told_before_the_node_stops(
    town: Config, monkeypatch: pytest.MonkeyPatch, free: float, outcome: Outcome
) -> None:
    """A full disk stops the writing."""
    usage = type("Usage", (), {"free": int(free)})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert {one.outcome for one in check_machine.disk(town)} == {outcome}


def test_a_port_in_use_is_named_with_its_setting(town: Config) -> None:
    """Two nodes on one machine, one setting copied."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = node_config.load(town.file, {"HUYING_SYNC__LISTEN": address})
        (one,) = check_machine.ports(config)
    assert one.outcome is Outcome.FAIL
    assert f"[sync] listen {address}" in one.detail


def test_a_backup_is_missed_until_one_is_made_and_again_after_a_week(
    town: Config, tmp_path: Path
) -> None:
    """A backup that stopped months ago is found out when it is needed."""
    (one,) = check_store.backup(town)
    assert (one.outcome, one.advice_en) == (Outcome.WARN, "run: huying backup FILE")
    back_up(town, tmp_path / "a.backup", time.time())
    (one,) = check_store.backup(town)
    assert one.outcome is Outcome.OK
    back_up(town, tmp_path / "b.backup", time.time() - 8 * 86400)
    (one,) = check_store.backup(town)
    assert one.outcome is Outcome.WARN
    assert "8 days ago" in one.detail


def test_the_library_s_own_fault_is_named_with_what_keeps_it_off(
    town: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads of the WAL-reset fault wants to know where this node stands."""
    for version, affected in (((3, 51, 2), True), ((3, 51, 3), False), ((3, 6, 9), False)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        (one,) = check_store.sqlite(town)
        assert ("WAL-reset fault" in one.detail) is affected
        assert one.outcome is Outcome.OK


def test_a_damaged_database_and_those_put_aside_are_told(town: Config) -> None:
    """What a repair or a restore left behind holds personal data, and passwords' hashes."""
    town.console_dir.mkdir(mode=0o700, exist_ok=True)
    left = [
        town.database_file.with_name("node.db.damaged-20260101T000000"),
        town.database_file.with_name("node.db.before-20260101T000000Z"),
        town.console_dir / "console.db.before-20260101T000000Z",
    ]
    for aside in left:
        aside.write_bytes(b"old")
        aside.chmod(0o600)
    warned = [one.detail for one in found(town, "store") if one.outcome is Outcome.WARN]
    assert all(any(str(aside) in detail for detail in warned) for aside in left)
    town.database_file.write_bytes(os.urandom(8192))
    failed = [one for one in found(town, "store") if one.outcome is Outcome.FAIL]
    assert failed[0].code is Code.CORRUPT


@contextmanager
def listening(config: Config | None) -> Iterator[str]:
    """Something that takes one connection: with a node's certificate, or without TLS."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(10)

        def serve() -> None:
            plain, _ = server.accept()
            with closing(plain):
                if config is None:
                    plain.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    return
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                folder = config.keys_dir
                context.load_cert_chain(
                    folder / keys.TLS_CERTIFICATE_FILE, folder / keys.TLS_KEY_FILE
                )
                with context.wrap_socket(plain, server_side=True) as wrapped:
                    wrapped.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


def reached(town: Config, address: str) -> Finding:
    (one,) = check_link.parent(node_config.load(town.file, {"HUYING_PARENT__ADDRESS": address}))
    return one


def test_each_step_towards_the_parent_fails_by_its_own_name(
    town: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, port, TLS, certificate, roster: five people to ring up, and just one is right."""
    nobody = reached(town, "no-such-host.invalid:7400")
    assert (nobody.outcome, nobody.detail_zh) == (Outcome.WARN, "域名解析失败")
    refused = reached(town, "127.0.0.1:1")
    assert (refused.outcome, refused.detail_zh) == (Outcome.WARN, "连不上上级")
    with listening(None) as address:
        plain = reached(town, address)
    assert (plain.outcome, plain.detail_zh) == (Outcome.FAIL, "端口应答,但不是 TLS")
    with listening(town) as address:
        stranger = reached(town, address)
    assert (stranger.outcome, stranger.detail_zh) == (Outcome.FAIL, "对方出示的证书与登记的不符")
    announced = town.pins_dir / f"{COUNTY}.next.crt"
    announced.write_text((town.keys_dir / keys.TLS_CERTIFICATE_FILE).read_text("ascii"), "ascii")
    monkeypatch.setattr(check_link, "_handshake", lambda *_: True)
    with listening(town) as address:
        renewed = reached(town, address)
    assert (renewed.outcome, renewed.detail_zh) == (Outcome.OK, "已连通,证书相符")
    announced.unlink()
    monkeypatch.setattr(check_link, "_handshake", lambda *_: False)
    with listening(node_config.load(town.file.parent.parent / COUNTY / "node.toml", {})) as address:
        expelled = reached(town, address)
    assert (expelled.outcome, expelled.detail_zh) == (Outcome.FAIL, "上级不接受本级证书")
