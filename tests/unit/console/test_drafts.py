"""A town's calls from the form to the county: drafts, the principal's word, what stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from huying.common.records.evidence_parts import JPEG, Picture, parts_of
from huying.hub.desk import DUTY
from huying.wire.v1 import calls_pb2, duty_pb2, feed_pb2, policy_pb2
from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.draft_desk import CONTACT, WORDS, at_county, decide, drafted, state
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, PHONE, Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("drafts")) as opened:
        opened.policy(approval=True)
        yield opened


def test_an_event_becomes_a_draft_then_a_call_at_the_county(town: Town) -> None:
    """The town's whole way: the event fills the form, the principal approves, the county has it."""
    event = town.event()
    picture = Picture(event, feed_pb2.RECORD_TYPE_EVENT, "灯杆.jpg", JPEG)
    data = b"\xff\xd8\xff\xe0" + bytes(99) + b"\xff\xd9"
    town.append(VILLAGE, *parts_of(picture, data))
    town.town.sign_in("clerk")
    form = town.town.get(f"/calls/new?event={event.hex()}")
    (fields,) = [one.fields for one in forms_of(form.text) if one.action == "/calls/new"]
    assert fields["title"] == "路灯不亮"
    assert fields["village"] == VILLAGE
    answer = town.town.fill(form, "/calls/new", **CONTACT)
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    assert at_county(town, draft) is None
    town.town.sign_in("principal")
    assert f"/call-drafts/{draft}" in town.town.get("/call-drafts").text
    page = town.town.get(f"/call-drafts/{draft}")
    assert town.town.fill(page, "/decide").status_code == 303
    call = at_county(town, draft)
    assert call is not None
    assert (call.title, call.event, call.village) == ("路灯不亮", event, VILLAGE)
    assert (call.actor, call.approved_by) == ("测-clerk", "测-principal")
    assert [one.name for one in call.attachments] == ["灯杆.jpg"]
    assert not call.contact_name
    assert not call.contact_phone
    assert (draft, "done") in town.audited(TOWN, "call-drafted")
    assert (draft, "done") in town.audited(TOWN, "draft-approved")


def test_without_approval_in_the_policy_the_form_raises_the_call(tmp_path: Path) -> None:
    """Where the county asks for no approval, nobody waits for one."""
    with open_town(tmp_path) as town:
        town.town.sign_in("clerk")
        form = town.town.get("/calls/new")
        assert "发出呼叫" in form.text
        answer = town.town.fill(form, "/calls/new", **WORDS)
        call = answer.headers["location"].split("?")[0].rpartition("/")[2]
        stored = at_county(town, call)
        assert stored is not None
        assert stored.urgency == policy_pb2.URGENCY_URGENT


def test_a_call_from_a_hotline_order_names_it_and_stands_beside_it(town: Town) -> None:
    """The order's number goes along, its caller does not; and nobody calls about it twice."""
    order = town.order(771, TOWN, descriptor="水管漏水", description="巷口水管漏水")
    town.town.sign_in("clerk")
    page = town.town.get(f"/orders/{order.hex()}")
    assert f"/calls/new?order={order.hex()}" in page.text
    form = town.town.get(f"/calls/new?order={order.hex()}")
    assert PHONE not in form.text
    assert "来电人生成" not in form.text
    answer = town.town.fill(form, "/calls/new")
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    words = state(town, draft)
    assert (words.title, words.category) == ("水管漏水", "路灯")
    assert words.description == "巷口水管漏水\n来源:热线工单 12345 000771"
    assert draft in town.town.get(f"/orders/{order.hex()}").text
    town.town.sign_in("principal")
    decide(town, draft)
    town.town.sign_in("clerk")
    assert f"/calls/{draft}" in town.town.get(f"/orders/{order.hex()}").text
    town.town.sign_in("clerk", login="of-one-village", area=OTHER_VILLAGE)
    assert town.town.get(f"/calls/new?order={order.hex()}").status_code == 404


def test_a_clerk_may_ask_the_principal_where_nobody_has_to(tmp_path: Path) -> None:
    """Approval guards against careless calls; a town may want it where the county does not."""
    with open_town(tmp_path) as town:
        town.town.sign_in("clerk")
        form = town.town.get("/calls/new")
        answer = town.town.fill(form, "/calls/new", **WORDS, route="approve")
        assert "/call-drafts/" in answer.headers["location"]


