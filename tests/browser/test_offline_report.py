"""Reporting from a handset whose network comes and goes, in a real browser.

What a worker reports is either with the node or in the handset, and the screen says which; when the
node is back, it is written once. Nothing says "sent" before the node said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from playwright.sync_api import FilePayload, Page, expect

from huying.common.effects import AppendReceipt, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.node.web.access.people import Person
from tests.browser.conftest import Watch, leaving
from tests.browser.handset import (
    FIRST,
    KEPT,
    NO_NETWORK,
    NOTE_SYNC,
    PHONE,
    REFUSED,
    WRITTEN,
    events,
    fill,
    open_report,
    photo,
    press,
    send_now,
    village_console,
    wake_worker,
)
from tests.browser.served_console import ServedConsole
from tests.support.tiny_network import VILLAGE

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def console(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    """The village's console. `browser` comes first: it must end last."""
    del browser
    with village_console(tmp_path_factory.mktemp("offline")) as made:
        yield made


@pytest.fixture
def handset(console: ServedConsole, page_at: OpenPage) -> Page:
    """A handset on whose report page the worker of the first grid is."""
    page = page_at(360, 740)
    page.add_init_script(NOTE_SYNC)
    console.sign_in(page, "worker", login="wang", area=FIRST, name="王网格")
    open_report(console, page)
    return page


def test_a_report_is_three_taps_and_the_node_s_answer(
    console: ServedConsole, handset: Page
) -> None:
    """All three lie on the first screen, and the words of success are the server's."""
    for name in ("拍一张", "从相册选"):
        expect(handset.get_by_text(name)).to_be_in_viewport(ratio=1)
    expect(handset.get_by_role("button", name="上报", exact=True)).to_be_in_viewport(ratio=1)
    fill(handset, f"桥头垃圾,问{PHONE}", with_photo=True)
    expect(handset.locator("#seen-text")).to_have_text("桥头垃圾,问〔手机号〕")
    press(handset)
    sent = handset.locator("#outbox-sent")
    expect(sent).to_contain_text(WRITTEN)
    expect(sent).to_contain_text("〔手机号〕")
    expect(handset.locator("#outbox")).to_be_hidden()
    (row,) = events(console, f"桥头垃圾,问{PHONE}")
    (picture,) = console.served.readers[VILLAGE].evidence_of(row.record)
    assert picture.data is not None
    assert b"KANARI-CAMERA" not in picture.data


def test_what_is_reported_without_a_network_waits_and_is_sent_once(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """Off, on again: the browser's own event sends it, photo and all."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    fill(handset, "没网时报的", with_photo=True)
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    expect(handset.locator("#outbox")).to_contain_text("1 张照片")
    expect(handset.locator("#outbox-sent")).not_to_contain_text(WRITTEN)
    # The handset keeps a picture that was made smaller, not the camera's.
    kept = handset.evaluate(
        """async () => {
          const database = await new Promise((done) => {
            const asked = indexedDB.open("huying-outbox");
            asked.onsuccess = () => done(asked.result);
          });
          const [entry] = await new Promise((done) => {
            const asked = database.transaction("reports").objectStore("reports").getAll();
            asked.onsuccess = () => done(asked.result);
          });
          const image = await createImageBitmap(entry.photos[0].blob);
          return { side: image.width, person: entry.person };
        }"""
    )
    assert kept == {"side": 1600, "person": console.person("worker", login="wang").id}
    assert events(console, "没网时报的") == []
    handset.context.set_offline(False)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    expect(handset.locator("#outbox")).to_be_hidden()
    (row,) = events(console, "没网时报的")
    assert len(console.served.readers[VILLAGE].evidence_of(row.record)) == 1


def test_a_proof_waits_in_the_handset_as_it_was_taken(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """Where there is no network is where the place of a photo matters most; then the box is off."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    fill(handset, "作证据的照片", with_photo=True)
    handset.get_by_text("照片要作证据?").tap()
    box = handset.get_by_label("保留拍摄时间和地点(作证据用)")
    box.check()
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    expect(box).not_to_be_checked()
    handset.context.set_offline(False)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    (row,) = events(console, "作证据的照片")
    (picture,) = console.served.readers[VILLAGE].evidence_of(row.record)
    assert picture.data is not None
    assert b"KANARI-CAMERA" not in picture.data
    kept = console.site.uploads.originals.find(picture.sha256, row.record)
    assert kept is not None
    assert b"KANARI-CAMERA" in kept.read_bytes()


def test_the_page_opens_without_a_server_and_takes_a_report(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """The worker's shell: the handset was switched off in between, and the console is down."""
    watch.allow(NO_NETWORK, REFUSED)
    console.stop()
    try:
        handset.goto(console.url("/report"))
        expect(handset.get_by_text("连不上村节点")).to_be_visible()
        expect(handset.locator("#whose")).to_have_text("王网格")
        fill(handset, "关机又开机")
        press(handset)
        expect(handset.locator("#outbox")).to_contain_text(KEPT)
        handset.reload()
        expect(handset.locator("#outbox")).to_contain_text(KEPT)
    finally:
        console.start()
    handset.reload()
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "关机又开机")) == 1


