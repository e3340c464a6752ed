"""The page of one call: its whole life through the forms, who may see it and who may act on it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from PIL import Image

from huying.common.feed.tlog_proof import parse_proof, unpack_extra
from huying.common.policies import shipped_policy
from huying.common.records.evidence_parts import Picture, parts_of
from huying.hub.desk import DUTY
from huying.wire.v1 import duty_pb2, feed_pb2, policy_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event, put
from tests.unit.console.call_console import HELPER, LEAD, SECOND, CallConsoles, call_consoles

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallConsoles]:
    with call_consoles(tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture
def call(consoles: CallConsoles) -> str:
    return consoles.raise_call()


def dispatched(consoles: CallConsoles, call: str, **fields: str) -> str:
    fields = {"department": LEAD, f"help.{HELPER}": "1", **fields}
    consoles.step(consoles.as_centre(), call, "dispatch", **fields)
    return call


def handling(consoles: CallConsoles, call: str) -> str:
    dispatched(consoles, call)
    consoles.step(consoles.as_department(), call, "accept")
    return call


# --- the life --------------------------------------------------------------------------------


def test_a_call_goes_through_its_life_by_the_forms_of_both_sides(
    consoles: CallConsoles, call: str
) -> None:
    """Whoever can't take a step here takes it on the phone, and nobody else learns of it."""
    c = consoles
    moves: list[tuple[Any, str, dict[str, str], str]] = [
        (c.as_centre, "admit", {"note": "情况属实"}, "admitted"),
        (c.as_centre, "dispatch", {"department": SECOND, f"help.{HELPER}": "1"}, "dispatched"),
        (lambda: c.as_department(SECOND), "objection", {"reason": "不属本局"}, "objected"),
        (
            c.as_centre,
            "ruling",
            {"upheld": "no", "department": LEAD, "reason": "三定"},
            "dispatched",
        ),
        (c.as_department, "accept", {}, "handling"),
        (c.as_department, "note", {"text": "已派员查看"}, "handling"),
        (c.as_department, "supplement_request", {"text": "请补充位置"}, "handling"),
        (c.as_clerk, "supplement", {"text": "小桥东侧"}, "handling"),
        (c.as_department, "supplement_request", {"text": "还有多深"}, "handling"),
        (c.as_department, "resume", {}, "handling"),
        (lambda: c.as_department(HELPER), "reply", {"text": "雨水口已清"}, "handling"),
        (c.as_department, "extension_request", {"reason": "等配件"}, "handling"),
        (c.as_centre, "extension_decision", {"granted": "yes", "reason": ""}, "handling"),
        (c.as_clerk, "urge", {"reason": "又下雨了"}, "handling"),
        (c.as_centre, "supervise", {"supervision_level": "2", "reason": "挂牌"}, "handling"),
        (c.as_centre, "card", {"colour": "1", "department": LEAD}, "handling"),
        (c.as_department, "answer", {"text": "已抽排"}, "answered"),
        (c.as_clerk, "confirm", {"resolved": "no", "comment": "又积了"}, "unresolved"),
        (c.as_department, "answer", {"text": "已疏通"}, "answered"),
        (c.as_clerk, "confirm", {"resolved": "yes", "satisfaction": "4"}, "confirmed"),
        (c.as_clerk, "rate", {"manner": "5", "response": "3"}, "confirmed"),
        (c.as_centre, "closure", {"text": "办结"}, "closed"),
        (c.as_clerk, "reopen", {"reason": "夜里又堵"}, "unresolved"),
    ]
    for who, step, fields, expected in moves:
        consoles.step(who(), call, step, **fields)
        assert consoles.stage(consoles.as_centre(), call) == expected, step
    page = consoles.page(consoles.as_clerk(), call)
    text = text_of(page.text)
    for said in ("已抽排", "又积了", "挂牌", "雨水口已清", "异议", "重办", "4/5", "5/5"):
        assert said in text, said
    assert "已核验" in text
    assert "在途" in text


def test_a_proposal_is_shown_as_on_its_way_until_the_county_has_it(
    consoles: CallConsoles, call: str
) -> None:
    """A clerk who takes the town's word for the county's waits for nobody."""
    handling(consoles, call)
    network = consoles.served.network
    network.away.add(COUNTY)
    try:
        page = consoles.step(consoles.as_clerk(), call, "urge", reason="请抓紧")
        assert "应答方收到才算数" in page.text
        assert "在途:已发出,尚未收到" in page.text
    finally:
        network.away.clear()
        consoles.served.thread.run(_run(network))
    assert "在途:已发出,尚未收到" not in consoles.page(consoles.as_clerk(), call).text


