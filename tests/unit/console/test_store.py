"""console.db: its owner's alone, whole or refused, and shared by two programs."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, inspect

from huying.common.errors import Code, HuyingError
from huying.node.web import schema
from huying.node.web import store as store_module
from huying.node.web.access.audit import Audit
from huying.node.web.schema import METADATA
from huying.node.web.store import FILE_NAME, ConsoleStore
from tests.support.console_people import NOW, PASSWORD, cheap_accounts, enter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    opened = ConsoleStore.open(tmp_path / "console")
    yield opened
    opened.close()


def refusal(folder: Path) -> HuyingError:
    with pytest.raises(HuyingError) as caught:
        ConsoleStore.open(folder)
    return caught.value


def test_file_and_folder_are_their_owners_alone(store: ConsoleStore) -> None:
    """The file holds password hashes and what people typed; others on the machine are strangers."""
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE audit_base SET hash = hash WHERE 0")
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert modes[FILE_NAME] == 0o600
    assert set(modes.values()) == {0o600}  # the journal too
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A copy put back with the wrong mode would be open to everybody without a word."""
    ConsoleStore.open(tmp_path).close()
    (tmp_path / FILE_NAME).chmod(0o640)
    error = refusal(tmp_path)
    assert error.code is Code.CONFIG
    assert "chmod 600" in error.detail


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    """Whoever can write the folder must not have another file overwritten."""
    (tmp_path / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    assert refusal(tmp_path).code is Code.STORE_FAILED
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("damage", ["garbage", "no table", "page"])
def test_a_damaged_file_is_named_as_such(tmp_path: Path, damage: str) -> None:
    """A console that starts on half a file would show half of the accounts."""
    opened = ConsoleStore.open(tmp_path)
    for number in range(50):
        enter(cheap_accounts(opened), f"p{number:03}")
    opened.close()
    path = tmp_path / FILE_NAME
    if damage == "garbage":
        path.write_bytes(b"no database at all" * 1000)
        assert refusal(tmp_path).code is Code.CORRUPT
    elif damage == "no table":
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE drafts")
        connection.close()
        error = refusal(tmp_path)
        assert (error.code, "drafts" in error.detail) == (Code.CORRUPT, True)
    else:
        data = bytearray(path.read_bytes())
        for start in range(4096, len(data), 4096):  # every page but the first
            data[start : start + 2048] = os.urandom(2048)
        path.write_bytes(bytes(data))
        assert refusal(tmp_path).code is Code.CORRUPT


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    """An old program that wrote into new tables would lose what it doesn't know."""
    ConsoleStore.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    error = refusal(tmp_path)
    assert (error.code, "version 99" in error.detail) == (Code.CONFIG, True)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_an_old_file_takes_the_steps_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update of the program must carry the accounts along; all of a step, or nothing of it."""
    opened = ConsoleStore.open(tmp_path)
    enter(cheap_accounts(opened), "zhang")
    opened.close()
    step = (
        "ALTER TABLE accounts ADD COLUMN more TEXT NOT NULL DEFAULT 'x'",
        "CREATE TABLE more (a)",
    )
    broken = (step[0], "CREATE TABLE accounts (a)")
    monkeypatch.setattr(store_module, "VERSIONS", (*schema.VERSIONS, broken))
    assert refusal(tmp_path).code is Code.STORE_FAILED
    monkeypatch.setattr(store_module, "VERSIONS", (*schema.VERSIONS, step))
    opened = ConsoleStore.open(tmp_path)
    with opened.reading() as connection:
        assert (
            connection.exec_driver_sql("PRAGMA user_version").scalar() == len(schema.VERSIONS) + 1
        )
        assert connection.exec_driver_sql("SELECT login, more FROM accounts").all() == [
            ("zhang", "x")
        ]
    opened.close()


def test_the_tables_are_what_the_steps_make(store: ConsoleStore) -> None:
    """A column that only one of the two knows fails on the first machine that is not ours."""
    with store.reading() as connection:
        found = inspect(connection)
        for table in METADATA.tables.values():
            made = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert set(made) == set(table.c.keys()), table.name


def test_a_transaction_that_fails_leaves_nothing(store: ConsoleStore) -> None:
    """Half of a change of rights would be worse than none."""
    accounts = cheap_accounts(store)

    def fail() -> None:
        with store.writing() as connection:
            connection.exec_driver_sql("INSERT INTO setup VALUES (1, x'00', 5)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM setup").scalar() == 0
    assert accounts.count() == 0


def test_a_full_disk_is_named_and_what_was_there_stays(store: ConsoleStore) -> None:
    """The technician must read what to do; people must still be able to look."""
    accounts = cheap_accounts(store)
    enter(accounts, "zhang")
    engine: Engine = store._engine
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _full(connection: sqlite3.Connection, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    audit = Audit(store)

    def fill() -> None:
        for _ in range(200):
            audit.write(NOW, "zhang", "look", "x" * 190)

    with pytest.raises(HuyingError) as caught:
        fill()
    assert caught.value.code is Code.DISK_FULL
    assert FILE_NAME in caught.value.detail
    assert [person.login for person in accounts.list()] == ["zhang"]
    assert audit.verify().holds


WRITER = """
import sys
from pathlib import Path
from huying.node.web.access.audit import Audit
from huying.node.web.store import ConsoleStore
store = ConsoleStore.open(Path(sys.argv[1]))
for number in range(40):
    Audit(store).write(1.8e9, sys.argv[2], "step", str(number))
"""


def test_two_programs_write_and_the_chain_holds(store: ConsoleStore) -> None:
    """`huying user` runs while the console serves; a row lost between them breaks the chain."""
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), name])
        for name in ("one", "two")
    ]
    audit = Audit(store)
    for number in range(20):
        audit.write(NOW, "three", "step", str(number))
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    check = audit.verify()
    assert (check.holds, check.last) == (True, 100)
    own = [row.object_ for row in audit.page(count=200, actor="one")]
    assert own == [str(number) for number in reversed(range(40))]


def test_a_file_that_somebody_keeps_locked_is_busy_and_never_hangs(
    store: ConsoleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup tool that holds the file must cost a refusal, and no page that never comes."""
    other = sqlite3.connect(store.folder / FILE_NAME, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with store._engine.connect() as connection:  # a short wait instead of five seconds
        connection.exec_driver_sql("PRAGMA busy_timeout = 20")
    with pytest.raises(HuyingError) as caught:
        cheap_accounts(store).count()
    other.execute("ROLLBACK")
    other.close()
    assert caught.value.code is Code.BUSY


def test_no_refusal_shows_what_was_being_written(store: ConsoleStore) -> None:
    """Exceptions end in logs and on screens; a password or a name has no place there."""
    with pytest.raises(HuyingError) as caught, store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO setup VALUES (2, ?, 5)", (PASSWORD.encode(),))
    shown = f"{caught.value} {caught.value.__cause__}"
    assert PASSWORD not in shown
