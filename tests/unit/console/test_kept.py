"""What somebody typed and has not sent, and the filters they keep: theirs alone, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.people import Person
from huying.node.web.drafts import Drafts
from huying.node.web.store import FILE_NAME, ConsoleStore
from huying.node.web.views import SavedViews
from tests.support.console_people import NOW, cheap_accounts, enter


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConsoleStore]:
    opened = ConsoleStore.open(tmp_path / "console")
    yield opened
    opened.close()


@pytest.fixture
def people(store: ConsoleStore) -> tuple[Person, Person]:
    accounts = cheap_accounts(store)
    return enter(accounts, "zhang"), enter(accounts, "wang")


def test_a_draft_is_its_persons_alone(store: ConsoleStore, people: tuple[Person, Person]) -> None:
    """Two people answer one call: neither must find the other's half sentence."""
    drafts, (one, two) = Drafts(store), people
    drafts.save(one.id, "answer:1", {"text": "道路已修\n<b>", "empty": ""}, NOW)
    drafts.save(one.id, "answer:1", {"text": "道路已修复"}, NOW + 1)
    found = drafts.find(one.id, "answer:1")
    assert found is not None
    assert (dict(found.fields), found.saved_seconds) == ({"text": "道路已修复"}, NOW + 1)
    assert drafts.find(two.id, "answer:1") is None
    drafts.drop(two.id, "answer:1")
    assert drafts.keys(one.id) == ("answer:1",)
    drafts.drop(one.id, "answer:1")
    assert drafts.find(one.id, "answer:1") is None


def test_a_dropped_draft_is_gone_from_the_file(
    store: ConsoleStore, people: tuple[Person, Person]
) -> None:
    """It may have held a number that was only just withheld elsewhere."""
    drafts = Drafts(store)
    drafts.save(people[0].id, "answer:1", {"text": "remember-this-13912345678"}, NOW)
    drafts.drop(people[0].id, "answer:1")
    left = b"".join(path.read_bytes() for path in store.folder.iterdir())
    assert (store.folder / FILE_NAME).stat().st_size > 0
    assert b"remember-this" not in left


def test_drafts_are_bounded(store: ConsoleStore, people: tuple[Person, Person]) -> None:
    """A script that saves and saves must fill neither the file nor push others' drafts out."""
    drafts, (one, two) = Drafts(store), people
    drafts.save(two.id, "k", {"a": "b"}, NOW)
    for number in range(limits.DRAFTS_MAX + 5):
        drafts.save(one.id, f"k{number}", {"a": "b"}, NOW + number)
    keys = drafts.keys(one.id)
    assert len(keys) == limits.DRAFTS_MAX
    assert keys[-1] == "k5"
    assert drafts.keys(two.id) == ("k",)
    with pytest.raises(HuyingError) as caught:
        drafts.save(one.id, "k", {"a": "值" * limits.DRAFT_BYTES_MAX}, NOW)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "值" not in str(caught.value)


def test_a_view_is_kept_under_its_name_and_replaced(
    store: ConsoleStore, people: tuple[Person, Person]
) -> None:
    """A filter that is made every morning is saved once."""
    views, (one, two) = SavedViews(store), people
    first = views.save(one.id, "calls", " 逾期 ", "?stage=2", NOW)
    views.save(one.id, "calls", "民政局", "department=民政局", NOW + 1)
    views.save(one.id, "events", "逾期", "late=1", NOW + 2)
    again = views.save(one.id, "calls", "逾期", "stage=3", NOW + 3)
    assert again.id == first.id
    assert [(view.name, view.query) for view in views.list(one.id, "calls")] == [
        ("民政局", "department=民政局"),
        ("逾期", "stage=3"),
    ]
    assert views.list(two.id, "calls") == ()
    assert not views.drop(two.id, first.id)
    assert views.drop(one.id, first.id)
    assert [view.name for view in views.list(one.id, "calls")] == ["民政局"]


@pytest.mark.parametrize(
    ("name", "query"), [("", "a=1"), ("x" * 201, "a=1"), ("a\nb", "a=1"), ("x", "a" * 2001)]
)
def test_views_that_are_too_large_are_refused(
    store: ConsoleStore, people: tuple[Person, Person], name: str, query: str
) -> None:
    """Names are shown in a menu; queries end in an address."""
    with pytest.raises(HuyingError) as caught:
        SavedViews(store).save(people[0].id, "calls", name, query, NOW)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_views_are_bounded(store: ConsoleStore, people: tuple[Person, Person]) -> None:
    """Past fifty nobody finds anything."""
    views = SavedViews(store)
    for number in range(limits.SAVED_VIEWS_MAX):
        views.save(people[0].id, "calls", f"v{number}", "a=1", NOW)
    with pytest.raises(HuyingError) as caught:
        views.save(people[0].id, "calls", "one more", "a=1", NOW)
    assert caught.value.code is Code.INVALID_ARGUMENT
    views.save(people[0].id, "calls", "v1", "a=2", NOW)