async def _run(network: Any) -> None:
    network.run()


def test_an_answer_that_is_reviewed_shows_the_centre_its_text_to_send(
    consoles: CallConsoles,
) -> None:
    """The review sends what the centre has read, not what it has to type again."""
    with _reviewing(consoles):
        call = handling(consoles, consoles.raise_call("须审核的"))
    consoles.step(consoles.as_department(), call, "answer", text="已经抽排完毕")
    assert consoles.stage(consoles.as_centre(), call) == "review"
    assert "已经抽排完毕" not in consoles.page(consoles.as_clerk(), call).text
    page = consoles.page(consoles.as_centre(), call)
    review = next(form for form in forms_of(page.text) if form.action.endswith("/steps/review"))
    assert review.fields["text"].strip() == "已经抽排完毕"
    consoles.step(consoles.as_centre(), call, "review", sent="yes", text="已抽排,请回访")
    assert "已抽排,请回访" in consoles.page(consoles.as_clerk(), call).text


_VERSIONS = itertools.count(1)


@contextmanager
def _reviewing(consoles: CallConsoles) -> Iterator[None]:
    """While it lasts, calls that are received have their answers reviewed."""
    for required in (True, False):
        policy = shipped_policy()
        policy.review_required = required
        policy.version = next(_VERSIONS)
        consoles.served.network.append(COUNTY, put(feed_pb2.RECORD_TYPE_POLICY, policy))
        if required:
            yield


def test_merge_finds_the_call_that_goes_on_and_shows_both(
    consoles: CallConsoles, call: str
) -> None:
    """Whoever merges without seeing the other one merges what is not the same."""
    other = consoles.raise_call("同一处的积水")
    site = consoles.as_centre()
    page = site.get(f"/calls/{call}?merge=同一处")
    assert other in page.text
    assert "同一处的积水" in page.text
    sent = site.fill(page, "/steps/merge", into=other, reason="重复")
    assert sent.status_code == 303
    assert consoles.stage(site, call) == "merged"
    assert f"/calls/{other}" in consoles.page(site, call).text


def test_an_internal_note_stays_with_its_office(consoles: CallConsoles, call: str) -> None:
    """What a desk writes for itself is nobody else's to read."""
    handling(consoles, call)
    consoles.step(consoles.as_department(), call, "internal_note", internal_note="只给本局看")
    assert "只给本局看" in consoles.page(consoles.as_centre(), call).text
    assert "只给本局看" not in consoles.page(consoles.as_clerk(), call).text
    consoles.step(consoles.as_clerk(), call, "internal_note", internal_note="镇里自己记")
    assert "镇里自己记" in consoles.page(consoles.as_clerk(), call).text
    assert "镇里自己记" not in consoles.page(consoles.as_centre(), call).text
    assert consoles.stage(consoles.as_centre(), call) == "handling"


# --- who may ---------------------------------------------------------------------------------


def test_another_department_finds_no_such_call_and_can_take_no_step_of_it(
    consoles: CallConsoles, call: str
) -> None:
    """What is told to a stranger of a call is that it is there; so nothing is told."""
    dispatched(consoles, call)
    for name in ("交通局", SECOND):
        site = consoles.as_department(name)
        assert site.get(f"/calls/{call}").status_code == 404
        size = consoles.feed_size(COUNTY)
        for step in ("accept", "answer", "note", "internal_note"):
            data = {"request_id": "ab" * 16, "text": "伪造", "department": LEAD}
            found = site.post(f"/calls/{call}/steps/{step}", data)
            assert found.status_code == 404, step
        assert site.get(f"/calls/{call}/proof/{TOWN}-e1-0").status_code == 404
        assert consoles.feed_size(COUNTY) == size
    assert (
        text_of(site.get(f"/calls/{call}").text).split("页面时间")[0]
        == (text_of(site.get(f"/calls/{'0' * 32}").text).split("页面时间")[0])
    )


