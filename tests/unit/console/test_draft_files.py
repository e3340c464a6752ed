"""Photos and files of a draft: in the town until the principal approves, and then with the call.

What a clerk attached must not be lost to a question about a phone number, to a node that refused,
or to the keeper that tidies up; and it must not reach the county before the principal's word.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.calling import call_uploads, calling_reads
from huying.node.web.calling.calling_reads import named_by_drafts
from huying.node.web.upkeep import tidy_pictures
from tests.support.console_site import forms_of
from tests.support.tiny_network import COUNTY, TOWN
from tests.unit.console.draft_desk import WORDS, at_county, decide, state
from tests.unit.console.town_desk import OTHER_VILLAGE, PHONE, Town, open_town, wait_for


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("drafts")) as opened:
        opened.policy(approval=True)
        yield opened


def photo(seed: int = 1) -> bytes:
    """A picture as a camera writes it."""
    data = io.BytesIO()
    Image.frombytes("RGB", (40, 30), bytes((seed * n) % 251 for n in range(3600))).save(
        data, "JPEG"
    )
    return data.getvalue()


PHOTO = {"file": ("现场.jpg", photo(), "image/jpeg")}


def sent_with(town: Town, files: dict[str, Any] | None, **fields: str) -> Any:
    """The form of a new call, sent as a browser sends it with files."""
    town.town.sign_in("clerk")
    form = town.town.get("/calls/new?fresh=1")
    (known,) = [one.fields for one in forms_of(form.text) if one.action == "/calls/new"]
    return town.town.post("/calls/new", {**known, **WORDS, **fields}, files=files)


def county_pictures(town: Town, call: str) -> list[str]:
    rows = town.served.readers[COUNTY].evidence_of(bytes.fromhex(call))
    return [row.name for row in rows if row.data is not None]


def test_a_photo_of_a_draft_stays_in_the_town_until_the_principal_approves(town: Town) -> None:
    """Evidence travels as it is written; so before the approval nothing of it is in the feed."""
    answer = sent_with(town, PHOTO)
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    (named,) = state(town, draft).attachments
    assert town.served.readers[TOWN].evidence_of(bytes.fromhex(draft)) == []
    town.town.sign_in("principal")
    page = town.town.get(f"/call-drafts/{draft}")
    (link,) = set(re.findall(rf"/call-drafts/{draft}/files/[0-9a-f]+", page.text))
    shown = town.town.get(link)
    assert shown.headers["content-type"] == "image/jpeg"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert town.town.get(link[:-1] + ("0" if link[-1] != "0" else "1")).status_code == 404
    town.town.sign_in("clerk", login="of-one-village", area=OTHER_VILLAGE)
    assert town.town.get(link).status_code == 404
    town.town.sign_in("principal")
    assert town.town.fill(page, "/decide").status_code == 303
    assert wait_for(lambda: county_pictures(town, draft)) == [named.name]
    size = town.feed_size(TOWN)
    assert town.town.fill(page, "/decide").status_code == 303
    assert town.feed_size(TOWN) == size


def test_a_file_that_does_not_follow_its_call_is_told_and_sent_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call stands and its file does not: nothing claims the one for the other."""
    answer = sent_with(town, {"file": ("b.jpg", photo(9), "image/jpeg")}, title="附件没跟上")
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]

    async def refused(*_: Any, **__: Any) -> None:
        raise HuyingError(Code.BUSY, "later")

    town.town.sign_in("principal")
    with monkeypatch.context() as patch:
        patch.setattr(call_uploads, "write_file", refused)
        answer = decide(town, draft)
    assert answer.headers["location"].endswith(f"/calls/{draft}?notice=files-late")
    assert at_county(town, draft) is not None
    assert county_pictures(town, draft) == []
    page = town.town.get(answer.headers["location"])
    assert "附件没有跟上" in page.text
    town.town.fill(page, f"/calls/{draft}/files")
    assert wait_for(lambda: county_pictures(town, draft))


def test_a_photo_is_kept_through_the_question_about_a_number(town: Town) -> None:
    """A page that asks something has lost no file: it was taken, and goes along the next time."""
    asked = sent_with(town, PHOTO, title=f"请回电 {PHONE}")
    assert asked.status_code == 200
    assert "已收下的附件" in asked.text
    answer = town.town.fill(asked, "/calls/new", masks="1")
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    (named,) = state(town, draft).attachments
    # Nobody attaches by its digest what somebody else handed in.
    hidden = {f"file-{named.sha256.hex()}": "x", f"attach-{named.sha256.hex()}": "1"}
    town.town.sign_in("clerk", login="another")
    form = town.town.get("/calls/new?fresh=1")
    answer = town.town.fill(form, "/calls/new", **WORDS, **hidden)
    other = answer.headers["location"].split("?")[0].rpartition("/")[2]
    assert list(state(town, other).attachments) == []


def test_files_of_a_draft_are_kept_while_it_waits(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A principal may be away for a week; the picture is there when the draft is approved."""
    own_photo = {"file": ("a.jpg", photo(7), "image/jpeg")}
    answer = sent_with(town, own_photo, title="留着附件")
    draft = answer.headers["location"].split("?")[0].rpartition("/")[2]
    digest = state(town, draft).attachments[0].sha256
    own, uploads = town.served.readers[TOWN], town.town.site.uploads
    monkeypatch.setattr(limits, "UPLOAD_KEPT_SECONDS", -1.0)  # two days are over for all
    tidied(town)
    assert uploads.preview(digest) is not None
    now = town.town.clock.now() + 30 * 86_400
    assert digest in named_by_drafts(own, TOWN, now)
    town.town.sign_in("principal")
    decide(town, draft, "refuse", reason="先不报")
    assert digest in named_by_drafts(own, TOWN, town.town.clock.now())
    assert digest not in named_by_drafts(own, TOWN, now + 86_400)
    monkeypatch.setattr(calling_reads, "DRAFT_SECONDS", -1.0)
    tidied(town)
    assert uploads.preview(digest) is None


def tidied(town: Town) -> None:
    """What the console does every hour, on its own loop."""
    portal = town.town._client.portal
    assert portal is not None

    async def work() -> int:
        return await tidy_pictures(town.town.site)

    portal.call(work)


def test_a_file_that_is_no_picture_keeps_what_was_typed(town: Town) -> None:
    """The refusal of a file is no reason to type a call again."""
    refused = sent_with(town, {"file": ("a.jpg", b"no picture", "image/jpeg")}, title="坏附件")
    assert refused.status_code == 400
    assert "坏附件" in refused.text
    many = [("file", (f"{n}.jpg", photo(n + 2), "image/jpeg")) for n in range(4)]
    assert sent_with(town, many).status_code == 400  # type: ignore[arg-type]
