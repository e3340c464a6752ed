"""The desk in a real browser: it moves by itself, keeps what is ticked, obeys the keyboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from huying.wire.v1 import api_pb2, calls_pb2
from tests.browser.served_console import ServedConsole, aside
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

LEAD = "水务局"
OpenPage = Callable[..., Page]
TRIES = 8  # a machine that is busy with something else is slow at one try, not at all of them
# Notes the rows that flash, whatever becomes of them afterwards.
NOTE_FLASHES = """() => {
  window.flashed = new Set();
  new MutationObserver(() => {
    for (const row of document.querySelectorAll("tr.fresh")) window.flashed.add(row.id);
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""


class LiveDesk:
    """The county's console, and the town's API to raise calls by."""

    def __init__(self, served: ServedNetwork) -> None:
        self.served = served
        self.console = ServedConsole(served, COUNTY)
        self._number = 0

    def _id(self) -> bytes:
        self._number += 1
        return self._number.to_bytes(16, "big")

    def raise_call(self, title: str) -> str:
        call = calls_pb2.Call(
            sequencer=COUNTY,
            category="供水",
            title=title,
            description="管道破裂",
            village=VILLAGE,
            raised_micros=int(self.served.network.clock.seconds * 1e6),
        )
        request = api_pb2.RaiseCallRequest(call=call, request_id=self._id())
        return self.served.client(TOWN).raise_call(request).call.hex()

    def step(self, call: str, **kind: Any) -> None:
        step = calls_pb2.CallStep(call=bytes.fromhex(call), actor="县-01", **kind)
        request = api_pb2.TakeCallStepRequest(step=step, request_id=self._id())
        self.served.client(COUNTY).take_call_step(request)

    def urges(self, call: str) -> int:
        request = api_pb2.GetCallRequest(call=bytes.fromhex(call))
        return self.served.client(COUNTY).get_call(request).urges

    def open(self, page: Page, path: str = "/queue") -> None:
        self.console.sign_in(page, "centre")
        page.goto(self.console.url(path))


@pytest.fixture(scope="module")
def desk(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDesk]:
    """`browser` comes first: it must end last."""
    del browser
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("queue")
        made = LiveDesk(aside(lambda: ServedNetwork(folder, patch)))
        for number in range(3):
            made.raise_call(f"第{number}件")
        yield made
        made.console.close()
        aside(made.served.close)


def test_a_step_of_another_node_is_on_the_screen_within_a_second(
    desk: LiveDesk, page_at: OpenPage
) -> None:
    """Nobody presses reload; what is ticked and chosen stays, and what came flashes once."""
    page = page_at(1366, 900)
    desk.open(page)
    with page.expect_response(lambda answer: "/live" in answer.url):
        page.reload()  # a stream is open from here on
    page.locator("tr[data-row]").first.locator("input[name=call]").check()
    page.keyboard.press("j")
    chosen = str(page.locator("tr.chosen").get_attribute("id"))
    took: list[tuple[float, float]] = []
    for number in range(TRIES):
        page.evaluate(NOTE_FLASHES)
        call = desk.raise_call(f"刚刚来的{number}")
        began = time.monotonic()
        row = page.locator(f"#row-{call}")
        expect(row).to_be_visible()
        came = time.monotonic() - began
        assert page.evaluate("[...flashed]") == [f"row-{call}"]
        page.evaluate(NOTE_FLASHES)
        desk.step(call, admit={})
        began = time.monotonic()
        expect(row.locator("td.stage .badge")).to_have_text("已受理")
        took.append((came, time.monotonic() - began))
        assert page.evaluate("[...flashed]") == [f"row-{call}"]
        expect(page.locator("tr[data-row] input[name=call]:checked")).to_have_count(1)
        expect(page.locator("tr.chosen")).to_have_id(chosen)
        if all(min(each) < 1.0 for each in zip(*took, strict=True)):
            return
    pytest.fail(f"not within a second at any try (a call, its step): {took}")


def test_nothing_moves_for_who_asked_for_less_motion(desk: LiveDesk, page_at: OpenPage) -> None:
    """The row comes all the same."""
    page = page_at(1366, 900, reduced_motion="reduce")
    with page.expect_response(lambda answer: "/live" in answer.url):
        desk.open(page)
    call = desk.raise_call("不闪的")
    row = page.locator(f"#row-{call}")
    expect(row).to_be_visible()
    expect(row).to_have_css("animation-name", "none")


def test_the_keyboard_goes_through_the_queue(desk: LiveDesk, page_at: OpenPage) -> None:
    """J and k, x, / and Enter: a responder with thirty calls has no hand for a mouse."""
    page = page_at(1366, 900)
    desk.open(page)
    rows = page.locator("tr[data-row]")
    for _ in range(2):
        page.keyboard.press("j")
    page.keyboard.press("k")
    expect(rows.nth(0)).to_have_class("chosen")
    page.keyboard.press("j")
    expect(rows.nth(1)).to_have_class("chosen")
    page.keyboard.press("x")
    expect(rows.nth(1).locator("input[name=call]")).to_be_checked()
    expect(page.locator("[data-ticked]")).to_have_text("1")
    page.keyboard.press("/")
    expect(page.locator("#f-q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("j")
    wanted = rows.nth(1).get_attribute("id")
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls/*")
    assert wanted == f"row-{page.url.rsplit('/', 1)[1]}"
    page.go_back()
    expect(page.locator("#queue")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_several_are_urged_with_and_without_script(
    desk: LiveDesk, page_at: OpenPage, *, script: bool
) -> None:
    """The boxes and the one button are plain HTML."""
    title = f"催办-{script}"
    calls = [desk.raise_call(f"{title}-{number}") for number in range(2)]
    for call in calls:
        desk.step(call, dispatch={"department": LEAD})
    page = page_at(360, 740, java_script_enabled=script)
    desk.open(page, f"/queue?q={title}")
    for call in calls:
        page.locator(f"#pick-{call}").check()
    page.get_by_role("button", name="催办所选").click()
    expect(page.get_by_role("heading", name="催办 2 件呼叫?")).to_be_visible()
    page.get_by_label("催办理由").fill("汛期将至")
    page.get_by_role("button", name="催办这 2 件").click()
    expect(page.get_by_text("已催办 2 件")).to_be_visible()
    assert [desk.urges(call) for call in calls] == [1, 1]


def test_from_a_call_the_keyboard_goes_on_to_the_next_one_and_back_to_the_narrowed_queue(
    desk: LiveDesk, page_at: OpenPage
) -> None:
    """Thirty calls are worked through one by one; each way back to the top would be thirty ways."""
    page = page_at(1366, 900)
    desk.open(page, "/queue?group=all&q=第")
    titles = page.locator("tr[data-row] .what a").all_inner_texts()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    stands_at(page, titles, 0)
    page.keyboard.press("j")
    stands_at(page, titles, 1)
    page.keyboard.press("k")
    stands_at(page, titles, 0)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("下一件")
    page.keyboard.press("Escape")
    page.locator("#walk [data-back]").click()
    page.wait_for_url("**/queue?group=all&q=*")
    page.keyboard.press("g")
    page.keyboard.press("2")
    page.wait_for_url("**/centre")


def stands_at(page: Page, titles: list[str], number: int) -> None:
    """The place is written by the script that hears the keys: before it, just j and k are heard."""
    expect(page.locator("h1")).to_have_text(titles[number])
    expect(page.locator("[data-walk=place]")).to_have_text(f"{number + 1} / {len(titles)}")


def test_j_and_k_are_heard_between_two_pages_and_before_a_pages_scripts(
    desk: LiveDesk, page_at: OpenPage
) -> None:
    """Whoever knows that the next two calls can wait presses twice, and does not look between."""
    page = page_at(1366, 900)
    desk.open(page, "/queue?group=all&q=第")
    rows = page.locator("tr[data-row]")
    titles = rows.locator(".what a").all_inner_texts()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    stands_at(page, titles, 0)
    # The page of the second call does not begin to come before both keys were pressed.
    second = f"**/calls/{rows_calls(page)[1]}"
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(second, hold)
    page.keyboard.press("j")
    page.keyboard.press("j")
    stands_at(page, titles, 2)
    page.unroute(second)
    # The scripts that hear keys do not come before the key was pressed.
    page.route("**/call.js*", hold, times=1)
    page.goto(desk.console.url(f"/calls/{rows_calls(page)[0]}"), wait_until="commit")
    page.locator("#walk").wait_for(state="attached")
    page.keyboard.press("j")
    held[-1].continue_()
    stands_at(page, titles, 1)


def rows_calls(page: Page) -> list[str]:
    """The calls of the list that was gone through last, as this tab remembers them."""
    found = page.evaluate("JSON.parse(sessionStorage.getItem('huying.list')).calls")
    return [str(one) for one in found]


def test_ctrl_and_enter_send_the_step_that_is_being_written(
    desk: LiveDesk, page_at: OpenPage
) -> None:
    """Whoever writes has both hands on the keyboard; a plain Enter stays a new line."""
    page = page_at(1366, 900)
    call = desk.raise_call("键盘送出")
    desk.open(page, f"/calls/{call}")
    page.keyboard.press("n")
    page.keyboard.type("第一行")
    page.keyboard.press("Enter")
    page.keyboard.type("第二行")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#conversation .said")).to_contain_text("第一行")


# A line so slow that no draft is answered; and no form leaves the page.
HOLD_DRAFTS = """() => {
  const real = window.fetch;
  window.fetch = (path, options) => {
    if (path !== "/drafts") return real(path, options);
    document.body.dataset.draft = "under way";
    options.signal?.addEventListener("abort", () => (document.body.dataset.draft = "stopped"));
    return new Promise(() => {});
  };
  document.addEventListener("submit", (event) => event.preventDefault());
}"""


def test_a_draft_that_is_on_its_way_when_the_form_is_sent_comes_no_more(
    desk: LiveDesk, page_at: OpenPage
) -> None:
    """On a slow line it came after the form, and stood there as a draft of what had been sent."""
    page = page_at(1366, 900)
    call = desk.raise_call("慢线路")
    desk.open(page, f"/calls/{call}")
    page.evaluate(HOLD_DRAFTS)
    page.keyboard.press("n")
    page.keyboard.type("写了一半")
    expect(page.locator("body")).to_have_attribute("data-draft", "under way")
    page.keyboard.press("Control+Enter")
    expect(page.locator("body")).to_have_attribute("data-draft", "stopped")