@pytest.mark.parametrize("step", ["admit", "dispatch", "ruling", "answer", "closure", "merge"])
def test_a_town_clerk_takes_no_step_of_the_county_by_a_form_made_by_hand(
    consoles: CallConsoles, call: str, step: str
) -> None:
    """Buttons that are not shown protect nothing."""
    site = consoles.as_clerk()
    assert step not in consoles.steps_on(consoles.page(site, call))
    size = consoles.feed_size(TOWN)
    data = {"request_id": "cd" * 16, "text": "伪造", "department": LEAD, "upheld": "yes"}
    assert site.post(f"/calls/{call}/steps/{step}", data).status_code in (403, 404)
    assert consoles.feed_size(TOWN) == size


def test_a_co_handler_replies_and_does_not_answer(consoles: CallConsoles, call: str) -> None:
    """Two departments that answer give two answers."""
    handling(consoles, call)
    helper = consoles.as_department(HELPER)
    assert set(consoles.steps_on(consoles.page(helper, call))) == {"reply", "note", "internal_note"}
    found = helper.post(f"/calls/{call}/steps/answer", {"request_id": "ef" * 16, "text": "我来答"})
    assert found.status_code == 403
    lead = consoles.as_department()
    assert "reply" not in consoles.steps_on(consoles.page(lead, call))


def test_a_form_can_not_speak_for_another_department(consoles: CallConsoles, call: str) -> None:
    """Whose step it is follows from the account."""
    handling(consoles, call)
    site = consoles.as_department(HELPER)
    consoles.step(site, call, "note", text="记一笔", department=LEAD)
    page = consoles.page(site, call).text
    note = page.split("记一笔")[0].rsplit('class="turn ', 1)[1]
    assert HELPER in note
    assert LEAD not in note


def test_a_village_reads_its_call_and_takes_no_step(consoles: CallConsoles, call: str) -> None:
    """The village follows what became of its event; the town speaks for it."""
    consoles.village.sign_in("worker")
    page = consoles.page(consoles.village, call)
    assert consoles.steps_on(page) == []
    found = consoles.village.post(f"/calls/{call}/steps/withdraw", {"request_id": "aa" * 16})
    assert found.status_code == 403
    consoles.village.sign_in("worker", login="other-grid", area=VILLAGE[:-3] + "999")
    assert consoles.village.get(f"/calls/{call}").status_code == 404


def test_a_technician_opens_no_call(consoles: CallConsoles, call: str) -> None:
    """Whoever keeps the machines running need not read what people called about."""
    consoles.county.sign_in("technician")
    assert consoles.county.get(f"/calls/{call}").status_code == 403


# --- two at once, twice, and away --------------------------------------------------------------


def test_a_form_that_is_sent_twice_is_taken_once(consoles: CallConsoles, call: str) -> None:
    """A double click writes no second answer."""
    handling(consoles, call)
    site = consoles.as_department()
    page = consoles.page(site, call)
    form = next(one for one in forms_of(page.text) if one.action.endswith("/steps/answer"))
    data = {**form.fields, "text": "已抽排"}
    assert site.post(form.action, data).status_code == 303
    size = consoles.feed_size(COUNTY)
    assert site.post(form.action, data).status_code == 303
    assert consoles.feed_size(COUNTY) == size


def test_of_two_who_answer_one_wins_and_the_other_is_told_who_and_keeps_the_text(
    consoles: CallConsoles, call: str
) -> None:
    """Whoever comes second must neither overwrite the first nor type it all again."""
    handling(consoles, call)
    first = consoles.as_department(login="first")
    first_form = _form(first, consoles.page(first, call), "answer")
    site = consoles.as_department(login="second")
    second_form = _form(site, consoles.page(site, call), "answer")
    consoles.as_department(login="first")
    assert (
        first.post(first_form.action, {**first_form.fields, "text": "甲的答复"}).status_code == 303
    )
    site = consoles.as_department(login="second")
    refused = site.post(second_form.action, {**second_form.fields, "text": "乙写了很久的答复"})
    assert refused.status_code == 409
    text = text_of(refused.text)
    assert "在你之前" in text
    assert "测试first" in text  # the winner, by the name that this office knows
    assert "乙写了很久的答复" in text
    assert 'data-stage="answered"' in refused.text
    again = consoles.page(site, call).text
    assert "乙写了很久的答复" in again  # kept as a draft
    assert "甲的答复" in again
    gone = site.fill(consoles.page(site, call), "/drafts/answer/discard")
    assert gone.status_code == 303
    assert "乙写了很久的答复" not in consoles.page(site, call).text


