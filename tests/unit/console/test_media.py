"""Pictures at the console: handed in, shown to whom they may be, asked for, and removed."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from PIL import Image

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.common.late.requests import EraseRecord
from huying.common.records.evidence_parts import JPEG, PDF, Picture, parts_of
from huying.node.desk import topic
from huying.node.media import MediaError
from huying.node.media.jpeg_segments import is_just_a_picture
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.web import uploads as uploads_module
from huying.node.web.upkeep import tidy_pictures
from huying.wire.v1 import feed_pb2, provision_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, put, raise_call
from tests.unit.console.town_desk import Town

FIRST, SECOND = VILLAGE + "001", VILLAGE + "002"
EVENT = int(feed_pb2.RECORD_TYPE_EVENT)
CALL = int(feed_pb2.RECORD_TYPE_CALL)
DEPARTMENT = "县水务局"
SANDBOX = "sandbox; default-src 'none'"
PDF_BYTES = b"%PDF-1.4\ntrailer<<>>\n%%EOF\n"


def photo(seed: int = 1) -> bytes:
    """A photo with a place in it."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[29] = "KANARI"
    data = io.BytesIO()
    image = Image.effect_noise((1200, 900), 20 + seed).convert("RGB")
    image.save(data, "JPEG", exif=exif.tobytes(), comment=b"KANARI")
    return data.getvalue()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with pytest.MonkeyPatch.context() as patch:
        made = Town(tmp_path_factory.mktemp("media"), patch)
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


def report(town: Town, *files: tuple[str, bytes], grid: str = FIRST, **fields: str) -> bytes:
    """An event with these photos, by the form; its id."""
    page = town.village.get("/report").text
    (form,) = [one for one in forms_of(page) if one.action == "/report"]
    data = {**form.fields, "category": "道路", "grid": grid, **fields}
    named = [("photo", (name, content, "image/jpeg")) for name, content in files]
    answer = town.village.post("/report", data, files=named or None)
    assert answer.status_code == 303, text_of(answer.text)
    return bytes.fromhex(answer.headers["location"].split("/")[2].partition("?")[0])


def evidence(town: Town, code: str, of: bytes) -> list[EvidenceRow]:
    return town.served.readers[code].evidence_of(of)


def path(row: EvidenceRow, **query: str) -> str:
    more = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/media/{row.sha256.hex()}" + (f"?{more}" if more else "")


def files(console: ConsoleUnderTest) -> set[str]:
    folder = console.config.console_dir / "files"
    return {one.name for one in folder.rglob("*") if one.is_file()}


def take(console: ConsoleUnderTest, data: bytes, name: str = "a.jpg", **more: Any) -> Any:
    """Hand a file in without a form. Raises what is refused."""
    assert console.person is not None
    ask: Any = SimpleNamespace(person=console.person, now=console.clock.now, audit=_note)
    file: Any = SimpleNamespace(file=io.BytesIO(data), filename=name)

    async def work() -> Any:
        uploads = uploads_module.Uploads(console.store)
        return await uploads.take(ask, file, **more)

    return anyio.run(work)


audited: list[tuple[str, str, str]] = []


async def _note(action: str, object_: str = "", *, detail: str = "") -> None:
    audited.append((action, object_, detail))


# Shown to whom it may be.


