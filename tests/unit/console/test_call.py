"""The page of one call: its whole life through the forms of both sides, and what it shows."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from huying.common.feed.tlog_proof import parse_proof, unpack_extra
from huying.hub.desk import DUTY
from huying.node.web.node_link import Freshness
from huying.wire.v1 import api_pb2, duty_pb2, policy_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY
from tests.unit.console.call_console import HELPER, LEAD, SECOND, CallConsoles
from tests.unit.console.call_deeds import form_of, handling, reviewing

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


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


def test_what_is_proposed_while_the_parent_is_cut_off_is_not_said_to_be_sent(
    consoles: CallConsoles, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line on top says that it waits here; nothing below may say that it left."""
    handling(consoles, call)
    network = consoles.served.network
    clerk = consoles.as_clerk()
    state = clerk.site.node.state

    async def cut_off() -> Freshness:
        parent = api_pb2.PeerStatus(code=COUNTY, connected=False)
        return dataclasses.replace(await state(), parent=parent)

    monkeypatch.setattr(clerk.site.node, "state", cut_off)
    network.away.add(COUNTY)
    try:
        text = text_of(consoles.step(clerk, call, "urge", reason="请抓紧").text)
    finally:
        network.away.clear()
        consoles.served.thread.run(_run(network))
    assert "与上级" in text
    assert "还没有送出" in text
    assert "尚未收到" in text
    assert "已发出" not in text
    assert "正在送出" not in text


async def _run(network: Any) -> None:
    network.run()


def test_an_answer_that_is_reviewed_shows_the_centre_its_text_to_send(
    consoles: CallConsoles,
) -> None:
    """The review sends what the centre has read, not what it has to type again."""
    with reviewing(consoles):
        call = handling(consoles, consoles.raise_call("须审核的"))
    consoles.step(consoles.as_department(), call, "answer", text="已经抽排完毕")
    assert consoles.stage(consoles.as_centre(), call) == "review"
    assert "已经抽排完毕" not in consoles.page(consoles.as_clerk(), call).text
    page = consoles.page(consoles.as_centre(), call)
    review = next(form for form in forms_of(page.text) if form.action.endswith("/steps/review"))
    assert review.fields["text"].strip() == "已经抽排完毕"
    consoles.step(consoles.as_centre(), call, "review", sent="yes", text="已抽排,请回访")
    assert "已抽排,请回访" in consoles.page(consoles.as_clerk(), call).text


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
    form = form_of(consoles.page(site, call), "confirm")
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
