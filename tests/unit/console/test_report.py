"""Reporting from the village: the form, what is written of it, and what stays at home.

A grid worker has one thumb and a bad network. What they send is written once and whole, or not at
all; phone numbers and the camera's notes stay below; and nobody reports for another grid.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from huying.common.errors import Code, HuyingError
from huying.common.limits import EVIDENCE_BYTES_MAX
from huying.node.store.evidence_queries import EvidenceRow, EvidenceState
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

FIRST, SECOND = VILLAGE + "001", VILLAGE + "002"
PHONE = "13800005678"
GPS = b"KANARI-GPS"
HOSTILE = '"><script>alert(1)</script>'
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("report"), patch)
        append(
            network,
            *(
                (
                    feed_pb2.RECORD_TYPE_GRID,
                    records_pb2.Grid(
                        code=code, name=name, type=records_pb2.GRID_TYPE_GENERAL, grid_level=3
                    ),
                )
                for code, name in ((FIRST, "河东组"), (SECOND, "河西组"))
            ),
        )
        yield network
        network.close()


@pytest.fixture(scope="module")
def village(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(served, VILLAGE) as console:
        yield console


@pytest.fixture
def site(village: ConsoleUnderTest) -> ConsoleUnderTest:
    """The village's console, with the worker of the first grid signed in."""
    village.sign_in("worker", login="wang", area=FIRST)
    return village


def append(served: ServedNetwork, *messages: tuple[Any, Any]) -> None:
    drafts = [
        api_pb2.Draft(kind=feed_pb2.KIND_PUT, type=kind, message=message.SerializeToString())
        for kind, message in messages
    ]
    served.client(VILLAGE).append(api_pb2.AppendRequest(drafts=drafts))


