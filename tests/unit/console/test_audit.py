"""The audit trail: rows that nobody changes, and what is found where somebody did."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access import audit as audit_module
from huying.node.web.access.audit import Audit
from huying.node.web.access.sessions import Sessions
from huying.node.web.drafts import Drafts
from huying.node.web.store import FILE_NAME, ConsoleStore
from huying.node.web.upkeep import tidy
from tests.support.console_people import NOW, cheap_accounts, enter

DAY = 86_400.0


@pytest.fixture
def audit(store: ConsoleStore) -> Audit:
    return Audit(store)


def tamper(store: ConsoleStore, *statements: str) -> None:
    """What somebody does who has the file and no respect for triggers."""
    connection = sqlite3.connect(store.folder / FILE_NAME)
    for name in ("audit_no_update", "audit_no_delete", "audit_base_old"):
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def fill(audit: Audit, count: int = 10) -> None:
    for number in range(count):
        audit.write(NOW + number, "zhang", "look", f"call:{number:032x}", detail="withheld field")


def test_rows_come_back_newest_first_by_page_and_filter(audit: Audit) -> None:
    """Whoever looks for what one person did last night must not read the whole year."""
    fill(audit, 25)
    audit.write(NOW + 100, "wang", "sign-in", outcome="refused")
    first = audit.page(count=10)
    assert [row.number for row in first] == list(range(26, 16, -1))
    rest = audit.page(before=first[-1].number, count=200)
    assert [row.number for row in rest] == list(range(16, 0, -1))
    assert [row.outcome for row in audit.page(actor="wang")] == ["refused"]
    assert len(audit.page(action="look", count=200)) == 25
    assert [row.number for row in audit.page(object_=f"call:{7:032x}")] == [8]
    assert audit.page(object_="%") == ()
    micros = int((NOW + 20) * 1e6)
    assert [row.number for row in audit.page(since_micros=micros, until_micros=micros + 1)] == [21]
    assert audit.actions() == ("look", "sign-in")
    assert len(audit.page(count=10**9)) <= limits.AUDIT_PAGE_ROWS_MAX


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'somebody else'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 10",
        "UPDATE audit_base SET number = 5",
        "UPDATE audit_base SET number = 5, hash = (SELECT hash FROM audit WHERE number = 5)",
        "DELETE FROM audit_base",
        "INSERT OR REPLACE INTO audit SELECT number, 0, 'x', 'x', 'x', 'x', 'x', hash FROM audit",
        "INSERT INTO audit SELECT 99, 0, 'x', 'x', 'x', 'x', 'x', hash FROM audit LIMIT 1",
        "INSERT OR REPLACE INTO audit_base VALUES (1, 0, zeroblob(32))",
    ],
)
def test_the_database_refuses_to_change_what_is_written(
    store: ConsoleStore, audit: Audit, statement: str
) -> None:
    """A fault of ours, or a tool that is used in a hurry, must not rewrite who did what."""
    fill(audit)
    before = audit.page()
    with pytest.raises(HuyingError), store.writing() as connection:
        connection.exec_driver_sql(statement)
    assert audit.page() == before
    assert audit.verify().holds


@pytest.mark.parametrize(
    ("statements", "broken_at"),
    [
        (["UPDATE audit SET actor = 'li' WHERE number = 4"], 4),
        (["UPDATE audit SET time_micros = time_micros + 1 WHERE number = 1"], 1),
        (["UPDATE audit SET detail = 'x' WHERE number = 6"], 6),
        (["UPDATE audit SET outcome = 'refused' WHERE number = 6"], 6),
        (["UPDATE audit SET object = 'call:0' WHERE number = 6"], 6),
        (["UPDATE audit SET action = 'loo', object = 'k' || object WHERE number = 6"], 6),
        (["UPDATE audit SET hash = zeroblob(32) WHERE number = 10"], 10),
        (["DELETE FROM audit WHERE number = 5"], 5),
        (["DELETE FROM audit WHERE number > 7"], 8),
        (["DELETE FROM audit"], 1),
        (["DELETE FROM audit WHERE number < 4", "UPDATE audit_base SET number = 3"], 4),
        (
            [
                "UPDATE audit SET number = -1 WHERE number = 2",
                "UPDATE audit SET number = 2 WHERE number = 3",
                "UPDATE audit SET number = 3 WHERE number = -1",
            ],
            2,
        ),
    ],
)
def test_what_was_done_behind_our_back_is_found_where_it_was_done(
    store: ConsoleStore, audit: Audit, statements: list[str], broken_at: int
) -> None:
    """The trail is for the day on which somebody with the file has something to hide."""
    fill(audit)
    assert audit.verify().holds
    tamper(store, *statements)
    check = audit.verify()
    assert not check.holds
    assert (check.broken_at, bool(check.why)) == (broken_at, True)


def test_a_chain_that_was_computed_anew_does_not_fit_what_was_noted(
    store: ConsoleStore, tmp_path: Path
) -> None:
    """Whoever can write the file can write a whole other story; a note on paper contradicts it."""
    audit = Audit(store)
    fill(audit)
    noted = audit.verify()
    other_store = ConsoleStore.open(tmp_path / "other")
    other = Audit(other_store)
    for number in range(12):
        other.write(NOW + number, "somebody else", "look")
    assert other.verify().holds
    assert not other.verify((noted.last, noted.head)).holds
    assert not audit.verify((99, noted.head)).holds  # and one that was cut is too short
    fill(audit)
    assert audit.verify((noted.last, noted.head)).holds
    other_store.close()


def test_people_work_on_while_a_long_trail_is_verified(
    store: ConsoleStore, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit waits for whoever reads: of a county's year of rows every form would be refused."""
    monkeypatch.setattr(audit_module, "_VERIFIED_ROWS", 4)
    fill(audit, 10)
    looks, reading = 0, store.reading

    @contextlib.contextmanager
    def looking() -> Iterator[Connection]:
        nonlocal looks
        with reading() as connection:
            yield connection
        looks += 1
        if looks == 1:
            audit.write(NOW + 400 * DAY, "li", "sign-in")
        if looks == 2:  # and the old rows go: the rest is verified from where they end
            assert audit.prune(NOW + 400 * DAY) == 10

    with monkeypatch.context() as patch:
        patch.setattr(store, "reading", looking)
        check = audit.verify()
    assert (check.holds, check.first, check.last, looks) == (True, 11, 11, 3)
    tamper(store, "UPDATE audit SET actor = 'wang' WHERE number = 11")
    assert audit.verify().broken_at == 11


