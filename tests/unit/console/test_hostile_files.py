"""Hostile files and bodies: what an address, an upload or a slow line might reach or fill."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.datastructures import FormData
from starlette.requests import Request
from uvicorn.server import ServerState

from huying.common.calls.call_rules import Role
from huying.common.errors import HuyingError
from huying.hub.web import connections, server
from huying.hub.web.server import make_app
from huying.node import logs
from huying.node.web import guard, page
from huying.node.web.calls.call_access import Part
from huying.node.web.calls.call_forms import FormFacts, step_of
from huying.node.web.forms import Form
from huying.node.web.ledger.sheet_jobs import Jobs
from tests.unit.console.hostile_town import DEPARTMENT, hostile_town
from tests.unit.console.town_desk import Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "/static/node/%2e%2e/app.py",
        "/static/node/..%2f..%2fapp.py",
        "/static/node/%2e%2e%5capp.py",
        "/static/node/%252e%252e/app.py",
        "/static/node//etc/passwd",
        "/static/node/",
        "/static/",
        "/static/hub/%2e%2e/site.py",
        "/media/..%2f..%2fconsole.db",
        "/media/%2e%2e",
        "/media/" + "0" * 64,
        "/.git/config",
        "/console.db",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/debug",
    ],
)
def test_no_file_is_served_but_those_of_the_program(town: Town, path: str) -> None:
    """No way up, no listing, no metadata of a repository, no page for developers."""
    town.county.sign_in("centre")
    answer = town.county.get(path)
    assert answer.status_code == 404, path
    assert "import " not in answer.text
    assert "SQLite format" not in answer.text


def test_what_is_brought_lies_where_its_owner_alone_looks(tmp_path: Path) -> None:
    """A ledger on its way in has everybody's numbers; so has the folder above it."""
    folder = tmp_path / "console"
    folder.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        job = Jobs(folder).begin("person", "台账.xlsx", ".xlsx", 0.0)
    finally:
        os.umask(before)
    for path in (folder / "imports", folder / "imports" / job.id):
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_the_console_s_process_writes_for_its_owner_alone() -> None:
    """Also what a library or a table's errors open without saying a mode."""
    assert "os.umask(0o077)" in inspect.getsource(server.serve)


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "charset", ["punycode", "raw_unicode_escape", '"idna"', "undefined", "utf-8-sig", "utf-16"]
)
def test_a_form_says_no_charset_but_ours(town: Town, charset: str) -> None:
    """Python knows codecs that make half a character, or take a second for each field."""
    town.county.sign_in("centre")
    body = b'--x\r\nContent-Disposition: form-data; name="draft_key"\r\n\r\n\\ud800\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    assert town.county.post("/drafts", content=body, headers=headers).status_code == 400
    headers = {"Content-Type": "multipart/form-data; Charset = UTF-8 ; boundary=x"}
    assert town.county.post("/drafts", content=body, headers=headers).status_code == 204
    town.county.sign_out()


def test_of_a_form_that_nobody_sends_nothing_is_read(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an account one could fill the disk with forms of 60 MiB, many at a time."""
    reads: list[str] = []

    async def reading(request: Request) -> Form:
        reads.append(request.url.path)
        return Form(FormData())

    monkeypatch.setattr(page, "read_form", reading)
    town.village.sign_out()
    for cookie in ("", "a-token-of-nobody"):
        town.village._client.cookies.set(town.village.site.cookie, cookie)
        came = {"Referer": f"{town.village.site.origin}/report?again=1"}
        answer = town.village.post("/report", {"draft_key": "report", "text": "x"}, headers=came)
        assert answer.status_code == 401
        assert 'href="/sign-in?next=%2Freport%3Fagain%3D1"' in answer.text
    assert reads == []
    town.village.sign_in("worker", login="reader")
    assert town.village.post("/report", {"text": "x"}).status_code == 400
    assert reads == ["/report"]
    town.village.sign_out()


@pytest.mark.parametrize("came", ["http://[", "//[::1", "https://evil.example/\\x", "about:blank"])
def test_an_address_that_is_none_is_answered(town: Town, came: str) -> None:
    """What a browser says that it came from is a word of whoever wrote the link."""
    answer = town.county.get("/language?to=zh", headers={"Referer": came})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("deadline", ["0001-01-01T00:00", "1969-12-31T23:59", "99999-01-01T00:00"])
def test_a_day_before_all_clocks_is_a_word_to_put_right(deadline: str) -> None:
    """The wire counts from 1970; an exception would have taken the whole form with it."""
    part = Part(Role.CENTRE, frozenset())
    facts = FormFacts(call=b"c" * 16, actor="a", part=part, offset_minutes=480, names={})
    form = Form(FormData([("department", DEPARTMENT), ("deadline", deadline)]))
    with pytest.raises(HuyingError, match="deadline: a local time"):
        step_of("dispatch", form, facts)


def test_what_is_refused_before_any_page_is_logged_without_its_secrets(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set-up link that is opened under another name of the machine is still good."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "say", lambda _event, **more: said.append(more))
    monkeypatch.setattr(guard, "_SAY_SECONDS", 0.0)
    answer = town.county.get("/set-up/KANARI-TOKEN", headers={"Host": "10.0.0.5:8000"})
    assert answer.status_code == 421
    assert [one["path"] for one in said] == ["/set-up"]


def test_a_body_that_comes_by_drops_is_given_up(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them would be every connection there is; and nobody's defect is logged."""
    said: list[str] = []
    monkeypatch.setattr(logs, "say", lambda event, **_: said.append(event))
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.02)
    town.county.sign_in("centre")
    cookies = "; ".join(f"{key}={value}" for key, value in town.county._client.cookies.items())
    headers = {
        "host": urlsplit(town.county.site.origin).netloc,
        "origin": town.county.site.origin,
        "content-type": "application/x-www-form-urlencoded",
        "cookie": cookies,
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/drafts",
        "raw_path": b"/drafts",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(0.004)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asyncio.wait_for(make_app(town.county.site)(scope, receive, send), 5))
    assert sent[0]["status"] == 408
    assert said == []
    town.county.sign_out()