def photo(seed: int = 1, side: int = 900) -> bytes:
    """A photo with a camera's notes: a place, a maker, and a thumbnail's worth of noise."""
    image = Image.effect_noise((side, side // 2), 40 + seed).convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = "KANARI-CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[29] = GPS.decode()
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif, comment=GPS)
    assert GPS in output.getvalue()
    return output.getvalue()


def fields(site: ConsoleUnderTest, **more: str) -> dict[str, str]:
    """A form as the page gives it, filled in."""
    (form,) = [one for one in forms_of(site.get("/report").text) if one.action == "/report"]
    return {**form.fields, "category": "环境卫生", **more}


def send(site: ConsoleUnderTest, data: dict[str, str], *photos: bytes, **options: Any) -> Any:
    files = [("photo", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(photos)]
    return site.post("/report", data, files=files or None, **options)


def record_of(answer: Any) -> bytes:
    assert answer.status_code == 303, text_of(answer.text)
    return bytes.fromhex(re.search(r"/report/([0-9a-f]{32})", answer.headers["location"])[1])  # type: ignore[index]


def size(served: ServedNetwork) -> int:
    """How many entries the village's feed has."""
    return sum(feed.size for feed in served.readers[VILLAGE].feeds() if VILLAGE in feed.origin)


def event_at(served: ServedNetwork, code: str, record: bytes) -> records_pb2.Event:
    row = served.readers[code].get_event(VILLAGE, record)
    assert row is not None
    return row.event


def photos_at(served: ServedNetwork, code: str, record: bytes) -> list[EvidenceRow]:
    return served.readers[code].evidence_of(record)


def test_three_things_make_an_event_with_its_photos_in_one_append(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Category, photo, button: the grid is the worker's own, and all is written or nothing."""
    before = size(served)
    record = record_of(send(site, fields(site), photo(1), photo(2)))
    event = event_at(served, VILLAGE, record)
    assert (event.category, event.grid) == ("环境卫生", FIRST)
    assert event.status == records_pb2.EVENT_STATUS_REPORTED
    pictures = photos_at(served, VILLAGE, record)
    assert [one.state for one in pictures] == [EvidenceState.WHOLE] * 2
    assert size(served) == before + 1 + sum(one.parts for one in pictures)


def test_numbers_in_the_text_stay_in_the_village_and_the_person_sees_what_others_see(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The masked text is shown before it is sent and after, and is what town and county hold."""
    data = fields(
        site,
        text=f"桥头垃圾,李婶{PHONE}",
        address=f"桥头,问{PHONE}",
        reporter_name="李婶",
        reporter_phone=PHONE,
        coordinates="35.712345,116.489012 ±20 m",
    )
    preview = site.post("/report/preview", {"text": data["text"]})
    assert preview.json() == {"public": "桥头垃圾,李婶〔手机号〕"}
    answer = send(site, data)
    record = record_of(answer)
    done = text_of(site.get(answer.headers["location"]).text)
    assert "桥头垃圾,李婶〔手机号〕" in done
    served.settle()
    full = event_at(served, VILLAGE, record)
    assert PHONE in full.description_full
    assert "116.489012" in full.description_full
    for code in (TOWN, COUNTY):
        above = event_at(served, code, record)
        assert above.description_public == "桥头垃圾,李婶〔手机号〕"
        text = str(above)
        assert PHONE not in text
        assert "116.489" not in text
        assert "李婶" not in above.reporter_name
    assert event_at(served, TOWN, record).address == "桥头,问〔手机号〕"


def test_the_camera_s_notes_are_gone_from_what_is_kept_and_what_travels(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A photo's GPS tells where somebody lives."""
    record = record_of(send(site, fields(site), photo(3)))
    served.settle()
    for code in (VILLAGE, TOWN, COUNTY):
        (picture,) = photos_at(served, code, record)
        assert picture.data is not None
        assert 0 < len(picture.data) <= EVIDENCE_BYTES_MAX
        assert GPS not in picture.data
        assert b"KANARI-CAMERA" not in picture.data
    folder = site.config.console_dir / "files"
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert kept
    assert not any(GPS in data for data in kept)


def test_a_photo_that_stays_is_known_above_and_not_seen(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """只留本村: town and county know that there is one, and would have to ask."""
    answer = send(site, fields(site, photos_stay="1"), photo(4))
    record = record_of(answer)
    assert "只留本村" in text_of(site.get(answer.headers["location"]).text)
    served.settle()
    (here,) = photos_at(served, VILLAGE, record)
    (above,) = photos_at(served, TOWN, record)
    assert here.state is EvidenceState.WHOLE
    assert above.state is EvidenceState.WITHHELD
    assert above.data is None


@pytest.mark.parametrize(
    "file",
    [b"<script>alert(1)</script>", b"\xff\xd8\xff\xe0 not a picture", photo(5)[:4000]],
    ids=["script", "jpeg by name", "cut short"],
)
def test_a_file_that_is_no_picture_is_refused_and_nothing_is_written(
    served: ServedNetwork, site: ConsoleUnderTest, file: bytes
) -> None:
    """All or nothing: an event without the photo that was sent with it is not what was reported."""
    before = size(served)
    answer = send(site, fields(site, text="还在这里"), photo(6), file)
    assert answer.status_code == 400
    assert "还在这里" in answer.text
    assert "alert(1)" not in answer.text
    assert size(served) == before


def test_a_fourth_photo_is_refused(served: ServedNetwork, site: ConsoleUnderTest) -> None:
    """A hand-made form meets the limit that the page's script keeps."""
    before = size(served)
    assert send(site, fields(site), *[photo(7, 64)] * 4).status_code == 400
    assert size(served) == before


def test_one_form_is_written_once_however_often_it_is_sent(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Double taps, the back button, and a handset that never saw the answer."""
    data = fields(site, text="一次")
    first = send(site, data, photo(8))
    after = size(served)
    again = send(site, data, photo(8))
    assert record_of(first) == record_of(again)
    changed = send(site, {**data, "text": "换了话"}, photo(9), headers=JSON)
    told = changed.json()
    assert (told["state"], told["repeated"], told["public"]) == ("written", True, "一次")
    assert size(served) == after
    assert "没有再写一次" in text_of(site.get(again.headers["location"]).text)


def test_the_handset_is_told_what_was_written_as_json(site: ConsoleUnderTest) -> None:
    """The outbox removes a report on this answer alone, so it says so in as many words."""
    told = send(site, fields(site, text=PHONE), headers=JSON).json()
    assert (told["state"], told["repeated"], told["public"]) == ("written", False, "〔手机号〕")
    assert site.get(told["url"]).status_code == 200


def test_what_waited_in_the_handset_was_reported_when_the_button_was_pressed(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The wait is counted by the handset's own clock, which may be wrong by years."""
    answer = send(site, fields(site, waited_seconds="7200"))
    event = event_at(served, VILLAGE, record_of(answer))
    now = served.network.clock.now()
    assert 7100 < now - event.reported_micros / 1e6 < 7300
    odd = send(site, fields(site, waited_seconds="-5"))
    assert event_at(served, VILLAGE, record_of(odd)).reported_micros > (now - 60) * 1e6


def test_a_worker_of_one_grid_reports_from_no_other(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The page offers one grid; a hand-made form does not get another one by naming it."""
    page = site.get("/report").text
    assert "河东组" in page
    assert "河西组" not in page
    assert SECOND not in page
    before = size(served)
    for grid in (SECOND, "370830108999001", "1"):
        assert send(site, fields(site, grid=grid), headers=JSON).status_code == 404
    assert size(served) == before


def test_another_grid_s_report_is_not_shown(site: ConsoleUnderTest) -> None:
    """What was reported stays with those who may see it, by its address too."""
    record = record_of(send(site, fields(site, text="河东的")))
    site.sign_in("worker", login="li", area=SECOND)
    assert site.get(f"/report/{record.hex()}").status_code == 404
    assert site.get(f"/report/{secrets.token_hex(16)}").status_code == 404
    assert "河东的" not in site.get("/report/mine").text
    assert site.get("/report/zz").status_code == 404


def test_one_who_sees_the_whole_village_chooses_the_grid(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Without a choice the report is not taken: a wrong grid would be worse."""
    site.sign_in("village_clerk")
    assert send(site, fields(site, grid=""), headers=JSON).status_code == 400
    for grid in (VILLAGE + "009", VILLAGE, "370830108999001"):  # the village has none of these
        assert send(site, fields(site, grid=grid), headers=JSON).status_code == 404
    record = record_of(send(site, fields(site, grid=SECOND)))
    assert event_at(served, VILLAGE, record).grid == SECOND


def test_a_report_is_sent_under_the_name_of_who_filled_it_in_alone(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A lent handset: the next person's session must not carry the first one's report."""
    data = fields(site)
    site.sign_in("worker", login="sun", area=FIRST)
    before = size(served)
    answer = send(site, data, headers=JSON)
    assert answer.status_code == 409
    assert size(served) == before


def test_the_same_request_id_of_two_people_is_two_reports(site: ConsoleUnderTest) -> None:
    """An id that was seen over somebody's shoulder says nothing of their report."""
    data = fields(site, text="一")
    one = record_of(send(site, data))
    other = site.sign_in("worker", login="sun", area=FIRST)
    two = send(site, {**data, "person": other.id, "text": "二"}, headers=JSON).json()
    assert two["repeated"] is False
    assert two["event"] != one.hex()


def test_with_the_node_away_nothing_is_said_to_be_written(
    served: ServedNetwork, site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handset keeps on 503; a page without script shows what was typed again."""
    runtime = served.runtimes[VILLAGE]
    monkeypatch.setattr(runtime, "append_error", HuyingError(Code.UNREACHABLE, "away"))
    data = fields(site, text="还没送出", address="桥边")
    answer = send(site, data, photo(10, 64), headers=JSON)
    assert answer.status_code == 503
    assert "written" not in answer.text
    page = send(site, data)
    assert page.status_code == 400
    assert "还没送出" in page.text
    assert "桥边" in page.text
    monkeypatch.undo()
    assert send(site, data, photo(10, 64), headers=JSON).json()["repeated"] is False


def test_an_ended_session_writes_nothing_and_keeps_the_words(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The handset keeps the report on 401; without script the words are kept as a draft."""
    data = {**fields(site, text="半截话"), "draft_key": "report", "draft_page": "/report"}
    before = size(served)
    served.network.clock.seconds += site.config.console.idle_minutes * 60 + 1
    assert send(site, data, headers=JSON).status_code == 401
    assert size(served) == before
    site.sign_in("worker", login="wang")
    assert "半截话" in site.get("/report").text
    send(site, data)
    assert "半截话" not in site.get("/report").text


def test_numbers_and_lines_have_no_place_in_a_category(site: ConsoleUnderTest) -> None:
    """It travels to the county as it is."""
    for category in (PHONE, "一\n二", ""):
        data = fields(site, category="other", category_other=category)
        assert send(site, data, headers=JSON).status_code == 400
    data = fields(site, category="other", category_other="井盖丢了")
    assert send(site, data, headers=JSON).status_code == 200


def test_hostile_text_is_text(served: ServedNetwork, site: ConsoleUnderTest) -> None:
    """Every field of the form, shown again by every page of ours."""
    data = fields(
        site,
        category="other",
        category_other=HOSTILE,
        text=HOSTILE,
        address=HOSTILE,
        reporter_name=HOSTILE,
    )
    answer = send(site, data)
    for page in (answer.headers["location"], "/report/mine", "/report", "/tasks"):
        assert "<script>alert" not in site.get(page).text
    refused = send(site, {**data, "request_id": "no"})
    assert refused.status_code == 400
    assert "<script>alert" not in refused.text


def test_the_tiles_are_what_the_village_reports_most(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The thumb finds the usual matter first; the seven classes fill up."""
    for _ in range(30):
        append(
            served,
            (
                feed_pb2.RECORD_TYPE_EVENT,
                records_pb2.Event(
                    category="秸秆焚烧",
                    grid=FIRST,
                    status=records_pb2.EVENT_STATUS_REPORTED,
                    reported_micros=1,
                ),
            ),
        )
    values = re.findall(r'class="tile-radio"[^>]*value="([^"]+)"', site.get("/report").text)
    assert values[0] == "秸秆焚烧"
    assert values[-1] == "other"
    assert len(values) <= 10
    assert {"环境卫生", "安全隐患"} <= set(values)


def test_a_person_finds_their_own_reports_and_what_became_of_them(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """In words, newest first, and nobody else's."""
    site.sign_in("worker", login="zhao", area=FIRST)
    assert "你还没有报过" in text_of(site.get("/report/mine").text)
    record = record_of(send(site, fields(site, text="我报的一件")))
    assert "已上报,待处理" in text_of(site.get("/report/mine").text)
    page = site.get(f"/tasks/events/{record.hex()}")
    site.fill(page, f"/tasks/events/{record.hex()}", done="清走了")
    assert "村里已办结" in text_of(site.get("/report/mine").text)
    site.sign_in("worker", login="wang")
    assert "我报的一件" not in site.get("/report/mine").text


def test_who_may_not_report_is_told_so(site: ConsoleUnderTest) -> None:
    """A technician has no business in the village's reports."""
    site.sign_in("technician")
    for path in ("/report", "/report/mine", "/tasks"):
        assert site.get(path).status_code == 403
    assert site.post("/report", {}).status_code == 403


def test_what_is_public_holds_nothing_of_anybody(site: ConsoleUnderTest) -> None:
    """The worker, the shell and the manifest are kept by a browser that may change hands."""
    person = site.person
    assert person is not None
    shell = site.get("/report/offline")
    for path in ("/sw.js", "/report/offline", "/manifest.webmanifest"):
        text = site.get(path).text
        for private in (person.id, person.name, person.login, FIRST, "河东组"):
            assert private not in text, path
    site.sign_out()
    same = site.get("/report/offline").text
    assert same == shell.text
    assert site.get("/report").status_code == 303


def test_the_worker_keeps_the_shell_alone_and_has_the_program_s_version(
    site: ConsoleUnderTest,
) -> None:
    """A page of a person in the cache would be shown to whoever holds the handset next."""
    worker = site.get("/sw.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    kept = re.search(r"const KEPT = (\[.*?\]);", worker.text)
    assert kept is not None
    paths = re.findall(r'"(/[^"]+)"', kept[1])
    assert paths[0] == "/report/offline"
    assert all(path.startswith("/static/node/") for path in paths[1:])
    site.sign_out()
    assert all(site.get(path).status_code == 200 for path in paths)
