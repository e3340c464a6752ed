"""Files that go with a step and did not follow it: nothing is chosen or typed again."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from huying.common.errors import Code, HuyingError
from huying.node.web.calls import call_files, call_resend
from huying.node.web.node_link import NodeLink
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.tiny_network import COUNTY
from tests.unit.console.call_console import HELPER, LEAD, CallConsoles
from tests.unit.console.call_deeds import reviewing


@pytest.fixture
def appends(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """How many of the next appends the node refuses, as one that is away."""
    monkeypatch.setattr(call_files, "AGAIN_SECONDS", 0.0)
    left = 0
    real = NodeLink.ask

    async def ask(self: NodeLink, method: str, request: Any) -> Any:
        nonlocal left
        if method == "Append" and left:
            left -= 1
            raise HuyingError(Code.UNREACHABLE, "the node: away")
        return await real(self, method, request)

    def refuse(count: int) -> None:
        nonlocal left
        left = count

    monkeypatch.setattr(NodeLink, "ask", ask)
    return refuse


def handled(consoles: CallConsoles, title: str) -> str:
    call = consoles.raise_call(title)
    consoles.step(consoles.as_centre(), call, "dispatch", department=LEAD)
    consoles.step(consoles.as_department(), call, "accept")
    return call


def photo(colour: str) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(made, "JPEG")
    return made.getvalue()


def form_of(page: Any, end: str) -> Any:
    return next(one for one in forms_of(page.text) if one.action.endswith(end))


def answer(consoles: CallConsoles, call: str, colour: str, **fields: str) -> Any:
    site = consoles.as_department()
    form = form_of(consoles.page(site, call), "/steps/answer")
    files = {"attachment": ("现场.jpg", photo(colour), "image/jpeg")}
    return site.post(form.action, {**form.fields, "text": "照片见附件", **fields}, files=files)


def pictures(page: str) -> set[str]:
    return set(re.findall(r'<img src="(/media/[0-9a-f]{64})', page))


def owes(page: Any) -> bool:
    return any(one.action.endswith("/files") for one in forms_of(page.text))


def press(site: ConsoleUnderTest, page: Any) -> Any:
    form = form_of(page, "/files")
    return site.post(form.action, form.fields)


def test_a_moment_without_the_node_loses_no_file(
    consoles: CallConsoles, appends: Callable[[int], None]
) -> None:
    """A node that starts anew between a step and its file is nobody's concern."""
    call = handled(consoles, "短暂中断")
    appends(1)
    sent = answer(consoles, call, "red")
    assert "notice=sent" in sent.headers["location"]
    assert len(pictures(consoles.page(consoles.as_clerk(), call).text)) == 1


def test_a_file_that_did_not_follow_its_step_is_sent_by_one_press(
    consoles: CallConsoles, appends: Callable[[int], None]
) -> None:
    """The step stands and can't be taken twice, so its picture must not be lost with a cut."""
    call = handled(consoles, "附件没发出")
    appends(2)
    sent = answer(consoles, call, "blue")
    site = consoles.county
    shown = site.get(sent.headers["location"])
    assert "1 个附件还没有发出" in text_of(shown.text)
    assert pictures(consoles.page(consoles.as_clerk(), call).text) == set()
    appends(1)
    site = consoles.as_department()
    failed = press(site, shown)  # the node is still away
    assert "notice=files-lost" in failed.headers["location"]
    done = press(site, site.get(failed.headers["location"]))
    assert "notice=sent" in done.headers["location"]
    assert not owes(site.get(f"/calls/{call}?notice=files-lost"))
    size = consoles.feed_size(COUNTY)
    assert "notice=unchanged" in press(site, shown).headers["location"]  # the old page, again
    assert consoles.feed_size(COUNTY) == size
    (source,) = pictures(consoles.page(consoles.as_clerk(), call).text)
    assert consoles.town.get(source).status_code == 200