def test_one_form_sent_twice_is_one_draft(town: Town) -> None:
    """A double click, or the back button and another press."""
    town.town.sign_in("clerk")
    form = town.town.get("/calls/new?fresh=1")
    first = town.town.fill(form, "/calls/new", **WORDS)
    size = town.feed_size(TOWN)
    second = town.town.fill(form, "/calls/new", **WORDS)
    assert first.headers["location"] == second.headers["location"]
    assert town.feed_size(TOWN) == size


def test_a_principal_comes_in_at_what_waits_for_their_word(town: Town) -> None:
    """Two minutes between meetings: the first page is the one that only they can deal with."""
    drafted(town)
    town.town.sign_in("principal")
    assert town.town.get("/").headers["location"] == "/call-drafts"
    town.town.sign_in("clerk")
    assert town.town.get("/").headers["location"] == "/events"


def test_one_decision_sent_twice_is_one_call(town: Town) -> None:
    """The second press finds the first one's deed, and says the same."""
    draft = drafted(town)
    town.town.sign_in("principal")
    assert decide(town, draft).status_code == 303
    size = town.feed_size(TOWN)
    assert decide(town, draft).status_code == 303
    assert town.feed_size(TOWN) == size


def test_a_clerk_approves_nothing(town: Town) -> None:
    """Not by the page, which offers nothing, and not by a request made by hand."""
    draft = drafted(town)
    page = town.town.get(f"/call-drafts/{draft}")
    assert "/decide" not in page.text
    assert decide(town, draft).status_code == 403
    assert decide(town, draft, "refuse", reason="不要").status_code == 403
    assert state(town, draft).state == calls_pb2.DRAFT_STATE_WAITING
    assert at_county(town, draft) is None


def test_who_drafts_and_approves_both_does_not_approve_their_own(town: Town) -> None:
    """Four eyes: somebody who holds both roles needs another principal for their own draft."""
    town.town.sign_in("clerk", "principal", login="both")
    answer = town.town.fill(town.town.get("/calls/new?fresh=1"), "/calls/new", **WORDS)
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    page = town.town.get(f"/call-drafts/{draft}")
    assert "须由另一位主要负责人审签" in page.text
    refused = decide(town, draft)
    assert refused.status_code == 403
    assert at_county(town, draft) is None
    assert (draft, "refused") in town.audited(TOWN, "draft-approved")
    town.town.sign_in("principal")
    assert decide(town, draft).status_code == 303
    assert at_county(town, draft) is not None


def test_a_principal_who_is_nothing_else_may_approve_their_own(town: Town) -> None:
    """There is nobody below them who could have drafted it: the approval is theirs in any case."""
    town.town.sign_in("principal")
    answer = town.town.fill(town.town.get("/calls/new?fresh=1"), "/calls/new", **WORDS)
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    assert at_county(town, draft) is None
    assert decide(town, draft).status_code == 303
    assert at_county(town, draft) is not None


def test_a_refused_draft_says_why_and_is_put_right_as_a_new_one(town: Town) -> None:
    """The clerk sees the reason and goes on from what was written."""
    draft = drafted(town, **CONTACT)
    town.town.sign_in("principal")
    page = town.town.get(f"/call-drafts/{draft}")
    nothing = decide(town, draft, "refuse")
    assert nothing.status_code == 400
    assert state(town, draft).state == calls_pb2.DRAFT_STATE_WAITING
    assert "退回理由" in page.text
    assert decide(town, draft, "refuse", reason="写明是哪盏灯").status_code == 303
    assert state(town, draft).state == calls_pb2.DRAFT_STATE_REFUSED
    assert at_county(town, draft) is None
    town.town.sign_in("clerk")
    assert "写明是哪盏灯" in town.town.get(f"/call-drafts/{draft}").text
    assert "写明是哪盏灯" in town.town.get("/call-drafts?state=refused").text
    form = town.town.get(f"/calls/new?draft={draft}&fresh=1")
    (fields,) = [one.fields for one in forms_of(form.text) if one.action == "/calls/new"]
    assert {name: fields[name] for name in WORDS} == WORDS
    assert fields["contact_phone"] == PHONE
    again = town.town.fill(form, "/calls/new", title="村口第二盏路灯不亮")
    assert again.status_code == 303
    assert draft not in again.headers["location"]


