"""Hostile requests: addresses, headers, methods and bodies that no browser of ours sends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import quote

import h11
import pytest

from huying.common.errors import Code, HuyingError
from huying.node.clock import SystemClock
from huying.node.web.shelf import Shelf
from tests.support.console_site import PASSWORD
from tests.unit.console.hostile_town import hostile_town
from tests.unit.console.town_desk import Town

ELSEWHERE = ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_page_that_leads_on_leads_to_another_site(town: Town, target: str) -> None:
    """`next`, and what a browser says that it came from."""
    town.county.sign_in("centre")
    for path in ("/sign-in", "/second-factor", "/reauthenticate", "/account/password", "/language"):
        answer = town.county.get(
            f"{path}?next={quote(target)}&to=en&lang=en", headers={"Referer": target.strip()}
        )
        assert answer.status_code in (200, 303, 404), path
        assert "evil" not in answer.headers.get("location", "")
        assert "evil.example" not in "".join(re.findall(r'(?:href|value)="([^"]*)"', answer.text))
    town.county.post("/language", {"language": "zh"})
    town.county.sign_out()


def test_an_address_makes_no_header(town: Town) -> None:
    """A line break in `next` or `notice` would let a link set somebody's cookie."""
    town.county.sign_in("centre")
    for name in ("next", "notice", "lang"):
        for path in ("/sign-in", "/calls", "/language", "/no-such-page"):
            answer = town.county.get(f"{path}?{name}=%2Fx%0d%0aSet-Cookie:%20planted=1")
            assert answer.status_code < 500
            assert "planted" not in "".join(f"{k}{v}" for k, v in answer.headers.items())
    town.county.sign_out()


def test_an_address_of_any_length_is_answered(town: Town) -> None:
    """The server cuts a request's head at 32 KiB; what is shorter must not break a page."""
    town.county.sign_in("centre")
    for path in ("/calls", "/events", "/queue", "/measures", "/orders", "/sign-in"):
        for query in ("q=" + "x" * 20_000, "&".join(f"a{n}=1" for n in range(2000)), "%ff=%00%fe"):
            assert town.county.get(f"{path}?{query}").status_code < 500, path
    town.county.sign_out()


def test_headers_that_name_another_host_or_method_change_nothing(town: Town) -> None:
    """What a proxy may say to other programs, nobody may say to this one."""
    town.county.sign_in("centre")
    for headers in ({"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}):
        answer = town.county.get("/", headers=headers)
        assert "evil.example" not in answer.text + answer.headers.get("location", "")
    overriding = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}
    assert town.county.get("/sign-out?_method=POST", headers=overriding).status_code == 405
    assert town.county.get("/account").status_code == 200
    for host in ("evil.example", "127.0.0.1:8000.evil.example", "127.0.0.1", ""):
        assert town.county.get("/account", headers={"Host": host}).status_code == 421


def test_a_field_in_the_address_is_no_field_of_the_form(town: Town) -> None:
    """Parameter pollution: a form's fields come from its body, however the address ends."""
    person = town.county.sign_in("centre", login="polluted")
    answer = town.county.post("/drafts?draft_key=address&text=address", {"draft_key": "body"})
    assert answer.status_code == 204
    assert town.county.site.drafts.find(person.id, "address") is None
    assert town.county.post("/drafts?draft_key=address", {"text": "x"}).status_code != 204


def test_a_field_that_no_form_has_changes_nothing(town: Town) -> None:
    """Mass assignment: what a page does not read from a form is not in the account."""
    person = town.county.sign_in("centre", login="climber")
    given = {"language": "en", "roles": "admin", "role": "admin", "area": "", "disabled": "0"}
    town.county.fill(town.county.get("/account"), "/account/language", **given)
    found = town.county.site.accounts.by_id(person.id)
    assert found is not None
    assert (found.language, found.roles) == ("en", person.roles)
    town.county.get("/language?lang=zh")
    town.county.sign_out()


def test_an_address_that_a_browser_makes_up_is_not_believed(town: Town) -> None:
    """Without a proxy, X-Forwarded-For is a word of the browser's, and would dodge the throttle."""
    if town.county.site.accounts.by_login("forwarded") is None:
        town.county.add("centre", login="forwarded")
    given = {"login": "forwarded", "password": PASSWORD, "next": "/"}
    headers = {"X-Forwarded-For": "203.0.113.66", "X-Real-IP": "203.0.113.66"}
    assert town.county.post("/sign-in", given, headers=headers).status_code == 303
    assert "203.0.113.66" not in town.county.get("/account").text
    town.county.sign_out()


def test_another_origin_is_allowed_nothing(town: Town) -> None:
    """No CORS: a page elsewhere reads no answer."""
    town.county.sign_in("centre")
    for path in ("/", "/account", "/static/node/console.css"):
        headers = town.county.get(path, headers={"Origin": "https://evil.example"}).headers
        assert not [name for name in headers if name.startswith("access-control")]
    town.county.sign_out()


def test_a_request_with_two_lengths_has_one_end() -> None:
    """Request smuggling: the server's parser goes by the chunks, and refuses two lengths."""
    connection = h11.Connection(h11.SERVER)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n"
    connection.receive_data(head + b"1\r\na\r\n0\r\n\r\n")
    kinds = [type(connection.next_event()) for _ in range(3)]
    assert kinds == [h11.Request, h11.Data, h11.EndOfMessage]
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    )
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()


def test_figures_that_nobody_waits_for_keep_nobody_waiting() -> None:
    """One person asks for every month of a thousand years; each count takes a second."""

    async def play() -> None:
        shelf, go_on = Shelf(SystemClock()), asyncio.Event()

        async def count() -> int:
            await go_on.wait()
            return 1

        asked = [asyncio.create_task(shelf.get(number, count)) for number in range(100)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in found if isinstance(one, HuyingError)]
        assert {one.code for one in refused} == {Code.BUSY}
        assert len(refused) == 84
        go_on.set()
        for _ in range(200):
            await asyncio.sleep(0)
        assert (await shelf.get("another", count)) is not None

    asyncio.run(play())
