"""Backup and restore of one node's folder: what is in it, what is not, and what stays as it was."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from huying.common.effects import Append, Appended, DraftEntry
from huying.common.engine import Engine
from huying.common.errors import Code, HuyingError
from huying.node import department_keys
from huying.node.app import open_engine
from huying.node.backups import backup_file, unnamed_copy
from huying.node.backups.backup import back_up
from huying.node.backups.restore import read_header, restore
from huying.node.config import Config, load
from huying.node.highwater import FileMark, host_id
from huying.node.integrity import fsck
from huying.node.membership.enrol import init_node
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.node.store.store import SqlStore
from huying.wire.v1 import feed_pb2, records_pb2

COUNTY = "370830000000"
NOVEMBER = 1_795_000_000.0  # 2026-11
DECEMBER = NOVEMBER + 31 * 86400


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = init_node(
        tmp_path / "node", network="wenshang.example", code=COUNTY, name="汶上县",
        api_listen="127.0.0.1:0",
    )  # fmt: skip
    return made.config


@pytest.fixture
def running(config: Config) -> Iterator[tuple[SqlStore, Engine]]:
    store, engine = open_engine(config)
    engine.start()
    yield store, engine
    store.close()


def write(engine: Engine, *texts: str) -> None:
    drafts = [
        DraftEntry(
            feed_pb2.KIND_PUT,
            feed_pb2.RECORD_TYPE_DIVISION,
            records_pb2.Division(code=COUNTY, name=text),
        )
        for text in texts
    ]
    answers = [one for one in engine.step([Append(1, (*drafts,))]) if isinstance(one, Appended)]
    assert answers[0].error is None, answers[0].error


def read_sizes(config: Config) -> dict[str, int]:
    reader = FileReader(sqlite_url(config.database_file))
    try:
        assert fsck.check(reader).problems == []
        return {feed.origin: feed.size for feed in reader.feeds()}
    finally:
        reader.close()


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def code_of(call, *values, **named) -> Code:
    with pytest.raises(HuyingError) as caught:
        call(*values, **named)
    return caught.value.code


def test_a_running_node_comes_back_as_it_was_at_one_moment(config, running, tmp_path, monkeypatch):
    """The copy is one snapshot: what is written while it is made, page by page, is not in it."""
    _, engine = running
    monkeypatch.setattr(unnamed_copy, "COPY_PAGES", 16)
    write(engine, *(f"entry {number} " + "x" * 150 for number in range(1000)))
    size = engine.replica.own.size
    file = tmp_path / "b"
    report = back_up(config, file, NOVEMBER, lambda _done, _all: write(engine, "meanwhile"))
    assert engine.replica.own.size > size, "something was written in the middle"
    assert report.header.size == size
    restored = restore(file, tmp_path / "new", environ={})
    assert read_sizes(restored.config) == {engine.identity.origin: size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_not_committed_is_not_backed_up(config, running, tmp_path):
    """A transaction that is still running may be undone, and is nobody's history."""
    store, engine = running
    write(engine, "first")
    size = engine.replica.own.size
    file = tmp_path / "b"
    with store.transaction():
        store.create_feed("wenshang.example/feed/370830999000/e1")
        report = back_up(config, file, NOVEMBER)
    assert report.header.size == size
    assert list(read_sizes(restore(file, tmp_path / "new", environ={}).config)) == [
        engine.identity.origin
    ]


def test_keys_and_pins_come_back_and_the_mark_does_not(config, running, tmp_path):
    """With its mark a restored node would believe that it has all that it ever said."""
    write(running[1], "first")
    back_up(config, tmp_path / "b", NOVEMBER)
    new = restore(tmp_path / "b", tmp_path / "new", environ={}).config
    before, after = tree(config.file.parent), tree(new.file.parent)
    same = {"node.toml", "pin.toml"} | {name for name in before if name.startswith("keys/")}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after.keys() == same | {"data/node.db", "backup-keys/2026-11.key"}
    for path in new.keys_dir.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert FileMark(new.mark_file, host_id()).read() is None
    assert config.mark_file.exists()


