"""A page whose figures are still being counted comes back by itself, and takes nobody's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from huying.hub.web import measure_pages
from tests.browser.conftest import leaving
from tests.browser.served_console import ServedConsole, aside
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

OpenPage = Callable[..., Page]
COUNTING = "正在清点"


@pytest.fixture(scope="module")
def console(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    """The county's console. `browser` comes first: it must end last."""
    del browser
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("counting")
        served = aside(lambda: ServedNetwork(folder, patch))
        made = ServedConsole(served, COUNTY)
        yield made
        made.close()
        aside(served.close)


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Nothing is counted before this is called."""
    count = measure_pages._counted  # what a page waits for
    is_done: list[bool] = []

    async def slowly(*arguments: Any) -> Any:
        return await count(*arguments) if is_done else None

    monkeypatch.setattr(measure_pages, "_counted", slowly)
    return lambda: is_done.append(True)


def still(page: Page) -> list[str]:
    """Stop the page's own clock, and note every page that it asks for from then on."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            asked.append(request.url)

    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.on("request", note)
    return asked


def test_what_is_counted_is_looked_at_again_until_it_is_there(
    console: ServedConsole, page_at: OpenPage, finish: Callable[[], None]
) -> None:
    """Once a second, and no more once the figures stand there."""
    page = page_at(1366, 900)
    console.sign_in(page, "director")
    asked = still(page)
    page.goto(console.url("/measures"))
    for _ in range(2):
        expect(page.get_by_text(COUNTING)).to_be_visible()
        with leaving(page):
            page.clock.run_for(1000)
    finish()
    with leaving(page):
        page.clock.run_for(1000)
    expect(page.locator("main")).not_to_contain_text(COUNTING)
    page.clock.run_for(60_000)
    assert len(asked) == 4


def test_a_page_that_somebody_is_filling_in_waits_for_them(
    console: ServedConsole, page_at: OpenPage, finish: Callable[[], None]
) -> None:
    """A choice that jumps back to what it was is worse than figures that come late."""
    page = page_at(1366, 900)
    console.sign_in(page, "director")
    asked = still(page)
    page.goto(console.url("/measures"))
    expect(page.get_by_text(COUNTING)).to_be_visible()
    finish()
    month = page.locator("#f-month")
    month.focus()
    month.select_option(index=2)
    page.clock.run_for(5000)
    assert len(asked) == 1
    month.blur()
    with leaving(page):
        page.clock.run_for(1000)
    expect(page.locator("main")).not_to_contain_text(COUNTING)


def test_without_script_the_browser_looks_again(
    console: ServedConsole, page_at: OpenPage, finish: Callable[[], None]
) -> None:
    """Its own clock cannot be moved, so what is waited for is the page with the figures."""
    page = page_at(360, 740, java_script_enabled=False)
    console.sign_in(page, "director")
    page.goto(console.url("/measures"))
    expect(page.get_by_text(COUNTING)).to_be_visible()
    finish()
    expect(page.locator("main")).not_to_contain_text(COUNTING)