def _form(_site: ConsoleUnderTest, page: Any, step: str) -> Any:
    return next(one for one in forms_of(page.text) if one.action.endswith(f"/steps/{step}"))


def test_a_kept_draft_stands_in_its_form_and_goes_once_the_step_is_taken(
    consoles: CallConsoles, call: str
) -> None:
    """What somebody typed before the phone rang is there after it."""
    handling(consoles, call)
    site = consoles.as_department(login="drafting")
    form = _form(site, consoles.page(site, call), "answer")
    kept = {**form.fields, "text": "写到一半"}
    assert site.post("/drafts", kept).status_code == 204
    page = consoles.page(site, call)
    assert _form(site, page, "answer").fields["text"].strip() == "写到一半"
    assert "草稿,自动保存于" in page.text
    consoles.step(site, call, "answer", text="写完了")
    assert "写到一半" not in consoles.page(site, call).text
    assert site.site.drafts.keys(site.person.id) == ()  # type: ignore[union-attr]


def test_a_responder_keeps_phrases_of_their_own(consoles: CallConsoles, call: str) -> None:
    """Whoever answers the same matter every week writes it once; and it is nobody else's text."""
    handling(consoles, call)
    site = consoles.as_department(login="phrases")
    form = _form(site, consoles.page(site, call), "answer")
    address = f"/calls/{call}/phrases"
    typed = {**form.fields, "text": "已安排<b>清淤</b>", "phrase": "save"}
    assert site.post(address, {**typed, "phrase_name": "清淤"}).status_code == 303
    page = consoles.page(site, call)
    assert _form(site, page, "answer").fields["text"].strip() == "已安排<b>清淤</b>"
    assert '<option value="已安排&lt;b&gt;清淤&lt;/b&gt;">清淤</option>' in page.text
    refused = site.post(address, {**typed, "text": "", "phrase_name": "空的"})
    assert refused.status_code == 400
    (drop,) = re.findall(r'value="(drop:[0-9a-f]+)"', page.text)
    other = consoles.as_department(login="other-phrases")
    assert ">清淤</option>" not in consoles.page(other, call).text
    other.post(address, {**typed, "phrase": drop})
    site = consoles.as_department(login="phrases")
    assert ">清淤</option>" in consoles.page(site, call).text
    site.post(address, {**typed, "phrase": drop})
    assert ">清淤</option>" not in consoles.page(site, call).text
    stranger = consoles.as_department("交通局", login="stranger-phrases")
    assert stranger.post(address, typed).status_code == 404


def test_a_refused_field_is_named_and_all_that_was_typed_stays(
    consoles: CallConsoles, call: str
) -> None:
    """A form that forgets is filled in worse the second time."""
    site = consoles.as_centre()
    form = _form(site, consoles.page(site, call), "decline")
    refused = site.post(form.action, {**form.fields, "text": "请走行政复议", "reason": ""})
    assert refused.status_code == 400
    assert _form(site, refused, "decline").fields["text"].strip() == "请走行政复议"
    assert re.search(r'id="step-decline" open', refused.text)
    dispatch = _form(site, refused, "dispatch")
    fields = {"department": "", f"help.{HELPER}": "1", "deadline": "2023-11-20T17:00"}
    refused = site.post(dispatch.action, {**dispatch.fields, **fields})
    assert refused.status_code == 400
    again = _form(site, refused, "dispatch").fields
    assert (again[f"help.{HELPER}"], again["deadline"]) == ("1", "2023-11-20T17:00")
    site.post(_form(site, refused, "dispatch").action.replace("steps", "drafts") + "/discard")


def test_what_is_too_long_for_a_draft_still_stands_on_the_refused_page(
    consoles: CallConsoles, call: str
) -> None:
    """The longest text is the one that nobody wants to type again."""
    site = consoles.as_centre()
    form = _form(site, consoles.page(site, call), "decline")
    text = "路" * 4000
    long = {**form.fields, "reason": "", "text": text, "internal_note": text, "more": text}
    refused = site.post(form.action, long)
    assert refused.status_code == 400
    assert _form(site, refused, "decline").fields["text"].strip() == text


# --- what is shown -----------------------------------------------------------------------------