def test_the_keys_of_departments_and_the_rules_of_disclosure_come_back(config, running, tmp_path):
    """Without its key a department can't open what it was given; without its rules a home asks."""
    write(running[1], "first")
    key = department_keys.public_key(config, "县民政局", create=True)
    rule = '[[disclosure.rule]]\nname = "r"\nfields = ["phone"]\ndepartments = ["县民政局"]\n'
    moved = f'[trust]\npins = "{tmp_path}/elsewhere"\n'
    with config.file.open("a") as file:
        file.write(f'{moved}{rule}when = "open_call_lead"\n')
    changed = load(config.file, {})
    back_up(changed, tmp_path / "b", NOVEMBER)
    new = restore(tmp_path / "b", tmp_path / "new", environ={}).config
    assert department_keys.load_key(new, "县民政局").public_key == key
    assert stat.S_IMODE(department_keys.key_file(new, "县民政局").stat().st_mode) == 0o600
    assert new.disclosure == changed.disclosure
    assert new.disclosure.rule is not None
    assert new.trust.pins == "pins", "the place that lay outside is inside the new folder"


def test_no_plain_copy_is_left_and_nothing_readable_is_in_the_file(config, running, tmp_path):
    """A stick that is lost must not be a village that is published."""
    write(running[1], "canary-in-a-name")
    usual = {"node.db", "node.db-wal", "node.db-shm", "node.db.lock"}
    seen: list[set[str]] = []

    def look(_done: int, _all: int) -> None:
        seen.append({path.name for path in config.data_dir.iterdir()})

    back_up(config, tmp_path / "b", NOVEMBER, look)
    look(0, 0)
    assert seen == [usual] * len(seen), "whatever kills the command takes the plain copy along"
    data = (tmp_path / "b").read_bytes()
    token = config.token_file.read_bytes().strip()
    key = (config.keys_dir / "witness.key").read_bytes().rsplit(b"+", 1)[1].strip()
    for secret in (b"canary-in-a-name", b"SQLite format 3", token, key):
        assert secret not in data


