"""A security key in Chromium: its authenticator is the browser's own, made for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Watch
from tests.browser.served_console import PASSWORD, ServedConsole, aside
from tests.browser.test_accounts_walk import REFUSED, check, fill, press
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    """At a name: browsers know no keys for an address that is a number."""
    with pytest.MonkeyPatch.context() as patch:
        served = aside(lambda: ServedNetwork(tmp_path_factory.mktemp("net"), patch))
        made = ServedConsole(served, COUNTY, host="localhost")
        yield made
        aside(made.close)
        aside(served.close)


def plug_in(page: Page) -> Callable[[], Any]:
    """Give the browser a key whose owner always touches it; returns what makes it forget all."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    made = devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    key = {"authenticatorId": made["authenticatorId"]}
    return lambda: devices.send("WebAuthn.clearCredentials", key)


def give_password(console: ServedConsole, page: Page) -> None:
    console.sign_out(page)
    page.goto(console.url("/sign-in"))
    fill(page, "登录", login="keyed", password=PASSWORD)
    page.wait_for_selector("text=请输入验证码")


def test_a_key_is_registered_and_signs_in_and_one_that_is_lost_is_told(
    console: ServedConsole, page_at: Callable[..., Page], watch: Watch
) -> None:
    """The browser's own code on the one side, ours on the other, and the page's policy between."""
    watch.allow(REFUSED)
    page = page_at(360, 740)
    console.sign_in(page, "centre", login="keyed")
    forget = plug_in(page)
    page.goto(console.url("/account/factor"))
    fill(page, "登记安全密钥", key_name="蓝色钥匙")
    page.wait_for_selector("text=第二因素已启用")
    code = page.locator(".code-list code").first.inner_text()
    page.goto(console.url("/account/factor"))
    assert "蓝色钥匙" in page.inner_text("main")
    check(page)

    give_password(console, page)
    check(page)
    press(page, "text=用安全密钥登录")
    assert "second-factor" not in page.url
    page.goto(console.url("/account"))
    assert "keyed" in page.inner_text("main")

    forget()
    give_password(console, page)
    page.click("text=用安全密钥登录")
    page.wait_for_selector("text=没有读到安全密钥")
    fill(page, "继续", code=code)
    page.goto(console.url("/account"))
    assert "keyed" in page.inner_text("main")