def test_markup_in_every_text_is_text(consoles: CallConsoles) -> None:
    """A stored script would act with the rights of whoever reads the call."""
    call = consoles.raise_call(HOSTILE, description=HOSTILE, category=HOSTILE[:40], actor=HOSTILE)
    moves: list[tuple[Any, str, dict[str, str]]] = [
        (consoles.as_centre, "admit", {"note": HOSTILE}),
        (consoles.as_centre, "off_list", {"approved_by": HOSTILE, "reason": HOSTILE}),
        (consoles.as_centre, "dispatch", {"department": LEAD}),
        (consoles.as_department, "accept", {}),
        (consoles.as_department, "note", {"text": HOSTILE}),
        (consoles.as_department, "internal_note", {"internal_note": HOSTILE}),
        (consoles.as_department, "supplement_request", {"text": HOSTILE}),
        (consoles.as_clerk, "supplement", {"text": HOSTILE}),
        (consoles.as_clerk, "urge", {"reason": HOSTILE}),
        (consoles.as_department, "extension_request", {"reason": HOSTILE}),
        (consoles.as_centre, "extension_decision", {"granted": "no", "reason": HOSTILE}),
        (consoles.as_department, "answer", {"text": HOSTILE}),
    ]
    for who, step, fields in moves:
        consoles.step(who(), call, step, **fields)
    site = consoles.as_clerk()
    form = _form(site, consoles.page(site, call), "confirm")
    site.post("/drafts", {**form.fields, "comment": HOSTILE})
    refused = site.post(form.action, {**form.fields, "comment": HOSTILE})
    assert refused.status_code == 400
    pages = [refused, consoles.page(site, call), consoles.page(consoles.as_centre(), call)]
    pages.append(site.get(f"/calls/{call}?merge={HOSTILE}"))
    pages += [
        site.get(link) for link in re.findall(r'href="(/calls/[^"]*/proof/[^"]*)"', pages[1].text)
    ]
    for page in pages:
        assert page.status_code in (200, 400)
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "49" not in re.findall(r"alert\(2\)>(\d+)", page.text)


def test_each_turn_leads_to_what_was_verified_of_it(consoles: CallConsoles, call: str) -> None:
    """A mark that can't be looked behind is decoration."""
    handling(consoles, call)
    consoles.served.settle()
    site = consoles.as_department()
    page = consoles.page(site, call).text
    links = re.findall(r'class="mark verified" href="([^"]+)"', page)
    assert len(links) >= 4  # the raise, its took, the dispatch, the acceptance
    for link in links:
        shown = site.get(link)
        assert "刚才重新计算,全部成立" in shown.text, text_of(shown.text)[:400]
    file = site.get(links[0] + "?file=1")
    assert file.content.startswith(b"c2sp.org/tlog-proof")
    assert "attachment" in file.headers["content-disposition"]
    own = consoles.as_clerk().get(f"/calls/{call}/proof/{links[0].rsplit('/', 1)[1]}?file=1")
    _, openings = unpack_extra(parse_proof(own.content).extra)
    shown = b"".join(openings)
    assert "村口积水".encode() in shown
    assert b"13800001111" not in shown  # the town holds it, and its proof is passed on
    assert site.get(f"/calls/{call}/proof/{COUNTY}-e1-0").status_code == 404  # of no call


def test_a_contact_is_looked_at_in_the_trail_once_in_a_while(
    consoles: CallConsoles, call: str
) -> None:
    """Who read a phone number must be answerable; a page that refreshes is one look."""
    site = consoles.as_clerk()
    before = len(_views(site, call))
    for _ in range(3):
        assert "13800001111" in consoles.page(site, call).text
    assert len(_views(site, call)) == before + 1
    county = consoles.as_centre()
    assert "13800001111" not in consoles.page(county, call).text
    assert _views(county, call) == []


def _views(site: ConsoleUnderTest, call: str) -> list[Any]:
    rows = site.site.audit.page(count=200, object_=call)
    return [row for row in rows if (row.action, row.object_) == ("call-view", call)]


def test_english_has_no_chinese_of_ours(consoles: CallConsoles, call: str) -> None:
    """The switch is for whoever reads no Chinese."""
    handling(consoles, call)
    site = consoles.as_centre()
    text = text_of(site.get(f"/calls/{call}", headers={"Cookie": _english(site)}).text)
    ours = re.sub(r"[\u3000-\u303f\uff00-\uffef]", "", text)
    for word in ("汶上县", "义桥镇", "义桥村", LEAD, SECOND, HELPER, "道路", "村口积水", "中文"):
        ours = ours.replace(word, "")
    for word in ("桥下积水约三十厘米", "中心甲", "镇经办", "县中心", "镇-经办-01", "呼应"):
        ours = ours.replace(word, "")
    ours = re.sub(r"(测试|县)\S*", "", ours)
    assert re.findall(r"[\u4e00-\u9fff]+", ours) == []