def test_a_decision_that_comes_too_late_says_who_was_first(town: Town) -> None:
    """Two principals, two tabs: one wins, and the other is told."""
    draft = drafted(town)
    town.town.sign_in("principal")
    page = town.town.get(f"/call-drafts/{draft}")
    assert decide(town, draft, "refuse", reason="不需要").status_code == 303
    town.town.sign_in("principal", login="second")
    late = town.town.fill(page, "/decide")
    assert late.status_code == 409
    assert "测-principal" in late.text


@pytest.mark.parametrize("field", ["title", "description"])
def test_a_number_in_the_text_is_shown_as_it_would_travel_first(town: Town, field: str) -> None:
    """Nobody's number leaves the town by oversight, and nothing typed is lost meanwhile."""
    town.town.sign_in("clerk")
    form = town.town.get("/calls/new?fresh=1")
    size = town.feed_size(TOWN)
    typed = {**WORDS, field: f"请打 {PHONE} 找他"}
    asked = town.town.fill(form, "/calls/new", **typed)
    assert asked.status_code == 200
    assert "请打 〔手机号〕 找他" in asked.text
    assert f"请打 {PHONE} 找他" in asked.text  # still in its field
    assert town.feed_size(TOWN) == size
    sent = town.town.fill(asked, "/calls/new", masks="1")
    assert sent.status_code == 303
    draft = sent.headers["location"].split("?")[0].rpartition("/")[2]
    assert getattr(state(town, draft), field) == "请打 〔手机号〕 找他"


def test_a_number_in_the_category_is_refused(town: Town) -> None:
    """It travels, and no rule of the feed masks it."""
    town.town.sign_in("clerk")
    typed = {**WORDS, "category": f"找 {PHONE}"}
    answer = town.town.fill(town.town.get("/calls/new?fresh=1"), "/calls/new", **typed)
    assert answer.status_code == 400


def test_the_contact_shows_just_when_asked_for_and_is_written_down(town: Town) -> None:
    """A draft's contact is the town's own, and who looks at it is known."""
    draft = drafted(town, **CONTACT)
    town.town.sign_in("principal")
    page = town.town.get(f"/call-drafts/{draft}")
    for hidden in (page, town.town.get("/call-drafts?state=all")):
        assert PHONE not in hidden.text
        assert "李生成" not in hidden.text
    before = len(town.audited(TOWN, "draft-contact-shown"))
    shown = town.town.fill(page, "/contact")
    assert PHONE in shown.text
    assert town.audited(TOWN, "draft-contact-shown")[before:] == [(draft, "done")]
    again = town.town.get(f"/call-drafts/{draft}/contact")
    assert again.headers["Location"] == f"/call-drafts/{draft}", "a reload shows it no more"


def test_a_person_of_another_village_finds_no_draft(town: Town) -> None:
    """Forced browsing, by every address that a draft has."""
    draft = drafted(town)
    town.town.sign_in("principal", login="elsewhere", area=OTHER_VILLAGE)
    assert draft not in town.town.get("/call-drafts").text
    assert town.town.get(f"/call-drafts/{draft}").status_code == 404
    assert town.town.get(f"/calls/new?draft={draft}").status_code == 404
    assert town.town.post(f"/call-drafts/{draft}/contact").status_code == 404
    assert decide(town, draft).status_code == 404
    event = town.event()
    assert town.town.get(f"/calls/new?event={event.hex()}").status_code == 404
    form = town.town.get("/calls/new?fresh=1")
    size = town.feed_size(TOWN)
    assert town.town.fill(form, "/calls/new", **WORDS).status_code == 400
    assert town.feed_size(TOWN) == size


def test_county_and_village_have_no_drafts(town: Town) -> None:
    """Calling is the town's; its drafts are nobody else's."""
    draft = drafted(town)
    for code, role in ((COUNTY, "centre"), (COUNTY, "director"), (VILLAGE, "village_clerk")):
        console = town.consoles[code]
        console.sign_in(role)
        for path in ("/call-drafts", f"/call-drafts/{draft}", "/calls/new"):
            assert console.get(path).status_code == 403
        assert draft not in console.get("/").text