def test_a_failing_backup_leaves_nothing(config, running, tmp_path, monkeypatch):
    """Half a backup is worse than none: it is counted on."""
    folder = tmp_path / "stick"
    folder.mkdir()
    monkeypatch.setattr(backup_file.PartWriter, "close", lambda _self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        back_up(config, folder / "b", NOVEMBER)
    assert list(folder.iterdir()) == []
    assert not list(config.data_dir.glob(".*"))


def test_a_backup_never_replaces_another(config, tmp_path):
    """The older one may be the good one."""
    (tmp_path / "b").write_bytes(b"older")
    assert code_of(back_up, config, tmp_path / "b", NOVEMBER) is Code.INVALID_ARGUMENT
    assert (tmp_path / "b").read_bytes() == b"older"


def test_each_month_has_a_key_of_its_own_and_deleting_it_destroys_that_month_alone(
    config, tmp_path
):
    """This is how an erasure reaches backups that nobody can recall."""
    first = back_up(config, tmp_path / "november", NOVEMBER)
    again = back_up(config, tmp_path / "november2", NOVEMBER + 60)
    second = back_up(config, tmp_path / "december", DECEMBER)
    assert (first.key.made, again.key.made, second.key.made) == (True, False, True)
    assert first.key.key_id == again.key.key_id != second.key.key_id
    folder = config.backup_keys_dir
    assert sorted(path.name for path in folder.iterdir()) == ["2026-11.key", "2026-12.key"]
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (folder / "2026-11.key").unlink()
    new = tmp_path / "new"
    assert code_of(restore, tmp_path / "november", new, environ={}) is Code.BACKUP_KEY
    assert not new.exists(), "nothing is written without the key"
    restore(tmp_path / "december", new, environ={})


@pytest.mark.parametrize("place", ["--keys", "environment", "hint", "beside", "folder beside"])
def test_the_key_is_found_where_an_operator_would_put_it(config, tmp_path, place):
    """The key lies elsewhere by intent, so that it has to be found is the ordinary case."""
    stick = tmp_path / "stick"
    stick.mkdir()
    back_up(config, stick / "b", NOVEMBER)
    options, environ = {}, {}
    if place != "hint":
        elsewhere = {"beside": stick, "folder beside": stick / "backup-keys"}.get(
            place, tmp_path / "drawer"
        )
        elsewhere.mkdir(exist_ok=True)
        (config.backup_keys_dir / "2026-11.key").rename(elsewhere / "2026-11.key")
        options = {"keys_folder": elsewhere} if place == "--keys" else {}
        environ = {"HUYING_BACKUP_KEYS": str(elsewhere)} if place == "environment" else {}
    restore(stick / "b", tmp_path / "new", environ=environ, **options)


def test_backups_after_a_restore_go_on_under_the_key_of_their_month(config, tmp_path):
    """A second key has the same file name, and copied away it would replace the first for good."""
    first = back_up(config, tmp_path / "b", NOVEMBER)
    config.backup_keys_dir.rename(tmp_path / "safe")
    restored = restore(tmp_path / "b", tmp_path / "new", keys_folder=tmp_path / "safe", environ={})
    again = back_up(restored.config, tmp_path / "b2", NOVEMBER)
    assert again.header.key_id == first.header.key_id
    file = restored.config.backup_keys_dir / "2026-11.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_restore_replaces_no_key_of_another_backup(config, tmp_path):
    """The file in its way may be the only copy of a key that opens other backups."""
    back_up(config, tmp_path / "b", NOVEMBER)
    config.backup_keys_dir.rename(tmp_path / "safe")
    back_up(config, tmp_path / "b2", NOVEMBER)
    file = config.backup_keys_dir / "2026-11.key"
    other = file.read_bytes()
    folder = config.file.parent
    restored = restore(tmp_path / "b", folder, keys_folder=tmp_path / "safe", environ={})
    assert file.read_bytes() == other
    assert file in restored.kept


def test_a_key_of_the_same_month_and_another_node_is_passed_over(config, tmp_path):
    """Two villages' sticks in one drawer: the names of their keys are the same."""
    back_up(config, tmp_path / "b", NOVEMBER)
    other = init_node(
        tmp_path / "other", network="wenshang.example", code="370831000000", name="泗水县"
    )
    back_up(other.config, tmp_path / "o", NOVEMBER)
    wrong = other.config.backup_keys_dir
    restore(tmp_path / "b", tmp_path / "new", keys_folder=wrong, environ={})
    (config.backup_keys_dir / "2026-11.key").unlink()
    found = code_of(restore, tmp_path / "b", tmp_path / "new2", keys_folder=wrong, environ={})
    assert found is Code.BACKUP_KEY


def test_a_damaged_backup_changes_nothing(config, running, tmp_path):
    """Cut or altered at whatever place, it is refused before anything is put into its place."""
    write(running[1], *(f"entry {number}" for number in range(50)))
    back_up(config, tmp_path / "b", NOVEMBER)
    data = (tmp_path / "b").read_bytes()
    running[0].close()
    before = tree(config.file.parent)
    step = max(1, len(data) // 60)
    for place in [*range(0, len(data), step), len(data) - 1]:
        flipped = bytearray(data)
        flipped[place] ^= 0x10
        for damaged in (data[:place], bytes(flipped)):
            (tmp_path / "d").write_bytes(damaged)
            assert code_of(restore, tmp_path / "d", tmp_path / "new", environ={}) is (
                Code.BACKUP_DAMAGED
            )
            assert not (tmp_path / "new").exists()
            found = code_of(restore, tmp_path / "d", config.file.parent, environ={})
            assert found is Code.BACKUP_DAMAGED
    after = tree(config.file.parent)
    assert after == before


def test_an_existing_node_keeps_its_mark_its_keys_and_its_old_database(config, tmp_path):
    """What stands in the folder is newer than the backup; the mark is what makes it safe."""
    store, engine = open_engine(config)
    engine.start()
    write(engine, "first")
    back_up(config, tmp_path / "b", NOVEMBER)
    write(engine, "second")
    assert code_of(restore, tmp_path / "b", config.file.parent, environ={}) is Code.NODE_RUNNING
    store.close()
    mark = config.mark_file.read_bytes()
    (config.keys_dir / "witness.key").write_text("newer\n")
    (config.keys_dir / "tls.crt").unlink()
    report = restore(tmp_path / "b", config.file.parent, environ={}, now=NOVEMBER)
    assert config.mark_file.read_bytes() == mark
    assert report.kept == (config.keys_dir / "witness.key",)
    assert (config.keys_dir / "tls.crt").exists(), "what was missing is there again"
    assert report.aside == config.data_dir / "node.db.before-20261118T110640Z"
    assert report.aside is not None
    aside = sqlite3.connect(report.aside)
    sizes = aside.execute("SELECT size FROM feeds").fetchall()
    aside.close()
    assert sizes == [(engine.replica.own.size,)]
    assert read_sizes(config) == {engine.identity.origin: engine.replica.own.size - 1}


def test_a_log_of_the_old_database_does_not_stay_beside_the_new_one(config, tmp_path):
    """SQLite would take the pages in it for the new database's own."""
    back_up(config, tmp_path / "b", NOVEMBER)
    store, engine = open_engine(config)
    engine.start()
    write(engine, "in the log only")
    wal = config.database_file.with_name("node.db-wal").read_bytes()
    store.close()
    config.database_file.with_name("node.db-wal").write_bytes(wal)  # as a kill leaves it
    report = restore(tmp_path / "b", config.file.parent, environ={})
    assert report.aside is not None
    assert report.aside.with_name(report.aside.name + "-wal").exists()
    assert not config.database_file.with_name("node.db-wal").exists()
    assert read_sizes(config) == {}


def test_a_folder_of_something_else_is_left_alone(config, tmp_path):
    """A slip of the finger must not fill somebody's home, nor another village's node."""
    back_up(config, tmp_path / "b", NOVEMBER)
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    assert code_of(restore, tmp_path / "b", home, environ={}) is Code.CONFIG
    other = init_node(
        tmp_path / "other", network="wenshang.example", code="370831000000", name="泗水县"
    )
    before = tree(tmp_path / "other")
    assert code_of(restore, tmp_path / "b", tmp_path / "other", environ={}) is Code.CONFIG
    assert tree(tmp_path / "other") == before
    assert list(home.iterdir()) == [home / "letter"]
    assert other.config.file.exists()


def test_places_that_lead_out_of_the_new_folder_are_left_to_their_defaults(config, tmp_path):
    """A drill in another folder must not write into the node that is running."""
    text = config.file.read_text()
    text = text.replace(f'code = "{COUNTY}"', f'code = "{COUNTY}"\ndata = "{config.data_dir}"')
    config.file.write_text(text)
    back_up(load(config.file, {}), tmp_path / "b", NOVEMBER)
    before = tree(config.file.parent)
    report = restore(tmp_path / "b", tmp_path / "new", environ={})
    assert report.moved == ("[node] data",)
    assert report.config.data_dir == tmp_path / "new" / "data"
    assert load(report.config.file, {}).data_dir == tmp_path / "new" / "data"
    assert tree(config.file.parent) == before


def test_a_key_folder_that_would_be_in_the_backup_is_refused(config, tmp_path):
    """A backup that holds its own key is a plain file with extra steps."""
    config.file.write_text(config.file.read_text() + '\n[backup]\nkeys = "keys"\n')
    found = code_of(back_up, load(config.file, {}), tmp_path / "b", NOVEMBER)
    assert found is Code.CONFIG


def test_the_header_tells_whose_backup_it_is(config, tmp_path):
    """Sticks lie in drawers for years."""
    back_up(config, tmp_path / "b", NOVEMBER)
    header = read_header(tmp_path / "b")
    assert (header.code, header.period, header.created) == (COUNTY, "2026-11", int(NOVEMBER))
    assert header.keys == str(config.backup_keys_dir)
