"""A handset on the report page: what a worker taps, and what a browser tells its own worker."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from huying.node.store.event_queries import EventRow
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.browser.served_console import ServedConsole, aside
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE

__all__ = [
    "FIRST",
    "KEPT",
    "NOTE_SYNC",
    "NO_NETWORK",
    "PHONE",
    "REFUSED",
    "WRITTEN",
    "events",
    "fill",
    "open_report",
    "photo",
    "press",
    "send_now",
    "village_console",
    "wake_worker",
]

FIRST = VILLAGE + "001"
KEPT = "已存在本机,待节点恢复后自动送出 · 1 件待送"
WRITTEN = "村节点已收到"
PHONE = "13800005678"
# What Chromium itself says of a request that found nobody, or was refused on purpose.
NO_NETWORK = "net::ERR_"
REFUSED = "Failed to load resource: the server responded with a status of"
# A browser that is told to be offline knows of a network all the same, and wakes the worker at
# once, which may reach it. So what a page asks is noted, and `wake_worker` does the waking.
NOTE_SYNC = """if (window.ServiceWorkerRegistration)
  Object.defineProperty(ServiceWorkerRegistration.prototype, "sync", {
    value: { register: (tag) => { window.askedSync = tag; return Promise.resolve(); } },
  });"""


@contextmanager
def village_console(folder: Path) -> Iterator[ServedConsole]:
    """The console of a village that has one grid, beside its town and county."""
    with pytest.MonkeyPatch.context() as patch:
        served = aside(lambda: ServedNetwork(folder, patch))
        grid = records_pb2.Grid(
            code=FIRST, name="河东组", type=records_pb2.GRID_TYPE_GENERAL, grid_level=3
        )
        draft = api_pb2.Draft(
            kind=feed_pb2.KIND_PUT,
            type=feed_pb2.RECORD_TYPE_GRID,
            message=grid.SerializeToString(),
        )
        served.client(VILLAGE).append(api_pb2.AppendRequest(drafts=[draft]))
        made = ServedConsole(served, VILLAGE)
        yield made
        made.close()
        aside(served.close)


def open_report(console: ServedConsole, page: Page) -> None:
    """The report page, with its worker installed and in charge of it."""
    page.goto(console.url("/report"))
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    # What the shell needs is written a moment after the page came.
    page.wait_for_function("huyingOutbox.facts().then(Boolean)")


def photo(side: int = 3000) -> bytes:
    """As a handset's camera takes it: larger than what is kept, and it says where."""
    image = Image.effect_noise((side, side * 3 // 4), 30).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "KANARI-CAMERA"
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif)
    return output.getvalue()


def fill(page: Page, text: str, *, with_photo: bool = False) -> None:
    page.locator("label.matter", has_text="环境卫生").tap()
    if with_photo:
        page.locator("#f-camera").set_input_files(
            {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photo()}
        )
        expect(page.locator("#thumbs img")).to_have_count(1)
    page.get_by_label("说一句").fill(text)


def press(page: Page) -> None:
    page.get_by_role("button", name="上报", exact=True).tap()


def send_now(page: Page) -> None:
    """Press the outbox's button, if it is not sent by itself just now, and the button gone."""
    expect(page.locator("#outbox-send")).to_have_text("现在送出")
    page.locator("#outbox-send").dispatch_event("click")


def events(console: ServedConsole, text: str) -> list[EventRow]:
    """The village's events with that text."""
    rows = console.served.readers[VILLAGE].list_events(limit=100).rows
    return [row for row in rows if row.event.description_full == text]


def wake_worker(page: Page) -> None:
    """Tell the service worker what a browser tells it when the network is back."""
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(one["registrationId"] for one in told["registrations"]),
    )
    session.send("ServiceWorker.enable")
    for _ in range(1500):
        if found:
            break
        page.wait_for_timeout(10)
    what = {"registrationId": found[0], "tag": "huying-outbox", "lastChance": False}
    session.send("ServiceWorker.dispatchSyncEvent", {"origin": _origin(page), **what})
    session.detach()


def _origin(page: Page) -> str:
    return str(page.evaluate("location.origin"))
