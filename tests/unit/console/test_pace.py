"""How many pages one person may ask for in a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common import limits
from huying.node.web.access.pace import Pace, Verdict
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

NOW = 1_790_000_000.0


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)
        with ConsoleUnderTest(network, COUNTY) as made:
            yield made
        network.close()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PERSON_MINUTE_PAGES_MAX", 6)
    monkeypatch.setattr(limits, "PERSON_MINUTE_COSTLY_PAGES_MAX", 2)


def test_a_bucket_fills_again_and_bars_nobody_for_long() -> None:
    """A hand at work must never meet it, and a script only for as long as it goes on."""
    pace = Pace()
    assert all(pace.admit("a", NOW) == Verdict(0.0) for _ in range(6))
    assert pace.admit("a", NOW) == Verdict(10.0, is_news=True)
    later = pace.admit("a", NOW + 4)
    assert later.wait_seconds == pytest.approx(6.0)
    assert not later.is_news
    assert pace.admit("b", NOW) == Verdict(0.0)
    assert pace.admit("a", NOW + 10) == Verdict(0.0)
    assert pace.admit("a", NOW + 70).wait_seconds == 0
    assert pace.admit("a", NOW - 3600).wait_seconds == 0, "a clock that went back fills nothing"


def test_too_many_pages_are_refused_for_a_while_and_noted_once(console: ConsoleUnderTest) -> None:
    """With 429 and when to go on, in the reader's words; the trail has one row, not a flood."""
    console.sign_in("centre", login="hasty")
    answers = [console.get("/account").status_code for _ in range(9)]
    assert answers == [200] * 6 + [429] * 3
    refused = console.get("/account")
    assert refused.headers["retry-after"] == "10"
    assert "一分钟内打开的页面太多,请 10 秒后继续" in text_of(refused.text)
    rows = console.site.audit.page(action="too-many", count=10)
    assert [(row.actor, row.object_) for row in rows] == [("hasty", "account")]
    assert console.post("/sign-out").status_code == 303, "nobody is kept from going"
    console.sign_in("centre", login="calm")
    assert console.get("/account").status_code == 200
    console.sign_in("centre", login="hasty")
    console.clock.seconds += limits.SESSION_TOUCH_SECONDS
    assert console.get("/account").status_code == 200


def test_costly_pages_are_fewer(console: ConsoleUnderTest) -> None:
    """An export reads what a hundred pages read."""
    console.sign_in("centre", login="exporter")
    path = "/measures/export?format=csv"
    assert [console.get(path).status_code for _ in range(4)] == [200, 200, 429, 429]
    assert console.get("/account").status_code == 200
    pages = console.site.pages.values()
    costly = {page.name for page in pages if page.costly}
    assert costly >= {page.name for page in pages if "export" in page.name}
    assert costly >= {"sheet-upload", "order-import-upload", "audit-verify"}