def _english(site: ConsoleUnderTest) -> str:
    jar = site._client.cookies
    held = "; ".join(f"{name}={value}" for name, value in jar.items())
    return f"{held}; huying-language=en"


# --- files, and what is withheld -----------------------------------------------------------------


def _photo(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(made, "JPEG")
    return made.getvalue()


def _answer_with_photo(consoles: CallConsoles, call: str, photo: bytes) -> ConsoleUnderTest:
    site = consoles.as_department()
    form = _form(site, consoles.page(site, call), "answer")
    files = {"attachment": ("现场.jpg", photo, "image/jpeg")}
    sent = site.post(form.action, {**form.fields, "text": "照片见附件"}, files=files)
    assert sent.status_code == 303, text_of(sent.text)[:600]
    assert "files-lost" not in sent.headers["location"]
    return site


def test_a_photo_goes_with_the_answer_to_the_town(consoles: CallConsoles, call: str) -> None:
    """Whoever confirms wants to see what was done."""
    handling(consoles, call)
    _answer_with_photo(consoles, call, _photo("red"))
    page = consoles.page(consoles.as_clerk(), call).text
    (source,) = set(re.findall(r'<img src="(/media/[^"]+)"', page.split('id="matter"')[1]))
    picture = consoles.town.get(source)
    assert picture.headers["content-type"] == "image/jpeg"
    digest = source.split("/media/")[1].split("?")[0]
    assert f"/media/{digest}" in page.split('id="conversation"')[1]  # named by the answer, too
    stranger = consoles.as_department("交通局")
    assert stranger.get(source).status_code == 404


def test_a_department_sees_the_pictures_of_its_calls_event_and_of_no_other(
    consoles: CallConsoles, call: str
) -> None:
    """A responder reads no events; its call must not open the village's whole album."""
    handling(consoles, call)
    network = consoles.served.network
    page = consoles.page(consoles.as_centre(), call).text
    own = bytes.fromhex(re.findall(rf'href="/events/{VILLAGE}/([0-9a-f]+)"', page)[0])
    (other,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, event(2)))
    links = []
    for record, colour in ((own, "orange"), (other.record, "purple")):
        photo = _photo(colour)
        picture = Picture(record, feed_pb2.RECORD_TYPE_EVENT, "photo.jpg", "image/jpeg")
        network.append(VILLAGE, *parts_of(picture, photo))
        links.append(f"/media/{sha256(photo).hexdigest()}?call={call}")
    site = consoles.as_department()
    assert links[0] in consoles.page(site, call).text
    assert [site.get(link).status_code for link in links] == [200, 404]
    assert consoles.as_department("交通局").get(links[0]).status_code == 404


def test_a_photo_under_review_waits_for_the_review(consoles: CallConsoles) -> None:
    """An answer that is returned must have shown the town nothing, pictures neither."""
    with _reviewing(consoles):
        call = handling(consoles, consoles.raise_call("带图审核"))
        _answer_with_photo(consoles, call, _photo("blue"))
        assert '<img src="/media/' not in consoles.page(consoles.as_clerk(), call).text
        assert '<img src="/media/' in consoles.page(consoles.as_centre(), call).text
        consoles.step(consoles.as_centre(), call, "review", sent="yes")
        page = consoles.page(consoles.as_clerk(), call).text
        (source,) = set(re.findall(r'<img src="(/media/[^"]+)"', page))
        assert consoles.town.get(source).status_code == 200


def test_a_step_that_is_refused_hands_out_no_file(consoles: CallConsoles, call: str) -> None:
    """Who comes second must not leave a picture in a call that another one answered."""
    handling(consoles, call)
    site = consoles.as_department()
    form = _form(site, consoles.page(site, call), "answer")
    consoles.step(site, call, "answer", text="先答了")
    size = consoles.feed_size(COUNTY)
    files = {"attachment": ("x.jpg", _photo("green"), "image/jpeg")}
    refused = site.post(form.action, {**form.fields, "text": "后答"}, files=files)
    assert refused.status_code == 409
    assert consoles.feed_size(COUNTY) == size


