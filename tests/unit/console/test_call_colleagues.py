"""Several people at one call: who may see it, who may act on it, and what the second one finds.

Departments, the centre and the town hold the same page open. A step is one person's, a call is
nobody's beyond its parties, and whoever comes too late keeps what they typed.
"""

from __future__ import annotations

import re

import pytest

from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.call_console import HELPER, LEAD, SECOND, CallConsoles
from tests.unit.console.call_deeds import dispatched, form_of, handling


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
    first_form = form_of(consoles.page(first, call), "answer")
    site = consoles.as_department(login="second")
    second_form = form_of(consoles.page(site, call), "answer")
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


def test_a_kept_draft_stands_in_its_form_and_goes_once_the_step_is_taken(
    consoles: CallConsoles, call: str
) -> None:
    """What somebody typed before the phone rang is there after it."""
    handling(consoles, call)
    site = consoles.as_department(login="drafting")
    form = form_of(consoles.page(site, call), "answer")
    kept = {**form.fields, "text": "写到一半"}
    assert site.post("/drafts", kept).status_code == 204
    page = consoles.page(site, call)
    assert form_of(page, "answer").fields["text"].strip() == "写到一半"
    assert "草稿,自动保存于" in page.text
    consoles.step(site, call, "answer", text="写完了")
    assert "写到一半" not in consoles.page(site, call).text
    assert site.site.drafts.keys(site.person.id) == ()  # type: ignore[union-attr]


def test_a_responder_keeps_phrases_of_their_own(consoles: CallConsoles, call: str) -> None:
    """Whoever answers the same matter every week writes it once; and it is nobody else's text."""
    handling(consoles, call)
    site = consoles.as_department(login="phrases")
    form = form_of(consoles.page(site, call), "answer")
    address = f"/calls/{call}/phrases"
    typed = {**form.fields, "text": "已安排<b>清淤</b>", "phrase": "save"}
    assert site.post(address, {**typed, "phrase_name": "清淤"}).status_code == 303
    page = consoles.page(site, call)
    assert form_of(page, "answer").fields["text"].strip() == "已安排<b>清淤</b>"
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
    form = form_of(consoles.page(site, call), "decline")
    refused = site.post(form.action, {**form.fields, "text": "请走行政复议", "reason": ""})
    assert refused.status_code == 400
    assert form_of(refused, "decline").fields["text"].strip() == "请走行政复议"
    assert re.search(r'id="step-decline" open', refused.text)
    dispatch = form_of(refused, "dispatch")
    fields = {"department": "", f"help.{HELPER}": "1", "deadline": "2023-11-20T17:00"}
    refused = site.post(dispatch.action, {**dispatch.fields, **fields})
    assert refused.status_code == 400
    again = form_of(refused, "dispatch").fields
    assert (again[f"help.{HELPER}"], again["deadline"]) == ("1", "2023-11-20T17:00")
    site.post(form_of(refused, "dispatch").action.replace("steps", "drafts") + "/discard")


def test_what_is_too_long_for_a_draft_still_stands_on_the_refused_page(
    consoles: CallConsoles, call: str
) -> None:
    """The longest text is the one that nobody wants to type again."""
    site = consoles.as_centre()
    form = form_of(consoles.page(site, call), "decline")
    text = "路" * 4000
    long = {**form.fields, "reason": "", "text": text, "internal_note": text, "more": text}
    refused = site.post(form.action, long)
    assert refused.status_code == 400
    assert form_of(refused, "decline").fields["text"].strip() == text


def test_with_the_node_away_the_page_reads_and_a_step_keeps_its_draft(
    consoles: CallConsoles,
) -> None:
    """Nothing pretends to have been sent, and nothing typed is lost."""
    call = handling(consoles, consoles.raise_call("节点将停"))
    site = consoles.as_department(login="stranded")
    form = form_of(consoles.page(site, call), "answer")
    consoles.served.stop_servers()
    consoles.served.network.clock.seconds += 5
    page = consoles.page(site, call)
    assert "节点未应答" in page.text
    assert "节点将停" in page.text
    refused = site.post(form.action, {**form.fields, "text": "没送出的答复"})
    assert refused.status_code == 503
    assert form_of(refused, "answer").fields["text"].strip() == "没送出的答复"
    assert form_of(consoles.page(site, call), "answer").fields["text"].strip() == "没送出的答复"