def test_an_answer_that_was_lost_makes_no_second_event(
    console: ServedConsole, handset: Page, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node wrote it, and the way back failed before the handset knew: it is sent again."""
    watch.allow(REFUSED)
    runtime = console.served.runtimes[VILLAGE]
    write = runtime.append

    async def lose(drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        await write(drafts)
        raise HuyingError(Code.UNREACHABLE, "the answer is lost")

    monkeypatch.setattr(runtime, "append", lose)
    fill(handset, "回执丢了")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    assert len(events(console, "回执丢了")) == 1
    monkeypatch.undo()
    send_now(handset)
    expect(handset.locator("#outbox-sent")).to_contain_text("没有重复写")
    assert len(events(console, "回执丢了")) == 1


def test_a_portal_that_answers_for_the_node_is_not_believed(
    console: ServedConsole, handset: Page
) -> None:
    """Public networks answer everything with a page of their own, and 200."""
    handset.route(
        "**/report", lambda route: route.fulfill(status=200, body="<h1>登录本网络</h1>"), times=1
    )
    fill(handset, "门户网络")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    expect(handset.locator("#outbox-sent")).to_be_empty()
    send_now(handset)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "门户网络")) == 1


def test_a_session_that_ended_keeps_the_report_until_its_person_is_back(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """It says so, asks to sign in, and sends by itself after that."""
    watch.allow(REFUSED)
    fill(handset, "登录过期")
    console.expire()
    press(handset)
    expect(handset.locator("#outbox-said")).to_contain_text("登录已过期")
    expect(handset.locator("#outbox-sign-in")).to_be_visible()
    assert events(console, "登录过期") == []
    console.sign_in(handset, "worker", login="wang")
    open_report(console, handset)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "登录过期")) == 1


def test_nobody_sends_under_another_s_name(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """A lent handset: the next person sees that something waits, and neither sends nor reads it."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    fill(handset, "王的报告")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    other = console.sign_in(handset, "worker", login="li", area=FIRST, name="李网格")
    handset.goto("about:blank")
    handset.context.set_offline(False)
    open_report(console, handset)
    expect(handset.locator("#outbox")).to_contain_text("王网格")
    expect(handset.locator("#outbox")).to_contain_text("等本人登录后才送出")
    expect(handset.locator("#outbox")).not_to_contain_text("王的报告")
    assert events(console, "王的报告") == []
    assert reported_by(console, other) == 0
    console.sign_in(handset, "worker", login="wang")
    open_report(console, handset)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "王的报告")) == 1
    assert reported_by(console, other) == 0