def test_cells_are_one_line_bounded_and_without_numbers_of_people(audit: Audit) -> None:
    """The trail is read by those who may not see what it is about."""
    audit.write(
        NOW, "zh\nang", "look", "call:13912345678aa", detail="电话13912345678,证 " + "x" * 500
    )
    (row,) = audit.page()
    assert row.actor == "zh ang"
    assert row.object_ == "call:13912345678aa"  # an id in hex stays an id
    assert "13912345678" not in row.detail
    assert len(row.detail) == limits.AUDIT_TEXT_CHARACTERS_MAX


def test_old_rows_go_and_the_rest_can_be_verified(store: ConsoleStore, audit: Audit) -> None:
    """The law asks for six months; a trail of ten years is itself a file on everybody."""
    for day in range(400):
        audit.write(NOW + day * DAY, "zhang", "sign-in")
    now = NOW + 400 * DAY
    with pytest.raises(HuyingError) as caught:
        audit.prune(now, limits.AUDIT_KEPT_SECONDS_MIN - 1)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert audit.prune(NOW + 300 * DAY) == 0
    tidy(store, Sessions(store), now)
    check = audit.verify()
    assert (check.holds, check.first, check.last) == (True, 35, 401)
    (newest,) = audit.page(count=1)
    assert (newest.action, newest.detail) == ("audit-prune", "34 rows were a year old")
    tamper(store, "UPDATE audit SET actor = 'li' WHERE number = 35")
    assert audit.verify().broken_at == 35


def test_a_clock_that_ran_ahead_once_takes_nothing_with_it(audit: Audit) -> None:
    """Rows of today look ancient to a clock of 2099; and one row of 2099 must not shield others."""
    fill(audit)
    audit.write(NOW + 3000 * DAY, "zhang", "sign-in")
    fill(audit)
    assert audit.prune(NOW + DAY) == 0
    assert audit.verify().holds
    assert audit.prune(NOW + 367 * DAY) == 10


def test_the_database_itself_keeps_six_months(store: ConsoleStore, audit: Audit) -> None:
    """Not even our own program, asked in the wrong way, removes what the law wants kept."""
    for day in range(200):
        audit.write(NOW + day * DAY, "zhang", "sign-in")
    move = "UPDATE audit_base SET number = {0}, hash = (SELECT hash FROM audit WHERE number = {0})"
    with pytest.raises(HuyingError), store.writing() as connection:
        connection.exec_driver_sql(move.format(16))
    with store.writing() as connection:
        connection.exec_driver_sql(move.format(15))  # older than 184 days
        connection.exec_driver_sql("DELETE FROM audit WHERE number <= 15")
    assert audit.verify().holds


def test_drafts_and_sessions_are_forgotten_by_age(store: ConsoleStore) -> None:
    """What people typed and left may hold anything; it is not kept for ever."""
    person = enter(cheap_accounts(store), "zhang")
    drafts, sessions = Drafts(store), Sessions(store)
    sessions.begin(person.id, NOW)
    drafts.save(person.id, "answer:1", {"text": "a"}, NOW)
    drafts.save(person.id, "answer:2", {"text": "b"}, NOW + DAY)
    tidy(store, sessions, NOW + limits.DRAFT_SECONDS)
    assert drafts.keys(person.id) == ("answer:2",)
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar() == 0
