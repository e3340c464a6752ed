"""`make shots`: a picture of every page, at a desk and on a handset, into one folder.

    python -m tests.browser.shots FOLDER

Starts the demo's network with a morning's work, signs in as each of its people, and follows links.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from huying.hub.demo.morning import leave_work
from tests.browser.conftest import ARGUMENTS
from tests.browser.crawl import crawl, sign_in
from tests.browser.desk_network import DeskNetwork, open_network

_SIZES: Final = {"desktop": (1366, 900), "handset": (360, 740)}
_MOST: Final = 2  # pictures of pages of one name, by person
_CHROMIUM: Final = "/usr/bin/chromium"


def main(folder: Path) -> int:
    """Take them all; the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as nodes, open_network(Path(nodes)) as network:
        leave_work(network.fleet)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(ARGUMENTS))
            count = sum(
                _of_person(browser, network, account.login, folder)
                for account in network.accounts.accounts
            )
            browser.close()
    print(f"{count} 张截图 pictures: {folder}")
    return 0


def _of_person(browser: Browser, network: DeskNetwork, login: str, folder: Path) -> int:
    count = 0
    origin = network.origin(login)
    for size, (width, height) in _SIZES.items():
        context = browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN",
            is_mobile=size == "handset",
            has_touch=size == "handset",
        )
        page = context.new_page()
        page.goto(f"{origin}/sign-in")
        _take(page, folder / f"{login}-sign-in-{size}.png")
        sign_in(page, origin, login, network.password)
        for found in crawl(page, origin, most=_MOST):
            _take(page, folder / f"{login}-{found.name}-{found.number}-{size}.png")
            count += 1
        context.close()
    return count


def _take(page: Page, path: Path) -> None:
    """The whole page, in a window as tall as it is: what sticks to the edge hides no row then."""
    size = page.viewport_size
    assert size is not None, "the context has a size"
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], height)})
    page.screenshot(path=path, full_page=True)
    page.set_viewport_size(size)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "shots")))