def reported_by(console: ServedConsole, person: Person) -> int:
    return len(console.site.audit.page(actor=person.login, action="report-event"))


def test_a_report_that_waits_is_deleted_by_hand_and_only_when_that_is_sure(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """The question comes first; what was deleted does not come back with the network."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    fill(handset, "不报了")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    handset.once("dialog", lambda dialog: dialog.dismiss())
    handset.get_by_role("button", name="删除").tap()
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    handset.once("dialog", lambda dialog: dialog.accept())
    handset.get_by_role("button", name="删除").tap()
    expect(handset.locator("#outbox")).to_be_hidden()
    handset.context.set_offline(False)
    handset.reload()
    expect(handset.locator("#report-submit")).to_be_enabled()
    assert events(console, "不报了") == []


def test_a_full_handset_says_so_and_keeps_the_form(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """No room and no network: nothing was kept, and nothing that was typed is lost."""
    watch.allow(NO_NETWORK)
    handset.evaluate(
        """() => {
          IDBObjectStore.prototype.put = () => {
            throw new DOMException("full", "QuotaExceededError");
          };
        }"""
    )
    handset.context.set_offline(True)
    fill(handset, "存不下")
    press(handset)
    expect(handset.locator("#report-problem")).to_contain_text("没有存下,也没有送出")
    expect(handset.get_by_label("说一句")).to_have_value("存不下")
    handset.context.set_offline(False)
    press(handset)  # no room, but the node answers
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "存不下")) == 1


def test_what_the_node_refuses_stays_in_the_handset_with_its_reason(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """A file that is no picture: said in words, not sent for ever, and not thrown away."""
    watch.allow(REFUSED)
    handset.get_by_text("环境卫生", exact=True).tap()
    handset.locator("#f-album").set_input_files(
        {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff no picture at all"}
    )
    handset.get_by_label("说一句").fill("坏照片")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text("节点没有收下")
    expect(handset.locator("#outbox-count")).to_have_text("1 件没有收下,请处理")
    expect(handset.get_by_role("button", name="再试")).to_be_visible()
    expect(handset.get_by_role("button", name="现在送出")).to_be_hidden()
    assert events(console, "坏照片") == []
    # What was written need not be typed again for a photo's sake.
    handset.get_by_role("button", name="不带照片再报").tap()
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    assert len(events(console, "坏照片")) == 1


def test_a_photo_that_the_node_can_not_read_is_said_while_it_can_be_taken_anew(
    console: ServedConsole, handset: Page
) -> None:
    """HEIC is what some handsets make: hours later, in the office, nobody can take it again."""
    handset.get_by_text("环境卫生", exact=True).tap()
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(500)
    handset.locator("#f-album").set_input_files(
        [
            FilePayload(name="IMG_9.HEIC", mimeType="image/heic", buffer=heic),
            FilePayload(name="IMG_8.jpg", mimeType="image/jpeg", buffer=photo(400)),
        ]
    )
    expect(handset.locator("#report-problem")).to_contain_text("HEIC")
    expect(handset.locator("#thumbs img")).to_have_count(1)
    handset.get_by_label("说一句").fill("一张好一张坏")
    press(handset)
    expect(handset.locator("#outbox-sent")).to_contain_text(WRITTEN)
    (row,) = events(console, "一张好一张坏")
    assert len(console.served.readers[VILLAGE].evidence_of(row.record)) == 1


def test_page_and_worker_both_send_and_it_is_written_once(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """The network is back: the browser wakes the worker, and the page hears of it, too."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    for number in range(3):
        fill(handset, f"两头都送{number}")
        press(handset)
        expect(handset.locator("#outbox")).to_contain_text(f"{number + 1} 件待送")
    handset.evaluate("() => { navigator.locks.request = (name, options, work) => work({}); }")
    handset.context.set_offline(False)
    wake_worker(handset)
    expect(handset.locator("#outbox")).to_be_hidden()
    for number in range(3):
        assert len(events(console, f"两头都送{number}")) == 1


def test_the_worker_sends_what_waits_while_no_page_is_open(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """The handset went into a pocket: the report is not kept until somebody opens the page."""
    watch.allow(NO_NETWORK)
    handset.context.set_offline(True)
    fill(handset, "揣进口袋")
    press(handset)
    expect(handset.locator("#outbox")).to_contain_text(KEPT)
    handset.wait_for_function("window.askedSync === 'huying-outbox'")
    other = handset.context.new_page()
    handset.close()
    handset.context.set_offline(False)
    other.goto(console.url("/account"))
    wake_worker(other)
    for _ in range(1500):
        if events(console, "揣进口袋"):
            break
        other.wait_for_timeout(10)
    assert len(events(console, "揣进口袋")) == 1
    other.goto(console.url("/report"))
    expect(other.locator("#report-submit")).to_be_enabled()
    expect(other.locator("#outbox")).to_be_hidden()
    assert len(events(console, "揣进口袋")) == 1


def test_the_form_works_without_script(console: ServedConsole, page_at: OpenPage) -> None:
    """An old browser, or a script that did not come: one form, one press, an answer."""
    page = page_at(360, 740, java_script_enabled=False)
    console.sign_in(page, "worker", login="wang")
    page.goto(console.url("/report"))
    page.get_by_text("环境卫生", exact=True).tap()
    page.locator("#f-camera").set_input_files(
        {"name": "IMG_2.jpg", "mimeType": "image/jpeg", "buffer": photo(600)}
    )
    page.get_by_label("说一句").fill(f"没有脚本 {PHONE}")
    press(page)
    expect(page.get_by_text(WRITTEN)).to_be_visible()
    expect(page.get_by_text("没有脚本 〔手机号〕")).to_be_visible()
    assert len(events(console, f"没有脚本 {PHONE}")) == 1


def test_who_signs_out_takes_their_name_off_the_handset(
    console: ServedConsole, handset: Page, watch: Watch
) -> None:
    """Without a person the shell takes no report: nobody would know whose it is."""
    watch.allow(NO_NETWORK, REFUSED)
    assert handset.evaluate("huyingOutbox.facts().then((found) => found.name)") == "王网格"
    with leaving(handset):
        handset.evaluate(
            """() => {
              const form = document.createElement("form");
              form.method = "post";
              form.action = "/sign-out";
              document.body.append(form);
              form.submit();
            }"""
        )
    console.sign_out(handset)
    console.stop()
    try:
        handset.goto(console.url("/report"))
        expect(handset.locator("#nobody-note")).to_be_visible()
        expect(handset.locator("#report-submit")).to_be_disabled()
    finally:
        console.start()


def test_the_worker_keeps_no_page_of_a_person(console: ServedConsole, handset: Page) -> None:
    """What a lent handset shows without a network is a form, and nobody's list."""
    for path in ("/report/mine", "/tasks", "/ledger"):
        handset.goto(console.url(path))
    kept = handset.evaluate(
        """async () => {
          const paths = [];
          for (const name of await caches.keys())
            for (const request of await (await caches.open(name)).keys())
              paths.push(new URL(request.url).pathname);
          return paths.sort();
        }"""
    )
    assert kept[0] == "/report/offline"
    assert all(path.startswith("/static/node/") for path in kept[1:])


@pytest.mark.parametrize(("width", "height"), [(360, 740), (1366, 900)])
def test_no_page_of_the_village_is_wider_than_its_screen(
    console: ServedConsole, page_at: OpenPage, width: int, height: int
) -> None:
    """A page that slides sideways under the thumb is a page for a desk."""
    page = page_at(width, height)
    console.sign_in(page, "worker", login="wang")
    for path in ("/report", "/report/mine", "/tasks", "/report/offline"):
        page.goto(console.url(path))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