def test_a_photo_of_the_village_is_seen_in_town_and_county(
    town: Town, village: ConsoleUnderTest
) -> None:
    """That is what it was taken for; and nobody learns the place from it."""
    event = report(town, ("IMG_1.jpg", photo(1)))
    for code, role in ((VILLAGE, "worker"), (TOWN, "clerk"), (COUNTY, "centre")):
        (row,) = evidence(town, code, event)
        console = town.consoles[code]
        console.sign_in(role)
        answer = console.get(path(row))
        assert answer.status_code == 200
        assert answer.content == row.data
        assert is_just_a_picture(answer.content)
        assert b"KANARI" not in answer.content
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-security-policy"] == SANDBOX
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "private, no-cache"
        again = console.get(path(row), headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        page = console.get(f"/events/{VILLAGE}/{event.hex()}").text
        assert f'<img src="{path(row)}"' in page


def test_a_photo_is_not_there_for_whom_its_event_is_not(
    town: Town, village: ConsoleUnderTest
) -> None:
    """Forced browsing: a digest from somewhere opens nothing, and the answer tells nothing."""
    event = report(town, ("a.jpg", photo(2)), grid=SECOND)
    (row,) = evidence(town, VILLAGE, event)
    village.sign_in("worker", login="wang", area=FIRST)
    answers = [village.get(path(row)), village.get("/media/" + "ab" * 32)]
    assert [answer.status_code for answer in answers] == [404, 404]
    here, nowhere = (text_of(answer.text) for answer in answers)
    assert here.replace(row.sha256.hex(), "ab" * 32) == nowhere
    village.sign_in("worker", login="li", area=SECOND)
    assert village.get(path(row)).status_code == 200
    village.sign_in("technician")
    assert village.get(path(row)).status_code == 403
    village.sign_out()
    assert village.get(path(row)).status_code == 303
    town.county.sign_in("department", login="roads", department="县交通运输局")
    assert town.county.get(path(row)).status_code == 404
    for wrong in ("../../console.db", "AB" * 32, "ab" * 31, "%2e%2e%2fconsole.db"):
        village.sign_in("worker", login="li", area=SECOND)
        assert village.get(f"/media/{wrong}").status_code == 404


def test_a_photo_of_a_call_follows_the_call(town: Town) -> None:
    """The department that has the call sees it; another department does not."""
    call = town.served.thread.run(_raised(town))
    town.append(COUNTY, *parts_of(Picture(call, CALL, "a.jpg", JPEG), photo_preview()))
    (row,) = evidence(town, COUNTY, call)
    town.county.sign_in("centre")
    assert town.county.get(path(row)).status_code == 200
    town.county.sign_in("department", login="none", department="县民政局")
    assert town.county.get(path(row)).status_code == 404


async def _raised(town: Town) -> bytes:
    return raise_call(town.served.network)


def photo_preview() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), (9, 9, 9)).save(data, "JPEG")
    return data.getvalue()


def test_what_another_node_calls_a_picture_is_never_a_page(town: Town) -> None:
    """An entry's media type is its writer's to choose, and so are its bytes."""
    for media_type, data in ((JPEG, b"<script>alert(1)</script>"), (PDF, b"<html>x</html>")):
        event = town.event()
        town.append(VILLAGE, *parts_of(Picture(event, EVENT, "a.jpg", media_type), data))
        (row,) = evidence(town, COUNTY, event)
        town.county.sign_in("centre")
        answer = town.county.get(path(row))
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["content-security-policy"] == SANDBOX


def test_a_document_is_downloaded(town: Town) -> None:
    """A PDF runs scripts in some readers; a page of ours is no frame for it."""
    event = town.event()
    town.append(VILLAGE, *parts_of(Picture(event, EVENT, "证明.pdf", PDF), PDF_BYTES))
    (row,) = evidence(town, COUNTY, event)
    town.county.sign_in("centre")
    answer = town.county.get(path(row))
    assert answer.headers["content-type"] == PDF
    name = f'attachment; filename="{row.sha256.hex()[:12]}.pdf"'
    assert answer.headers["content-disposition"] == name
    page = town.county.get(f"/events/{VILLAGE}/{event.hex()}").text
    assert "证明.pdf" in page
    assert "<embed" not in page
    assert f'<img src="{path(row)}"' not in page


