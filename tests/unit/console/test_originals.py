"""Files as they came, kept on purpose: who sees them, how they go, and that they never travel."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from huying.common import limits
from huying.common.late.requests import EraseRecord
from huying.node.media.jpeg_segments import is_just_a_picture
from huying.node.web.upkeep import tidy_pictures
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, put
from tests.unit.console.town_desk import Town

FIRST, SECOND = VILLAGE + "001", VILLAGE + "002"
PLACE = b"KANARI"  # what the camera of these tests writes where a place would stand


def photo(seed: int) -> bytes:
    """A photo that says where it was taken; the same bytes for the same seed."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[29] = PLACE.decode()
    data = io.BytesIO()
    image = Image.new("RGB", (320, 240), (seed * 37 % 256, seed * 91 % 256, seed * 53 % 256))
    image.save(data, "JPEG", exif=exif.tobytes())
    return data.getvalue()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with pytest.MonkeyPatch.context() as patch:
        made = Town(tmp_path_factory.mktemp("originals"), patch)
        grids = (
            records_pb2.Grid(code=code, name=code[-3:], type=records_pb2.GRID_TYPE_GENERAL)
            for code in (FIRST, SECOND)
        )
        made.append(VILLAGE, *(put(feed_pb2.RECORD_TYPE_GRID, grid) for grid in grids))
        yield made
        made.close()


@pytest.fixture
def village(town: Town) -> ConsoleUnderTest:
    town.village.sign_in("worker")
    return town.village


def report(town: Town, data: bytes, *, keep: bool = False, **fields: str) -> bytes:
    """An event with this photo, by the form of whoever is signed in; its id."""
    page = town.village.get("/report").text
    (form,) = [one for one in forms_of(page) if one.action == "/report"]
    sent = {**form.fields, "category": "道路", "grid": FIRST, **fields}
    if keep:
        sent["keep_metadata"] = "1"
    answer = town.village.post("/report", sent, files=[("photo", ("a.jpg", data, "image/jpeg"))])
    assert answer.status_code == 303
    return bytes.fromhex(answer.headers["location"].split("/")[2].partition("?")[0])


def preview_of(town: Town, event: bytes, code: str = VILLAGE) -> Any:
    (row,) = town.served.readers[code].evidence_of(event)
    return row


def original(console: ConsoleUnderTest, town: Town, event: bytes) -> Any:
    return console.get(f"/media/{preview_of(town, event).sha256.hex()}?of=original")


def tidy(console: ConsoleUnderTest) -> int:
    async def work() -> int:
        return await tidy_pictures(console.site)

    assert console._client.portal is not None
    return console._client.portal.call(work)  # on the loop that the console lives in


def holds(console: ConsoleUnderTest, data: bytes) -> bool:
    """Whether the console keeps a file of these bytes."""
    folder = console.config.console_dir / "files"
    return any(one.is_file() and one.read_bytes() == data for one in folder.rglob("*"))


def erase(town: Town, event: bytes) -> None:
    for place in preview_of(town, event).places:
        erased = EraseRecord(place.record, ("data",))
        town.served.thread.run(town.served.runtimes[VILLAGE].operate(erased))


# Kept, and by whom it is seen.


def test_nothing_is_kept_where_nobody_ticked_the_box(town: Town, village: ConsoleUnderTest) -> None:
    """The place where a photo was taken is somebody's home more often than a proof."""
    data = photo(1)
    page = village.get("/report").text
    box = re.search(r'<input type="checkbox" name="keep_metadata"[^>]*>', page)
    assert box is not None
    assert "checked" not in box[0]
    event = report(town, data)
    assert not holds(village, data)
    assert original(village, town, event).status_code == 404
    assert "of=original" not in village.get(f"/report/{event.hex()}").text


def test_an_original_is_kept_at_home_marked_and_downloaded_with_a_trace(
    town: Town, village: ConsoleUnderTest
) -> None:
    """What is to prove the place must be found again; and who took it away is on record."""
    data = photo(2)
    event = report(town, data, keep=True)
    row = preview_of(town, event)
    kept = village.site.audit.page(count=3, action="upload")[0]
    assert (kept.object_, kept.detail) == (row.sha256.hex(), "metadata kept")
    for page in (f"/report/{event.hex()}", f"/events/{VILLAGE}/{event.hex()}"):
        assert f"/media/{row.sha256.hex()}?of=original" in village.get(page).text
    answer = original(village, town, event)
    assert answer.content == data
    assert PLACE in answer.content
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    (looked,) = village.site.audit.page(count=1, action="media-original")
    assert (looked.object_, looked.detail) == (row.sha256.hex(), event.hex())


