"""The whole story of a call, by its people, in browsers over the demo's network of seven nodes.

A village reports with a photo on a handset; the town calls and its principal approves; the centre
dispatches; the department objects, is assigned by a ruling, accepts, and asks for a phone number
that stayed in the village; the village's clerk approves; the answer is reviewed and sent; the town
reopens once, confirms and rates; and the measures show it. Every deed is a form that was filled in
and a button that was pressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from huying.hub.demo.accounts import DEPARTMENT
from tests.browser.conftest import leaving
from tests.browser.crawl import sign_in
from tests.browser.desk_network import DeskNetwork, open_network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TEXT = "村东桥头路灯杆倾斜,学生放学经过有危险"
PHONE = "13912345678"
LIVE_MS = 30_000  # a browser waits so long; what is measured stands in `test_live`


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with open_network(tmp_path_factory.mktemp("story")) as made:
        yield made


@pytest.fixture
def people(network: DeskNetwork, page_at) -> Callable[[str], Page]:
    """`people("clerk")`: the page of that person, signed in, the same each time."""
    pages: dict[str, Page] = {}

    def page_of(login: str) -> Page:
        if login not in pages:
            size = (360, 740) if login in ("worker", "village") else (1366, 900)
            page = pages[login] = page_at(*size)
            sign_in(page, network.origin(login), login, network.password)
        return pages[login]

    return page_of


def press(page: Page, name: str) -> None:
    """The button or link of that name in the page's body."""
    body = page.locator("main")
    found = body.get_by_role("button", name=name).or_(body.get_by_role("link", name=name))
    with leaving(page):
        found.first.click()


def take(page: Page, step: str, **fields: str) -> None:
    """One step on a call's page: open its form, fill it in, press its button."""
    form = page.locator(f"#step-{step}")
    expect(form).to_be_visible(timeout=LIVE_MS)
    if form.get_attribute("open") is None:
        form.locator("summary").first.click()
    for name, value in fields.items():
        field = form.locator(f"[name={name}]").first
        if field.get_attribute("type") == "radio":
            form.locator(f"[name={name}][value='{value}']").first.check(force=True)
        elif field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    with leaving(page):
        form.locator(".actions button[type=submit]:not([formaction])").first.click()
    expect(page.locator(".notice.bad")).to_have_count(0)


def stage(page: Page, text: str) -> None:
    """Until the page says that stage, without being loaded again by hand."""
    expect(page.locator("main .badge", has_text=text).first).to_be_visible(timeout=LIVE_MS)