def test_the_larger_picture_is_where_it_was_handed_in_and_looks_are_written_down(
    town: Town, village: ConsoleUnderTest
) -> None:
    """Away from there, the preview is what there is."""
    event = report(town, ("a.jpg", photo(3)))
    (row,) = evidence(town, VILLAGE, event)
    larger = village.get(path(row, of="picture"))
    assert larger.status_code == 200
    assert Image.open(io.BytesIO(larger.content)).size == (1200, 900)
    assert larger.headers["content-security-policy"] == SANDBOX
    assert is_just_a_picture(larger.content)
    looked = [one.object_ for one in village.site.audit.page(count=9, action="media-picture")]
    assert looked == [row.sha256.hex()]
    assert village.get(path(row, of="original")).status_code == 404
    town.county.sign_in("centre")
    assert town.county.get(path(row, of="picture")).content == row.data
    assert town.county.get(path(row, of="original")).status_code == 404


# Asked for.


def test_a_photo_that_stays_home_is_asked_for_and_seen_once(
    town: Town, village: ConsoleUnderTest
) -> None:
    """只留本村: the county reads that it is there, asks, and sees it on one page."""
    event = report(town, ("a.jpg", photo(4)), photos_stay="1")
    (mine,) = evidence(town, VILLAGE, event)
    assert mine.parts == 1, "or one picture would take several requests"
    (row,) = evidence(town, COUNTY, event)
    with town.served.client(COUNTY) as client:
        add = provision_pb2.AddDepartmentRequest(name=DEPARTMENT)
        client.ask_desk(topic("Departments"), "AddDepartment", add, 10.0)
    town.served.settle()
    county = town.county
    county.sign_in("centre", "department", login="both", department=DEPARTMENT, actor="县-水务-11")
    page = county.get(f"/events/{VILLAGE}/{event.hex()}").text
    assert "· 留在" in text_of(page)
    assert f'<img src="{path(row)}"' not in page
    assert county.get(path(row)).status_code == 404
    place = row.places[0]
    query = f"origin={quote(place.origin, safe='')}&index={place.index}&fields=data_home"
    form = county.get(f"/provisions/ask?{query}")
    sent = county.fill(form, "/provisions/ask", purpose="核对破损", hours="24")
    assert sent.status_code == 303, text_of(sent.text)
    record = sent.headers["location"].split("/")[2].partition("?")[0]
    town.served.settle()
    village.sign_in("village_clerk")
    answer = village.fill(village.get(f"/provisions/{record}/approve"), "/approve")
    assert answer.status_code == 303
    town.served.settle()
    county.sign_in(login="both")
    seen = county.fill(county.get(f"/provisions/{record}"), "/open").text
    source = seen.partition('src="data:image/jpeg;base64,')[2].partition('"')[0]
    assert mine.data is not None
    assert base64.b64decode(source) == mine.data


# Handed in.


def test_what_is_no_picture_is_refused_with_what_was_typed_kept(
    town: Town, village: ConsoleUnderTest
) -> None:
    """A wrong file must not cost the report."""
    before = files(village)
    page = village.get("/report").text
    (form,) = [one for one in forms_of(page) if one.action == "/report"]
    data = {**form.fields, "category": "道路", "grid": FIRST, "text": "桥头的路塌了"}
    answer = village.post(
        "/report", data, files=[("photo", ("a.jpg", b"<svg/>" * 99, "image/jpeg"))]
    )
    assert answer.status_code == 400
    assert "桥头的路塌了" in answer.text
    assert "只接受 JPEG" in answer.text
    assert files(village) == before


def test_a_file_leaves_nothing_in_the_way_in(town: Town, village: ConsoleUnderTest) -> None:
    """What was refused, and what was taken, is gone from there; the rest is its owner's alone."""
    for data in (photo(5), b"\xff\xd8\xff no picture", PDF_BYTES):
        with contextlib.suppress(MediaError):
            take(village, data)
    folder = village.config.console_dir / "files"
    assert list((folder / "incoming").iterdir()) == []
    modes = {one.stat().st_mode & 0o777 for one in folder.rglob("*") if one.is_file()}
    assert modes == {0o600}
    assert {folder.stat().st_mode & 0o777, (folder / "incoming").stat().st_mode & 0o777} == {0o700}


