"""The console's own state goes into a backup, and comes back without anybody's session in it."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.app import open_engine
from huying.node.backups import console_state
from huying.node.backups.backup import back_up
from huying.node.backups.console_state import ConsoleShare
from huying.node.backups.restore import restore
from huying.node.config import Config
from huying.node.membership.enrol import init_node
from huying.node.web import schema
from huying.node.web import store as store_module
from huying.node.web.access.accounts import Accounts
from huying.node.web.access.audit import Audit
from huying.node.web.access.roles import Role
from huying.node.web.access.sessions import Sessions
from huying.node.web.access.setup_link import SetupLink
from huying.node.web.drafts import Drafts
from huying.node.web.schema import ORIGINALS, SESSIONS, UPLOADS
from huying.node.web.store import ConsoleStore

NOVEMBER = 1_795_000_000.0  # 2026-11
PASSWORD = "quiet-harvest-window-31"
PICTURES = {name: f"a picture of {name}".encode() for name in ("road", "well")}


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Config:
    """A node whose console was used: an account, a session, a draft, two pictures, a trail."""
    folder = tmp_path_factory.mktemp("console") / "node"
    config = init_node(
        folder, network="wenshang.example", code="370830000000", name="汶上县",
        api_listen="127.0.0.1:0",
    ).config  # fmt: skip
    store, engine = open_engine(config)
    engine.start()
    store.close()
    console = ConsoleStore.open(config.console_dir)
    person = Accounts(console, words=()).add(
        login="zhang.san", name="张三", roles=(Role("technician"),), password=PASSWORD,
        now=NOVEMBER, one_time=False,
    )  # fmt: skip
    Sessions(console, 1800, 43200).begin(person.id, NOVEMBER)
    Drafts(console).save(person.id, "a form", {"text": "half a sentence"}, NOVEMBER)
    files = config.console_dir / "files"
    files.mkdir(mode=0o700)
    with console.writing() as connection:
        for name, data in PICTURES.items():
            (files / f"{digest(name)}.jpg").write_bytes(data)
            row = {"preview": digest("of " + name), "picture": digest(name), "account": person.id}
            connection.execute(UPLOADS.insert().values(**row, at_seconds=NOVEMBER - 9e6))
    (files / f"{digest('half handed in')}.jpg").write_bytes(b"nobody's")
    (config.console_dir / "breached.txt").write_text("0" * 40)
    for number in range(5):
        Audit(console).write(NOVEMBER + number, "zhang.san", "sign-in", str(number))
    console.close()
    return config


@pytest.fixture(scope="module")
def kept(made, tmp_path_factory) -> Path:
    """One backup of it, made while a page holds the database open."""
    file = tmp_path_factory.mktemp("stick") / "b"
    console = ConsoleStore.open(made.console_dir)
    with console.reading():
        report = back_up(made, file, NOVEMBER + 60)
    console.close()
    assert report.console_bytes == (made.console_dir / "console.db").stat().st_size
    assert (report.pictures, report.picture_bytes) == (2, sum(map(len, PICTURES.values())))
    return file


def opened(config: Config) -> ConsoleStore:
    return ConsoleStore.open(config.console_dir)


def test_accounts_drafts_and_pictures_come_back(kept, tmp_path):
    """A county whose disk died must not enter sixty responders and their second factors anew."""
    report = restore(kept, tmp_path / "new", environ={}, now=NOVEMBER + 3600)
    assert (report.console.is_restored, report.console.pictures) == (True, 2)
    folder = report.config.console_dir
    console = opened(report.config)
    person = Accounts(console, words=()).check_password("zhang.san", PASSWORD, NOVEMBER)
    assert person is not None
    draft = Drafts(console).find(person.id, "a form")
    assert draft is not None
    assert draft.fields == {"text": "half a sentence"}
    console.close()
    found = {path.name: path.read_bytes() for path in (folder / "files").iterdir()}
    assert found == {f"{digest(name)}.jpg": data for name, data in PICTURES.items()}


def test_what_comes_back_is_its_owners_alone(kept, tmp_path):
    """The secrets of second factors stand in console.db as they are."""
    folder = restore(kept, tmp_path / "new", environ={}).config.console_dir
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_nobody_is_signed_in_after_a_restore(kept, tmp_path):
    """A cookie from the day of the backup would otherwise open what it opened then."""
    console = opened(restore(kept, tmp_path / "new", environ={}).config)
    with console.reading() as connection:
        assert connection.execute(select(SESSIONS)).all() == []
    console.close()


def test_a_set_up_link_from_before_a_backup_opens_nothing_after_it(tmp_path):
    """It makes an administrator, and whoever found the old one could."""
    fresh = init_node(
        tmp_path / "n", network="wenshang.example", code="370831000000", name="泗水县"
    )
    store, engine = open_engine(fresh.config)
    engine.start()
    store.close()
    console = opened(fresh.config)
    token = SetupLink(console).issue(NOVEMBER)
    console.close()
    assert token is not None
    back_up(fresh.config, tmp_path / "b", NOVEMBER)
    console = opened(restore(tmp_path / "b", tmp_path / "new", environ={}).config)
    assert not SetupLink(console).is_valid(token, NOVEMBER + 60)
    console.close()


def test_the_audit_trail_holds_after_a_restore_and_says_that_there_was_one(kept, tmp_path):
    """An old copy must verify by itself, and must not pass for the newest."""
    report = restore(kept, tmp_path / "new", environ={}, now=NOVEMBER + 3600, actor="cli:wang")
    console = opened(report.config)
    check = Audit(console).verify()
    newest, *before = Audit(console).page()
    assert (check.holds, check.last) == (True, 6)
    assert (newest.action, newest.actor) == ("console-restore", "cli:wang")
    assert newest.detail == "as of 2026-11-18T11:07:40Z"
    assert [row.object_ for row in before] == ["4", "3", "2", "1", "0"]
    console.close()


def test_a_picture_waits_for_its_entry_after_a_restore(kept, tmp_path):
    """Its entry may be among those that the neighbours still have to give back."""
    console = opened(restore(kept, tmp_path / "new", environ={}, now=NOVEMBER + 9e6).config)
    with console.reading() as connection:
        times = set(connection.execute(select(UPLOADS.c.at_seconds)).scalars())
    console.close()
    assert times == {NOVEMBER + 9e6}


def test_every_file_that_somebody_owns_comes_back(kept, tmp_path):
    """The preview of a draft is in no feed yet, and an original never will be."""
    config = restore(kept, tmp_path / "a", environ={}).config
    row = {"preview": digest("of a draft"), "account": "li", "at_seconds": NOVEMBER}
    console = opened(config)
    with console.writing() as connection:
        connection.execute(UPLOADS.insert().values(**row, picture=digest("road")))
        original = {"subject": "aa", "original": digest("original")}
        connection.execute(ORIGINALS.insert().values(**row, **original))
    console.close()
    for name in ("of a draft", "original"):
        (config.console_dir / "files" / f"{digest(name)}.jpg").write_bytes(name.encode())
    assert back_up(config, tmp_path / "b", NOVEMBER).pictures == 4
    again = restore(tmp_path / "b", tmp_path / "c", environ={}, now=NOVEMBER + 9e6).config
    names = {path.name for path in (again.console_dir / "files").iterdir()}
    assert names == {f"{digest(name)}.jpg" for name in (*PICTURES, "of a draft", "original")}
    console = opened(again)
    with console.reading() as connection:
        times = set(connection.execute(select(ORIGINALS.c.at_seconds)).scalars())
    console.close()
    assert times == {NOVEMBER + 9e6}


def test_a_console_that_was_not_opened_since_an_update_is_backed_up_whole(
    kept, tmp_path, monkeypatch
):
    """A backup by night may be the first that the new program does."""
    config = restore(kept, tmp_path / "a", environ={}).config
    (config.console_dir / "console.db").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "VERSIONS", schema.VERSIONS[:2])
        patch.setattr(store_module, "METADATA", MetaData())
        console = opened(config)
    with console.writing() as connection:
        for name in PICTURES:
            row = f"('{digest('of ' + name)}', '{digest(name)}', '', 'image/jpeg', 'li', 5.0)"
            connection.exec_driver_sql(f"INSERT INTO uploads VALUES {row}")
    console.close()
    assert back_up(config, tmp_path / "b", NOVEMBER).pictures == 2
    report = restore(tmp_path / "b", tmp_path / "c", environ={})
    assert report.console.pictures == 2


def test_what_a_page_is_just_writing_is_not_in_it(made, tmp_path):
    """The copy is of one moment: half a deed is nobody's."""
    console = opened(made)
    with console.writing() as connection:
        connection.execute(UPLOADS.delete())
        report = back_up(made, tmp_path / "b", NOVEMBER)
        connection.rollback()
    console.close()
    assert report.pictures == 2