def photo(folder: Path) -> Path:
    """A photo as a handset takes it: large, with a place in it."""
    file = folder / "灯杆.jpg"
    picture = Image.effect_noise((1600, 1200), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "PhoneMaker"
    exif.get_ifd(0x8825)[2] = (35.0, 43.0, 12.0)
    picture.save(file, exif=exif, quality=85)
    return file


def test_a_call_goes_all_the_way_through_the_browser(network, people, tmp_path):
    """What the network is for, as its people do it."""
    title = _report_and_call(network, people, tmp_path)
    centre = people("centre")
    centre.goto(f"{network.origin('centre')}/queue")
    with leaving(centre):
        centre.get_by_role("link", name=re.compile(title[:8])).first.click()
    call_path = centre.url.removeprefix(network.origin("centre"))

    take(centre, "dispatch", department=DEPARTMENT)
    stage(centre, "已派单")
    department = people("department")
    department.goto(network.origin("department") + call_path)
    take(department, "objection", reason="灯杆属供电部门,请改派")
    stage(centre, "已异议")  # the centre's page shows it by itself
    take(centre, "ruling", upheld="no", department=DEPARTMENT, reason="按职责清单指定办理")
    stage(department, "已派单")
    expect(department.locator("#step-objection")).to_have_count(0)
    take(department, "accept")

    _ask_for_the_phone(network, people, department, call_path)

    clerk = people("clerk")
    clerk.goto(network.origin("clerk") + call_path)
    _answer(department, centre, "已扶正加固,夜间巡查。")
    stage(clerk, "已答复")
    take(clerk, "confirm", resolved="yes", satisfaction="4", response="5", manner="5")
    stage(clerk, "已确认")
    take(clerk, "reopen", reason="昨晚又倾斜了")
    stage(department, "未解决")
    _answer(department, centre, "已更换灯杆和基础。")
    stage(clerk, "已答复")
    take(
        clerk,
        "confirm",
        resolved="yes",
        satisfaction="5",
        response="5",
        manner="5",
        comment="这次修好了",
    )
    stage(centre, "已确认")
    take(centre, "closure")
    stage(clerk, "已办结")

    worker = people("worker")
    worker.goto(f"{network.origin('worker')}/report/mine")
    expect(worker.locator("main")).to_contain_text("办结", timeout=LIVE_MS)

    director = people("director")
    director.goto(f"{network.origin('director')}/measures")
    row = director.locator("tbody tr", has_text=DEPARTMENT)
    expect(row).to_be_visible(timeout=LIVE_MS)
    expect(row).to_contain_text("100.0%")
    with leaving(director):
        row.locator("a").first.click()
    expect(director.locator("tbody")).to_contain_text(title[:8], timeout=LIVE_MS)


def test_a_town_hands_an_event_to_its_village_and_then_settles_it(network, people):
    """村报镇办: most of what a village reports never becomes a call."""
    worker, clerk, words = people("worker"), people("clerk"), "村西机井盖板缺了一块"
    worker.goto(f"{network.origin('worker')}/report")
    worker.get_by_text("公共设施", exact=True).click()
    if worker.locator("#f-grid").count():
        worker.locator("#f-grid").select_option(index=1)
    worker.fill("#f-text", words)
    worker.click("#report-submit")
    expect(worker.locator("main")).to_contain_text("已", timeout=LIVE_MS)
    worker.goto(f"{network.origin('worker')}/tasks")

    clerk.goto(f"{network.origin('clerk')}/events?town=nobody")
    entry = clerk.locator("main tr", has_text=words).locator("td.title a")
    expect(entry).to_be_visible(timeout=LIVE_MS)
    with leaving(clerk):
        entry.click()
    _handle(clerk, "assign", "请先围起来,别让孩子靠近")
    # Nobody touches the handset: what the town asks comes to the top of its page by itself.
    first = worker.locator("#tasks .task-list").first
    expect(first).to_contain_text("别让孩子靠近", timeout=LIVE_MS)
    with leaving(worker):
        first.get_by_role("link", name="详情").click()

    _handle(clerk, "close", "已换上新盖板")
    head = "#event-head .badge"
    for page in (worker, clerk):  # the village's node wrote the end, and both pages heard of it
        expect(page.locator(head)).to_have_text("已办结", timeout=LIVE_MS)
    expect(worker.locator("main")).to_contain_text("镇办结:已换上新盖板", timeout=LIVE_MS)


def _handle(clerk: Page, step: str, words: str) -> None:
    """One of the town's steps on the event's page."""
    form = clerk.locator(f"#handle-{step}")
    form.locator("summary").click()
    form.locator("textarea").fill(words)
    with leaving(clerk):
        form.locator("button[type=submit]").click()
    expect(clerk.locator(".notice.bad")).to_have_count(0)


def _report_and_call(network: DeskNetwork, people: Callable[[str], Page], folder: Path) -> str:
    """From the village's handset to the county; returns the call's title."""
    worker = people("worker")
    worker.goto(f"{network.origin('worker')}/report")
    worker.get_by_text("公共设施", exact=True).click()
    worker.set_input_files("#f-album", photo(folder))
    if worker.locator("#f-grid").count():
        worker.locator("#f-grid").select_option(index=1)
    worker.fill("#f-text", TEXT)
    worker.locator("#reporter summary").click()
    worker.fill("[name=reporter_name]", "生成丁")
    worker.fill("[name=reporter_phone]", PHONE)
    worker.click("#report-submit")
    expect(worker.locator("main")).to_contain_text("已", timeout=LIVE_MS)

    clerk = people("clerk")
    clerk.goto(f"{network.origin('clerk')}/events")
    entry = clerk.locator("main a", has_text=TEXT[:6]).first
    expect(entry).to_be_visible(timeout=LIVE_MS)
    with leaving(clerk):
        entry.click()
    expect(clerk.locator("main")).not_to_contain_text(PHONE)
    with leaving(clerk):
        clerk.locator("main a[href*='/calls/new']").first.click()
    clerk.fill("[name=title]", TEXT[:12])
    with leaving(clerk):
        clerk.locator("form[action$='/calls/new'] button.primary").click()
    expect(clerk.locator(".notice.bad")).to_have_count(0)

    principal = people("principal")
    principal.goto(f"{network.origin('principal')}/call-drafts")
    with leaving(principal):
        principal.locator("main a", has_text=TEXT[:8]).first.click()
    press(principal, "同意,发出呼叫")
    expect(principal.locator(".notice.bad")).to_have_count(0)
    return TEXT[:12]


def _ask_for_the_phone(
    network: DeskNetwork, people: Callable[[str], Page], department: Page, call_path: str
) -> None:
    expect(department.locator("main")).not_to_contain_text(PHONE)
    expect(department.locator("#matter img").first).to_be_visible(timeout=LIVE_MS)
    kept = department.locator("#matter .not-shown", has_text="反映人电话")
    ask = kept.locator("details")
    ask.locator("summary").click()
    wanted = ask.locator("label.check", has_text="电话").locator("input")
    wanted.first.check()
    ask.locator("[name=purpose]").fill("联系反映人核实位置")
    with leaving(department):
        ask.get_by_role("button", name="发出申请").click()

    village = people("village")
    village.goto(f"{network.origin('village')}/provisions")
    with leaving(village):
        village.locator("main a[href*='/provisions/']").first.click()
    expect(village.locator("main")).to_contain_text(DEPARTMENT)
    with leaving(village):
        village.locator("main a[href$='/approve']").first.click()
    press(village, "同意提供")

    department.goto(network.origin("department") + call_path)
    look = department.locator("#matter").get_by_role("button", name=re.compile("查看"))
    expect(look.first).to_be_visible(timeout=LIVE_MS)
    with leaving(department):
        look.first.click()
    expect(department.locator("main")).to_contain_text(PHONE)
    department.goto(network.origin("department") + call_path)
    expect(department.locator("main")).not_to_contain_text(PHONE)


def _answer(department: Page, centre: Page, text: str) -> None:
    """The department answers, the centre reviews and sends."""
    take(department, "answer", text=text)
    stage(centre, "待审核")
    take(centre, "review", sent="yes")