def test_a_file_that_is_no_picture_is_refused_with_the_text_kept(
    consoles: CallConsoles, call: str
) -> None:
    """A refused file is chosen again; a refused answer is not typed again."""
    handling(consoles, call)
    site = consoles.as_department()
    form = _form(site, consoles.page(site, call), "answer")
    files = {"attachment": ("x.jpg", b"<html>no picture</html>", "image/jpeg")}
    refused = site.post(form.action, {**form.fields, "text": "写好的"}, files=files)
    assert refused.status_code == 400
    assert _form(site, refused, "answer").fields["text"].strip() == "写好的"
    consoles.step(site, call, "answer", text="写好的")


def test_what_is_withheld_is_asked_for_from_the_call_and_looked_at_once(
    consoles: CallConsoles, call: str
) -> None:
    """A responder who can't reach the reporter asks the village, not the telephone book."""
    handling(consoles, call)
    site = consoles.as_department()
    page = consoles.page(site, call)
    assert "保留在" in page.text
    assert "13800000000" not in page.text
    form = next(
        one
        for one in forms_of(page.text)
        if one.fields.get("origin", "").split("/feed/")[-1].startswith(VILLAGE)
    )
    sent = site.post(
        form.action, {**form.fields, "fields": "reporter_phone", "purpose": "联系现场核实"}
    )
    assert sent.status_code == 303, text_of(sent.text)[:500]
    record = sent.headers["location"].split("/")[2].split("?")[0]
    consoles.served.settle()
    waiting = consoles.page(site, call)
    assert "待决定" in waiting.text
    consoles.village.sign_in("village_clerk")
    decide = consoles.village.get(f"/provisions/{record}/approve")
    assert consoles.village.fill(decide, "/approve").status_code == 303
    consoles.served.settle()
    site = consoles.as_department()
    given = consoles.page(site, call)
    assert "已同意" in given.text
    assert "13800000000" not in given.text
    shown = site.fill(given, f"/provisions/{record}/open")
    assert "13800000000" in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert "13800000000" not in consoles.page(site, call).text
    helper = consoles.as_department(HELPER)
    assert f"/provisions/{record}/open" not in consoles.page(helper, call).text


def test_one_press_takes_the_duty_lists_suggestion(consoles: CallConsoles, call: str) -> None:
    """Why an item is suggested is said beside it, and lead and helpers follow from the list."""
    item = policy_pb2.DutyItem(
        kind=policy_pb2.DUTY_KIND_SHARED,
        number="17",
        title="道路积水",
        categories=["道路"],
        lead=SECOND,
        co_handlers=[HELPER],
    )
    request = duty_pb2.ImportDutyListRequest(title="清单", items=[item])
    with consoles.served.client(COUNTY) as client:
        client.ask_desk(DUTY, "ImportDutyList", request, 10.0)
    site = consoles.as_centre()
    page = consoles.page(site, call)
    text = text_of(page.text)
    assert "职责清单建议" in text
    assert "“道路” +100" in text
    sent = site.fill(page, "/steps/dispatch", suggested="17")
    assert sent.status_code == 303
    assert set(re.findall(SECOND, text_of(consoles.page(site, call).text)))
    assert consoles.page(consoles.as_department(SECOND), call)
    assert consoles.page(consoles.as_department(HELPER), call)


# --- the node away: last, since it does not come back --------------------------------------------


def test_with_the_node_away_the_page_reads_and_a_step_keeps_its_draft(
    consoles: CallConsoles,
) -> None:
    """Nothing pretends to have been sent, and nothing typed is lost."""
    call = handling(consoles, consoles.raise_call("节点将停"))
    site = consoles.as_department(login="stranded")
    form = _form(site, consoles.page(site, call), "answer")
    consoles.served.stop_servers()
    consoles.served.network.clock.seconds += 5
    page = consoles.page(site, call)
    assert "节点未应答" in page.text
    assert "节点将停" in page.text
    refused = site.post(form.action, {**form.fields, "text": "没送出的答复"})
    assert refused.status_code == 503
    assert _form(site, refused, "answer").fields["text"].strip() == "没送出的答复"
    assert _form(site, consoles.page(site, call), "answer").fields["text"].strip() == "没送出的答复"