def test_nothing_of_it_is_readable_in_the_file(kept, made):
    """Who finds the stick learns no name, no hash and sees no picture."""
    data = kept.read_bytes()
    for secret in ("张三".encode(), b"zhang.san", b"argon2id", *PICTURES.values()):
        assert secret not in data
    assert not list(made.console_dir.glob(".*")), "no plain copy is left"


def test_a_newer_console_db_in_the_folder_stays(made, tmp_path):
    """Who was disabled since must not be let in again because a disk of the node was mended."""
    back_up(made, tmp_path / "b", NOVEMBER)
    console = opened(made)
    before = Audit(console).verify()
    console.close()
    report = restore(tmp_path / "b", made.file.parent, environ={}, now=NOVEMBER)
    assert (report.console.is_kept, report.console.is_restored) == (True, False)
    console = opened(made)
    assert Audit(console).verify() == before
    with console.reading() as connection:
        assert connection.execute(select(SESSIONS)).all() != []
    console.close()


@pytest.fixture
def damaged(made, tmp_path) -> tuple[Config, Path]:
    """A node whose console.db was spoilt after its backup."""
    back_up(made, tmp_path / "b", NOVEMBER)
    config = restore(tmp_path / "b", tmp_path / "node", environ={}).config
    file = config.console_dir / "console.db"
    file.write_bytes(b"\xff" * file.stat().st_size)
    (config.console_dir / "files" / f"{digest('well')}.jpg").unlink()
    return config, tmp_path / "b"


