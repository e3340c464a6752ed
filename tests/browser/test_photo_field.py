"""The field for photos, with its script and without: what is sent, and what becomes of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from huying.node.store.evidence_queries import EvidenceRow
from huying.wire.v1 import api_pb2, feed_pb2
from tests.browser.served_console import ServedConsole, aside
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, VILLAGE, event

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def console(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    """The village's console. `browser` comes first: it must end last."""
    del browser
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("photos")
        served = aside(lambda: ServedNetwork(folder, patch))
        made = ServedConsole(served, VILLAGE)
        yield made
        made.close()
        aside(served.close)


def new_event(console: ServedConsole) -> bytes:
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_EVENT,
        message=event(1).SerializeToString(),
    )
    request = api_pb2.AppendRequest(drafts=[draft])
    return bytes(console.served.client(VILLAGE).append(request).receipts[0].record)


def photo(name: str, seed: int) -> FilePayload:
    """A photo as a handset takes it: lying on its side, with a place in it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[29] = "KANARI"
    image = Image.effect_noise((1000, 750), 60).resize((2800, 2100)).convert("RGB")
    image.paste((seed, 20, 20), (0, 0, 1400, 2100))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=95, exif=exif.tobytes())
    return FilePayload(name=name, mimeType="image/jpeg", buffer=data.getvalue())


def settle(page: Page) -> None:
    """Say what was done, and wait until the node has it."""
    page.fill("textarea[name=done]", "灯已换好")
    page.click("button.primary[type=submit]")
    expect(page).to_have_url(re.compile(r"/tasks(\?|$)"))


def at_county(console: ServedConsole, of: bytes) -> list[EvidenceRow]:
    return console.served.readers[COUNTY].evidence_of(of)


def test_photos_are_made_smaller_before_they_are_sent(
    console: ServedConsole, page_at: OpenPage
) -> None:
    """A village's network is thin; and what is over the number is said, not dropped in silence."""
    page = page_at(360, 740)
    console.sign_in(page, "worker")
    of = new_event(console)
    page.goto(console.url(f"/tasks/events/{of.hex()}"))
    photos = [photo(f"p{n}.jpg", 40 * n) for n in range(4)]
    # What the node can't read is said while it can be taken anew, and does not go along.
    heic = b"\x00\x00\x00\x18ftypheic" + bytes(500)
    strange = FilePayload(name="IMG.HEIC", mimeType="image/heic", buffer=heic)
    page.set_input_files("input[data-photo]", [strange, photos[0]])
    expect(page.locator(".photo-said")).to_contain_text("HEIC")
    expect(page.locator(".photo-thumbs img")).to_have_count(1)
    page.set_input_files("input[data-photo]", photos)
    expect(page.locator(".photo-thumbs img")).to_have_count(3)
    expect(page.locator(".photo-said")).to_contain_text("最多 3 个")
    sent = page.evaluate(
        "[...document.querySelector('input[data-photo]').files].map((one) => [one.size, one.type])"
    )
    assert len(sent) == 3
    for (size, kind), whole in zip(sent, photos, strict=False):
        assert kind == "image/jpeg"
        assert size < len(whole["buffer"]) / 2
    settle(page)
    rows = at_county(console, of)
    assert len(rows) == 3
    for row in rows:
        assert row.data is not None
        width, height = Image.open(io.BytesIO(row.data)).size
        assert width < height, "it was taken upright"
        assert b"KANARI" not in row.data


def originals(console: ServedConsole) -> list[bytes]:
    """The files that the console keeps and that say where they were taken."""
    found = (one.read_bytes() for one in (console.config.console_dir / "files").glob("*.jpg"))
    return [data for data in found if b"KANARI" in data]


def test_a_photo_that_is_to_be_a_proof_goes_as_it_was_taken(
    console: ServedConsole, page_at: OpenPage
) -> None:
    """Made smaller in the browser, it would have lost what the box promises to keep."""
    page = page_at(360, 740)
    console.sign_in(page, "worker")
    of = new_event(console)
    page.goto(console.url(f"/tasks/events/{of.hex()}"))
    taken = photo("p.jpg", 130)
    page.set_input_files("input[data-photo]", [taken])
    expect(page.locator(".photo-thumbs img")).to_have_count(1)
    page.get_by_text("照片要作证据?").click()
    box = page.get_by_label("保留拍摄时间和地点(作证据用)")
    expect(box).not_to_be_checked()
    box.check()
    whole = f"{round(len(taken['buffer']) / 1024)} KB"
    expect(page.locator(".photo-said")).to_contain_text(whole)
    box.uncheck()
    expect(page.locator(".photo-said")).not_to_contain_text(whole)
    box.check()
    expect(page.locator(".photo-said")).to_contain_text(whole)
    settle(page)
    (row,) = at_county(console, of)
    assert row.data is not None
    assert b"KANARI" not in row.data
    assert originals(console) == [taken["buffer"]]
    page.goto(console.url(f"/events/{VILLAGE}/{of.hex()}"))
    expect(page.locator("a.original")).to_be_visible()


def test_without_script_the_photo_goes_as_it_is(console: ServedConsole, browser: Browser) -> None:
    """An old browser, or a script that did not come: the server does it all."""
    context = browser.new_context(java_script_enabled=False, locale="zh-CN")
    page = context.new_page()
    console.sign_in(page, "worker")
    of = new_event(console)
    page.goto(console.url(f"/tasks/events/{of.hex()}"))
    page.set_input_files("input[data-photo]", [photo("p.jpg", 90)])
    settle(page)
    (row,) = at_county(console, of)
    assert row.data is not None
    width, height = Image.open(io.BytesIO(row.data)).size
    assert width < height
    assert b"KANARI" not in row.data
    context.close()
