"""The bench of pages: nodes that are what they seem, and no page that is passed over in silence."""

from __future__ import annotations

from pathlib import Path

from huying.hub.bench.call_store import COUNTY, event_of
from huying.hub.bench.page_store import TOWN, VILLAGE, build_nodes
from huying.hub.bench.page_walk import NOT_TIMED, Answer, Browser, page_of, reach, timed_pages
from huying.hub.web.site import PAGES
from huying.node.config import load
from huying.node.store.database import sqlite_url
from huying.node.store.projection_check import check_projections
from huying.node.store.reader import FileReader


def test_the_nodes_are_such_as_entries_would_have_made(tmp_path: Path) -> None:
    """A page that is quick over rows that no program would write says nothing."""
    fleet, is_new = build_nodes(tmp_path / "pages", 60)
    assert is_new
    for code in (COUNTY, TOWN, VILLAGE):
        reader = FileReader(sqlite_url(load(fleet[code].config_file).database_file))
        notes: list[tuple[str, str]] = []
        assert check_projections(reader, lambda *note, found=notes: found.append(note)) > 100
        assert notes == []
        for feed in reader.feeds():
            assert len(feed.frontier) == feed.size.bit_count()
        with reader.connection() as connection:
            calls = connection.exec_driver_sql("SELECT record, village FROM calls").all()
        assert calls
        assert all(reader.get_event(village, event_of(call)) for call, village in calls)
        reader.close()
    again, is_new = build_nodes(tmp_path / "pages", 60)
    assert not is_new
    assert set(again.members) == set(fleet.members)


def test_every_page_is_timed_or_says_why_not() -> None:
    """A new page is timed by itself; a name in the list that no page has is a mistake."""
    names = {page.name for page in PAGES if "GET" in page.methods}
    assert set(NOT_TIMED) <= names
    assert timed_pages() == names - set(NOT_TIMED)
    assert all(NOT_TIMED.values())


class _Pages(Browser):
    """Pages without a network: `/queue` leads on, `/calls` back, and `/` to the queue."""

    def get(self, url: str, **_headers: str) -> Answer:
        """As the site of a centre would answer."""
        if url == "/":
            return Answer(303, 0.0, b"", 0, "/queue", {})
        text = (
            '<a href="/calls?show=all">x</a><a href="/queue">y</a><a href="/language?to=en">z</a>'
        )
        found = url.partition("?")[0] in ("/queue", "/calls")
        headers = {"content-type": "text/html; charset=utf-8"}
        return Answer(200 if found else 404, 0.0, text.encode(), len(text), "", headers)


def test_pages_are_found_by_following_links() -> None:
    """Each once, by where one lands; what is no page to wait for is not asked for."""
    found = reach(_Pages("127.0.0.1:1"), "centre")
    assert [(one.name, one.url) for one in found] == [
        ("queue", "/queue"),
        ("calls", "/calls?show=all"),
    ]
    page = page_of("/calls/00")
    assert page is not None
    assert page.name == "call"
    assert page_of("/nowhere") is None