def test_hostile_text_is_shown_as_text(town: Town) -> None:
    """Of the clerk, and of a principal's reason."""
    town.town.sign_in("clerk")
    hostile = {**WORDS, "category": HOSTILE, "title": HOSTILE, "description": HOSTILE}
    form = town.town.get("/calls/new?fresh=1")
    answer = town.town.fill(form, "/calls/new", **hostile, contact_name=HOSTILE)
    assert answer.status_code == 303, text_of(answer.text)
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    town.town.sign_in("principal")
    assert decide(town, draft, "refuse", reason=HOSTILE).status_code == 303
    pages = [
        town.town.get("/call-drafts?state=all"),
        town.town.get(f"/call-drafts/{draft}"),
        town.town.post(f"/call-drafts/{draft}/contact"),
        town.town.get(f"/calls/new?draft={draft}"),
        town.town.fill(form, "/calls/new", **{**hostile, "urgency": HOSTILE[:20]}),
    ]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "&lt;script&gt;alert(1)" in page.text


def test_what_was_typed_is_there_again_until_it_is_sent(town: Town) -> None:
    """The draft of a form outlives the session, and goes when the form was taken."""
    event = town.event()
    town.town.sign_in("clerk", login="typist")
    path = f"/calls/new?event={event.hex()}"
    form = town.town.get(path)
    (fields,) = [one.fields for one in forms_of(form.text) if one.action == "/calls/new"]
    kept = {**fields, "title": "打到一半的标题"}
    assert town.town.post("/drafts", kept).status_code == 204
    again = town.town.get(path)
    assert "打到一半的标题" in again.text
    assert "已恢复" in again.text
    assert "打到一半的标题" not in town.town.get(f"{path}&fresh=1").text
    town.town.sign_in("clerk")
    assert "打到一半的标题" not in town.town.get(path).text
    town.town.sign_in("clerk", login="typist")
    assert town.town.fill(again, "/calls/new").status_code == 303
    assert "打到一半的标题" not in town.town.get("/calls/new").text
    assert "已恢复" not in town.town.get(path).text


def test_a_refusal_by_the_node_gives_the_form_back(town: Town) -> None:
    """The node judges; whatever it says, what was typed stays."""
    town.town.sign_in("clerk")
    typed = {**WORDS, "grid": "370830109201001"}
    answer = town.town.fill(town.town.get("/calls/new?fresh=1"), "/calls/new", **typed)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "三盏灯不亮" in answer.text
    assert "370830109201001" in answer.text


def test_the_county_s_duty_list_is_a_hint_where_it_is_held(town: Town) -> None:
    """Who writes the call sees whose duty it may be, and that somebody else decides."""
    request = duty_pb2.ImportDutyListRequest(title="清单")
    request.items.add(
        number="7",
        title="路灯维护",
        lead="城管局",
        kind=policy_pb2.DUTY_KIND_TOWN,
        categories=["道路"],
    )
    with town.served.client(COUNTY) as client:
        client.ask_desk(DUTY, "ImportDutyList", request, 20.0)
    event = town.event()
    town.town.sign_in("clerk")
    page = town.town.get(f"/calls/new?event={event.hex()}&fresh=1")
    assert "城管局" in text_of(page.text)
    assert "仅供参考" in page.text


def test_the_pages_read_on_while_the_node_is_away_and_send_nothing(tmp_path: Path) -> None:
    """What can't be sent stays in the form, and is told."""
    with open_town(tmp_path) as town:
        town.policy(approval=True)
        draft = drafted(town)
        form = town.town.get("/calls/new")
        town.served.stop_servers()
        assert town.town.get("/call-drafts").status_code == 200
        assert town.town.get(f"/call-drafts/{draft}").status_code == 200
        answer = town.town.fill(form, "/calls/new", **WORDS)
        assert answer.status_code == 503
        assert "三盏灯不亮" in answer.text
        town.town.sign_in("principal")
        assert decide(town, draft).status_code == 503
        assert state(town, draft).state == calls_pb2.DRAFT_STATE_WAITING
