"""From the set-up link to a colleague's first day, in a real browser, with a script and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from huying.common import limits
from huying.node.web.access.setup_link import SetupLink
from tests.browser.conftest import Watch, leaving
from tests.browser.served_console import PASSWORD, ServedConsole, aside
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# What a browser says of every form that comes back with a refusal.
REFUSED = "the server responded with a status of 4"
CHOSEN = "another horse battery"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    with pytest.MonkeyPatch.context() as patch:
        served = aside(lambda: ServedNetwork(tmp_path_factory.mktemp("net"), patch))
        made = ServedConsole(served, COUNTY)
        yield made
        aside(made.close)
        aside(served.close)


def check(page: Page) -> None:
    """No serious fault that axe-core finds, and nothing wider than the screen."""
    found = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert found == [], page.url
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0, page.url


def fill(page: Page, button: str, **fields: str) -> None:
    for name, value in fields.items():
        page.fill(f"main [name={name}]", value)
    press(page, f"main button:has-text('{button}')")


def press(page: Page, selector: str) -> None:
    """Press what leads to another page, and wait for that page."""
    with leaving(page):
        page.click(selector)


@pytest.mark.parametrize(("width", "script"), [(360, True), (1366, False)])
def test_the_first_days_of_a_console(
    console: ServedConsole,
    page_at: Callable[..., Page],
    watch: Watch,
    width: int,
    script: bool,
) -> None:
    """The technician, then a colleague who gets a slip of paper; every page on the way is checked.

    Without a script nothing may be missing but comfort.
    """
    watch.allow(REFUSED)
    options: dict[str, Any] = {} if script else {"java_script_enabled": False}
    seen: Callable[[Page], None] = check if script else lambda _page: None
    clear(console)
    token = SetupLink(console.store).issue(console.clock.now())
    page = page_at(width, 800, **options)

    page.goto(console.url(f"/set-up/{token}"))
    seen(page)
    new = {"password": PASSWORD, "password_again": PASSWORD}
    fill(page, "建立账号", login="tech", name="赵亮", password="password2026",
         password_again="password2026")  # fmt: skip
    assert "容易先被猜中" in page.inner_text("#refusal")
    assert page.input_value("[name=login]") == "tech"
    seen(page)
    fill(page, "建立账号", **new)
    assert page.url.startswith(console.url("/account"))
    seen(page)

    press(page, "text=设置第二因素")
    seen(page)
    page.click("summary:has-text('手工输入密钥')")
    secret = page.inner_text("code.secret").replace(" ", "")
    fill(page, "启用", code="000000")
    assert "验证码不对" in page.inner_text("#refusal")
    fill(page, "启用", code=pyotp.TOTP(secret).at(int(console.clock.now())))
    codes = page.locator(".code-list code").all_inner_texts()
    assert len(codes) == limits.RECOVERY_CODES
    seen(page)

    page.goto(console.url("/people"))
    seen(page)
    press(page, "text=新增人员")
    seen(page)
    page.check("[value=centre]")
    fill(page, "一次性密码", login="li.si", name="李四")
    drawn = page.inner_text(".one-time")
    seen(page)
    page.goto(console.url("/people?q=li.si"))
    press(page, "main table a")
    seen(page)
    page.goto(console.url("/audit"))
    seen(page)
    press(page, "text=复核哈希链")
    assert "完整" in page.inner_text("main")
    seen(page)

    theirs = page_at(width, 800, **options)
    theirs.goto(console.url("/calls"))
    seen(theirs)
    fill(theirs, "登录", login="li.si", password="wrong")
    assert "密码不对" in theirs.inner_text("#refusal")
    seen(theirs)
    fill(theirs, "登录", login="li.si", password=drawn)
    seen(theirs)
    fill(theirs, "更改", own_password=drawn, password=CHOSEN, password_again=CHOSEN)
    assert theirs.url == console.url("/calls")

    console.clock.seconds += limits.REAUTHENTICATED_SECONDS
    page.goto(console.url("/people/new"))
    seen(page)
    fill(page, "继续", own_password=PASSWORD)
    assert page.url == console.url("/people/new")
    page.goto(console.url("/account"))
    press(page, "text=在所有设备上退出")
    fill(page, "登录", login="tech", password=PASSWORD)
    seen(page)
    fill(page, "继续", code=codes[0])
    page.goto(console.url("/account"))
    assert "恢复码剩 9 条" in page.inner_text("main")


def test_a_password_may_be_looked_at_while_it_is_typed(
    console: ServedConsole, page_at: Callable[..., Page]
) -> None:
    """Twelve characters on a handset; and it is hidden again before it is sent."""
    page = page_at(360, 740)
    page.goto(console.url("/sign-in"))
    field = page.locator("[name=password]")
    field.fill("x")
    page.click("button:has-text('显示')")
    expect(field).to_have_attribute("type", "text")
    page.click("button:has-text('隐藏')")
    expect(field).to_have_attribute("type", "password")
    assert page.locator("button:has-text('显示')").bounding_box()["height"] >= 44  # type: ignore[index]  # it is shown


def clear(console: ServedConsole) -> None:
    """A console that nobody has an account of."""
    console.clock.seconds += 86_400
    with console.store.writing() as connection:
        for table in ("sessions", "recovery_codes", "drafts", "views", "accounts"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
