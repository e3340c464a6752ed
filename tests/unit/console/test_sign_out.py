"""Signing out, and sessions that end: the back button, a disabled account, an idle tab.

A console stands in an office where people come and go. Whoever left must be out, and what somebody
had typed when their session ended must be there again, for them alone.
"""

from __future__ import annotations

import re

from tests.support.console_site import PASSWORD, ConsoleUnderTest, text_of
from tests.unit.console.sign_in_desk import enter, token_of, wait


def test_whoever_signed_out_is_out_also_with_the_back_button(door: ConsoleUnderTest) -> None:
    """The next person at the desk presses it."""
    door.add("centre", login="leaving")
    enter(door, "leaving")
    token = token_of(door)
    page = door.get("/account")
    assert page.headers["cache-control"] == "no-store"
    out = door.fill(page, "/sign-out")
    assert out.headers["location"].startswith("/sign-in")
    assert token_of(door) == "None"
    door._client.cookies.set(door.site.cookie, token, domain="127.0.0.1")
    assert door.get("/account").status_code == 303


def test_a_person_who_is_disabled_in_the_middle_is_out_with_the_next_click(
    door: ConsoleUnderTest,
) -> None:
    """Not when the session ends."""
    person = door.sign_in("centre", login="middle")
    assert door.get("/account").status_code == 200
    door.site.accounts.disable(person.id, door.clock.now(), keep_admin=False)
    assert door.get("/account").headers["location"].startswith("/sign-in")
    assert door.post("/account/language", {"language": "en"}).status_code == 401


def test_a_tab_that_keeps_itself_fresh_keeps_nobody_signed_in(door: ConsoleUnderTest) -> None:
    """The queue on the wall of an empty office asks for itself all night."""
    door.sign_in("centre", login="asleep")
    for _ in range(4):
        wait(door, 10 * 60)
        answer = door.get("/account", headers={"X-Live": "1"})
    assert answer.status_code == 303
    for path, headers in (("/account", {}), ("/wall", {"X-Live": "1"})):  # at work; on the wall
        door.sign_in("centre", login="asleep")
        for _ in range(4):
            wait(door, 10 * 60)
            answer = door.get(path, headers=headers)
        assert answer.status_code == 200, path


def test_an_expired_session_leads_back_and_what_was_typed_is_there(
    door: ConsoleUnderTest,
) -> None:
    """Half an hour over one answer is a normal afternoon."""
    person = door.sign_in("centre", login="expired")
    typed = {
        "draft_key": "answer:1", "draft_page": "/account", "text": "路灯已修复",
        "own_password": "never-kept",
    }  # fmt: skip
    wait(door, 31 * 60)
    answer = door.post("/drafts", typed)
    assert answer.status_code == 401
    assert "草稿" in text_of(answer.text)
    draft = door.site.drafts.find(person.id, "answer:1")
    assert draft is not None
    assert dict(draft.fields) == {"text": "路灯已修复"}
    back = re.search(r'href="(/sign-in\?next=[^"]+)"', answer.text)
    assert back is not None
    page = door.get(back[1])
    done = door.fill(page, "/sign-in", login="expired", password=PASSWORD)
    assert done.headers["location"] == "/account"


def test_nobody_s_draft_is_written_by_somebody_else_s_old_token(
    door: ConsoleUnderTest,
) -> None:
    """A token that was ended on purpose, or long ago, or never, is nobody."""
    person = door.sign_in("centre", login="old-token")
    token = token_of(door)
    door.site.sessions.end_all(person.id)
    for one in (token, "x", ""):
        door._client.cookies.set(door.site.cookie, one, domain="127.0.0.1")
        answer = door.post("/drafts", {"draft_key": "k", "text": "x"})
        assert answer.status_code == 401
        assert "草稿" not in text_of(answer.text)
    assert door.site.drafts.keys(person.id) == ()