def test_the_place_never_travels(town: Town, village: ConsoleUnderTest) -> None:
    """The box keeps the file; what town and county get is the same preview as ever."""
    event = report(town, photo(3), keep=True)
    for code, role in ((TOWN, "clerk"), (COUNTY, "centre")):
        row = preview_of(town, event, code)
        assert row.data is not None
        assert is_just_a_picture(row.data)
        assert PLACE not in row.data
        console = town.consoles[code]
        console.sign_in(role)
        assert console.get(f"/media/{row.sha256.hex()}").status_code == 200
        assert original(console, town, event).status_code == 404
        assert "of=original" not in console.get(f"/events/{VILLAGE}/{event.hex()}").text
    assert original(village, town, event).status_code == 200


def test_the_same_photo_of_something_else_leads_nobody_to_the_original(
    town: Town, village: ConsoleUnderTest
) -> None:
    """Whoever hands in the same bytes may learn neither that somebody did, nor the place."""
    data = photo(4)
    kept = report(town, data, keep=True, grid=FIRST)
    village.sign_in("worker", login="of-the-second-grid", area=SECOND)
    other = report(town, data, grid=SECOND)
    assert preview_of(town, other).sha256 == preview_of(town, kept).sha256
    assert "of=original" not in village.get(f"/events/{VILLAGE}/{other.hex()}").text
    assert original(village, town, other).status_code == 404
    village.sign_in("worker", login="of-the-first-grid", area=FIRST)
    assert original(village, town, kept).content == data


def test_an_original_is_erased_with_its_own_evidence(town: Town, village: ConsoleUnderTest) -> None:
    """Though the same photo is still evidence of something else."""
    data = photo(5)
    first, second = report(town, data, keep=True), report(town, data)
    assert tidy(village) == 0
    assert holds(village, data)
    erase(town, first)
    assert original(village, town, first).status_code == 404  # at once, and not just by the hour
    tidy(village)
    assert not holds(village, data)
    link = f"/media/{preview_of(town, second).sha256.hex()}?of=picture"
    assert village.get(link).status_code == 200


def test_settling_keeps_an_original_too(town: Town, village: ConsoleUnderTest) -> None:
    """That a thing was put right, and where, may be what is asked later."""
    before, after = photo(6), photo(7)
    event = report(town, before)
    page = village.get(f"/tasks/events/{event.hex()}")
    (form,) = [one for one in forms_of(page.text) if "version" in one.fields]
    assert 'name="keep_metadata"' in page.text
    answer = village.post(
        form.action,
        {**form.fields, "done": "已修好", "keep_metadata": "1"},
        files=[("photo", ("b.jpg", after, "image/jpeg"))],
    )
    assert answer.status_code == 303
    assert holds(village, after)
    assert not holds(village, before)


# With a call.


def test_an_original_goes_with_a_new_call_through_its_draft(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call has no id when its form comes; a principal may take a week."""
    town.policy(approval=True)
    data = photo(8)
    town.town.sign_in("clerk")
    page = town.town.get("/calls/new?fresh=1")
    (form,) = [one for one in forms_of(page.text) if one.action == "/calls/new"]
    words = {"title": "塘坝渗水", "category": "水利", "description": "村东的塘坝在渗水。"}
    words |= {"village": VILLAGE, "urgency": "urgent", "keep_metadata": "1"}
    sent = {"file": ("a.jpg", data, "image/jpeg")}
    answer = town.town.post("/calls/new", {**form.fields, **words}, files=sent)
    assert answer.status_code == 303, answer.text
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    with monkeypatch.context() as patch:
        patch.setattr(limits, "UPLOAD_KEPT_SECONDS", -1.0)  # two days are over for all
        tidy(town.town)
    assert holds(town.town, data)
    town.town.sign_in("principal")
    told = text_of(town.town.get(f"/call-drafts/{draft}").text)
    assert "镇里留有原件,含拍摄时间、地点" in told, "whoever approves it knows what was kept"
    decision = {"request_id": draft[::-1], "decision": "approve"}
    assert town.town.post(f"/call-drafts/{draft}/decide", decision).status_code == 303
    row = preview_of(town, bytes.fromhex(draft), TOWN)
    link = f"/media/{row.sha256.hex()}?of=original"
    assert link in town.town.get(f"/calls/{draft}").text.replace("&amp;", "&")
    assert town.town.get(link).content == data