def test_what_is_on_its_way_right_now_is_offered_to_nobody(
    consoles: CallConsoles, appends: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that loads itself between a step and its file must not cry for a moment."""
    call = handled(consoles, "正在发出")
    appends(2)
    answer(consoles, call, "cyan")
    assert not owes(consoles.page(consoles.as_department(), call))
    monkeypatch.setattr(call_resend, "SETTLED_SECONDS", -3600.0)
    assert owes(consoles.page(consoles.as_department(), call))
    assert owes(consoles.page(consoles.as_centre(), call))
    assert not owes(consoles.page(consoles.as_clerk(), call))


def test_a_review_whose_pictures_stayed_behind_sends_them_later(
    consoles: CallConsoles, appends: Callable[[int], None]
) -> None:
    """The town reads an answer that names a photo; the photo must not stay at the county."""
    with reviewing(consoles):
        call = handled(consoles, "审核后未发出")
        answer(consoles, call, "purple")
        site = consoles.as_centre()
        form = form_of(consoles.page(site, call), "/steps/review")
        appends(2)
        sent = site.post(form.action, {**form.fields, "sent": "yes"})
        assert "notice=files-lost" in sent.headers["location"]
        shown = site.get(sent.headers["location"])
        assert pictures(consoles.page(consoles.as_clerk(), call).text) == set()
        site = consoles.as_centre()
        assert "notice=sent" in press(site, shown).headers["location"]
        assert len(pictures(consoles.page(consoles.as_clerk(), call).text)) == 1
        site = consoles.as_centre()
        assert not owes(site.get(f"/calls/{call}?notice=files-lost"))


def test_a_file_under_review_that_is_sent_again_shows_the_town_nothing(
    consoles: CallConsoles, appends: Callable[[int], None]
) -> None:
    """Sending again must not go past the review."""
    with reviewing(consoles):
        call = handled(consoles, "审核前补发")
        appends(2)
        sent = answer(consoles, call, "brown")
        site = consoles.county
        press(site, site.get(sent.headers["location"]))
        assert len(pictures(consoles.page(consoles.as_department(), call).text)) == 1
        assert pictures(consoles.page(consoles.as_clerk(), call).text) == set()
        consoles.step(consoles.as_centre(), call, "review", sent="yes")
        assert len(pictures(consoles.page(consoles.as_clerk(), call).text)) == 1


def test_nobody_else_sends_what_a_department_owes(
    consoles: CallConsoles, appends: Callable[[int], None]
) -> None:
    """A form made by hand is no way into another department's call."""
    call = consoles.raise_call("别人的附件")
    fields = {"department": LEAD, f"help.{HELPER}": "1"}
    consoles.step(consoles.as_centre(), call, "dispatch", **fields)
    appends(2)
    answer(consoles, call, "orange")
    helper = consoles.as_department(HELPER)  # sees the call, and answers nothing in it
    assert not owes(helper.get(f"/calls/{call}?notice=files-lost"))
    sent = helper.post(f"/calls/{call}/files", {"request_id": "ab" * 16})
    assert "notice=unchanged" in sent.headers["location"]
    size = consoles.feed_size(COUNTY)
    stranger = consoles.as_department("交通局")
    assert stranger.post(f"/calls/{call}/files", {"request_id": "ab" * 16}).status_code == 404
    assert consoles.feed_size(COUNTY) == size


def test_a_file_that_came_with_a_refused_step_need_not_be_chosen_again(
    consoles: CallConsoles,
) -> None:
    """Whoever took three photos on the spot has no second chance to take them."""
    call = handled(consoles, "没写文字")
    refused = answer(consoles, call, "green", text="")
    assert refused.status_code == 400
    form = form_of(refused, "/steps/answer")
    (kept,) = [name for name in form.fields if name.startswith("file.")]
    site = consoles.as_department()  # later, from the draft
    form = form_of(consoles.page(site, call), "/steps/answer")
    assert kept in form.fields
    other = consoles.raise_call("别人拿去用")
    consoles.step(consoles.as_centre(), other, "dispatch", department=LEAD)
    stranger = consoles.as_department(login="of-stranger")  # of the department, another person
    theirs = form_of(consoles.page(stranger, other), "/steps/answer")
    stranger.post(theirs.action, {**theirs.fields, "text": "借图", kept: "借来.jpg"})
    assert "借来" not in consoles.page(stranger, other).text
    site = consoles.as_department()
    sent = site.post(form.action, {**form.fields, "text": "补上文字"})
    assert sent.status_code == 303
    assert pictures(consoles.page(consoles.as_clerk(), call).text) == {
        f"/media/{kept.removeprefix('file.')}"
    }