def test_a_disk_that_is_nearly_full_takes_no_file(
    village: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node needs the rest for its feed."""
    usage = shutil.disk_usage("/")
    nearly = usage._replace(free=limits.UPLOAD_FREE_BYTES_MIN)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: nearly)
    before = files(village)
    with pytest.raises(HuyingError) as caught:
        take(village, photo())
    assert caught.value.code is Code.DISK_FULL
    assert files(village) == before


def test_a_file_over_the_limit_is_not_copied(village: ConsoleUnderTest) -> None:
    """Its size is known before its first byte."""
    with pytest.raises(MediaError, match="20 MiB"):
        take(village, b"\xff\xd8\xff" + bytes(limits.PHOTO_BYTES_MAX))


def test_pictures_wait_for_their_turn_and_not_for_ever(
    village: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each decoder may take a good part of a small machine."""
    monkeypatch.setattr(limits, "PHOTO_WAIT_SECONDS_MAX", 0.05)
    ask: Any = SimpleNamespace(person=village.person, now=village.clock.now, audit=_note)
    file: Any = SimpleNamespace(file=io.BytesIO(photo()), filename="a")

    async def work() -> None:
        uploads = uploads_module.Uploads(village.store)
        async with uploads._turn(), uploads._turn():
            await uploads.take(ask, file)

    assert limits.PHOTO_DECODERS_MAX == 2
    with pytest.raises(HuyingError) as caught:
        anyio.run(work)
    assert caught.value.code is Code.BUSY


# Removed.


def tidy(console: ConsoleUnderTest) -> int:
    async def work() -> int:
        return await tidy_pictures(console.site)

    assert console._client.portal is not None
    return console._client.portal.call(work)  # on the loop that the console lives in


def age(console: ConsoleUnderTest, seconds: float) -> None:
    """Let every file be older than the console's clock by so much."""
    for one in (console.config.console_dir / "files").rglob("*"):
        if one.is_file():
            os.utime(one, (console.clock.now() - seconds, console.clock.now() - seconds))


def test_an_erased_picture_is_removed_beside_the_feed_too(
    town: Town, village: ConsoleUnderTest
) -> None:
    """Otherwise the larger one, with a face in it, would outlive the erasure."""
    event = report(town, ("a.jpg", photo(8)))
    other = report(town, ("a.jpg", photo(9)))
    (row,), (kept,) = evidence(town, VILLAGE, event), evidence(town, VILLAGE, other)
    assert tidy(village) == 0
    before = files(village)
    for place in row.places:
        erase = EraseRecord(place.record, ("data",))
        town.served.thread.run(town.served.runtimes[VILLAGE].operate(erase))
    assert village.get(path(row)).status_code == 404
    assert village.get(path(row, of="picture")).status_code == 404
    assert tidy(village) == 1
    assert len(before - files(village)) == 2
    assert village.get(path(kept, of="picture")).status_code == 200
    assert village.site.uploads.picture(row.sha256) is None


def test_a_picture_whose_form_was_never_sent_is_removed_after_two_days(
    town: Town, village: ConsoleUnderTest
) -> None:
    """Its report may wait in a handset; after that it is nobody's."""
    tidy(village)
    before = files(village)
    take(village, photo(10))
    folder = village.config.console_dir / "files" / "incoming"
    (folder / "left-by-a-killed-process").write_bytes(b"x")
    assert tidy(village) == 0
    assert len(files(village) - before) == 3
    village.clock.seconds += limits.UPLOAD_KEPT_SECONDS + 1
    age(village, limits.UPLOAD_KEPT_SECONDS)
    assert tidy(village) >= 1
    assert files(village) <= before