def test_a_connection_that_says_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one last that says a letter of its request now and then (Slowloris)."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def play() -> list[bytes]:
        settings = uvicorn.Config(app, log_config=None, http=connections.PromptConnection)
        settings.load()
        loop, state = asyncio.get_running_loop(), ServerState()
        server = await loop.create_server(
            lambda: connections.PromptConnection(settings, state, {}), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        ends = []
        for spoken in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(spoken)
            ends.append(await asyncio.wait_for(reader.read(), 5))
            writer.close()
        server.close()
        return ends

    silent, begun = asyncio.run(play())
    assert silent == b""
    assert begun.startswith(b"HTTP/1.1 204")


def test_the_server_s_own_words_hold_nobody_s_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each malformed request fills the disk; an exception's text may be anything."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "say", lambda _event, **more: said.append(more))
    logger = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    connections.take_over_log()
    logger.warning("Invalid HTTP request received.")
    try:
        raise RuntimeError("KANARI-SECRET")
    except RuntimeError:
        logger.exception("Exception in ASGI application")
    (line,) = said
    assert line["kind"] == "RuntimeError"
    assert "KANARI" not in str(line)
    assert logger.propagate is False


def test_an_open_page_at_the_end_of_the_process_is_no_defect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stop with a page open somewhere is every stop: an error each time is soon read past."""
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "say", lambda _event, **more: said.append(more))
    logger = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    connections.take_over_log()
    (words,) = re.findall(r'"(Cancel %s [^"]+)"', inspect.getsource(uvicorn.server))
    logger.error(words, 2)
    try:
        raise asyncio.CancelledError
    except asyncio.CancelledError:
        logger.exception("Exception in ASGI application")
    assert said == []


URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
PART = b'--B\r\nContent-Disposition: form-data; name="draft_key"'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (URLENCODED, b"&".join(b"a%d=1" % number for number in range(401))),
        (URLENCODED, b"draft_key=" + b"a" * 70_000),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; " + "a=b;" * 7000, b"x"),
        (MULTIPART, b"--B\r\nContent-Disposition: form-data\r\n\r\nv\r\n--B--\r\n"),
        (MULTIPART, PART + b"\r\n\r\ncut"),
        (MULTIPART, b"--B\r\n" + b"X: y\r\n" * 20_000 + b"\r\nv\r\n--B--\r\n"),
        (MULTIPART, b"--B\r\n" + b"\r\n--" * 60_000),
        (
            MULTIPART,
            PART + b'; filename="a"\r\n\r\nv\r\n--B--\r\n',
        ),
        ("application/json", b'{"draft_key": "x"}'),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{len(value)}-bytes",
)
def test_a_form_that_can_t_be_read_is_a_refusal(town: Town, kind: str, body: bytes) -> None:
    """And is read once: the page that says so must not read again what has gone."""
    town.county.sign_in("centre")
    answer = town.county.post("/drafts", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "<main" in answer.text
    town.county.sign_out()