def test_a_damaged_console_db_is_replaced_and_kept_aside(damaged):
    """Something may still be read out of it."""
    config, file = damaged
    report = restore(file, config.file.parent, environ={}, now=NOVEMBER)
    assert (report.console.is_restored, report.console.pictures) == (True, 1)
    aside = config.console_dir / "console.db.before-20261118T110640Z"
    assert report.console.aside == aside
    assert aside.read_bytes().startswith(b"\xff")
    console = opened(config)
    assert Audit(console).verify().holds
    console.close()


def test_the_journal_of_a_lost_console_db_does_not_stay_beside_the_new_one(damaged):
    """SQLite would roll the pages in it back into a database that they are not of."""
    config, file = damaged
    (config.console_dir / "console.db").unlink()
    (config.console_dir / "console.db-journal").write_bytes(b"an old journal")
    restore(file, config.file.parent, environ={}, now=NOVEMBER)
    aside = config.console_dir / "console.db.before-20261118T110640Z-journal"
    assert aside.read_bytes() == b"an old journal"


@pytest.mark.parametrize("whole", [False, True])
def test_a_damaged_console_db_is_not_backed_up_in_silence(damaged, kept, tmp_path, whole):
    """A backup that is counted on, and has no accounts in it, is found out on the worst day."""
    config, _ = damaged
    if not whole:  # one page alone, in the middle, as a bad sector leaves it
        sound = restore(kept, tmp_path / "sound", environ={}).config
        data = bytearray((sound.console_dir / "console.db").read_bytes())
        data[5 * 4096 : 6 * 4096] = b"\xff" * 4096
        (config.console_dir / "console.db").write_bytes(data)
    with pytest.raises(HuyingError, match="--console none") as caught:
        back_up(config, tmp_path / "c", NOVEMBER)
    assert caught.value.code is Code.CORRUPT
    assert not (tmp_path / "c").exists()
    report = back_up(config, tmp_path / "c", NOVEMBER, share=ConsoleShare.NONE)
    assert report.console_bytes is None


def test_pictures_can_be_left_out(made, tmp_path):
    """A county's may be more than its stick holds; accounts are never too many."""
    report = back_up(made, tmp_path / "b", NOVEMBER, share=ConsoleShare.ACCOUNTS)
    assert (report.pictures, report.console_bytes is None) == (0, False)
    restored = restore(tmp_path / "b", tmp_path / "new", environ={})
    assert restored.console.is_restored
    assert not (restored.config.console_dir / "files").exists()


def test_too_many_pictures_say_what_to_do(made, tmp_path, monkeypatch):
    """A limit that names its way out."""
    monkeypatch.setattr(console_state, "BACKUP_PICTURES_MAX", 1)
    with pytest.raises(HuyingError, match="--console accounts"):
        back_up(made, tmp_path / "b", NOVEMBER)
    assert limits.BACKUP_PICTURES_MAX == 1_000_000


def test_a_backup_from_before_there_was_a_console_still_restores(kept, tmp_path, made):
    """Backups lie in drawers for years."""
    back_up(made, tmp_path / "old", NOVEMBER, share=ConsoleShare.NONE)
    report = restore(tmp_path / "old", tmp_path / "new", environ={})
    assert report.console == console_state.ConsoleReport()
    assert not report.config.console_dir.exists()
    report = restore(kept, tmp_path / "over", environ={})
    again = restore(tmp_path / "old", tmp_path / "over", environ={})
    assert again.console == console_state.ConsoleReport()
    console = opened(report.config)
    assert Audit(console).verify().last == 6, "what stood there stays"
    console.close()


def test_a_drill_writes_nothing_into_the_console_that_is_running(made, tmp_path):
    """With its folder named in full, the drill's pages would be the real ones."""
    text = made.file.read_text()
    made.file.write_text(f'{text}\n[console]\nfolder = "{made.console_dir}"\n')
    try:
        back_up(made, tmp_path / "b", NOVEMBER)
        report = restore(tmp_path / "b", tmp_path / "new", environ={})
    finally:
        made.file.write_text(text)
    assert "[console] folder" in report.moved
    assert report.config.console_dir == tmp_path / "new" / "console"
