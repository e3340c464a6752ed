"""What travels to a handset: packed pages, files kept for good, and no secret in a size."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from huying.node.web.compress import Compress
from huying.node.web.static_files import version_of
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY

OURS = {"Sec-Fetch-Site": "same-origin"}
PAGE = "呼应" * 2000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("bytes"), patch)
        with ConsoleUnderTest(served, COUNTY) as made:
            yield made
        served.close()


async def _page(_request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _short(_request: Request) -> Response:
    return HTMLResponse("ok")


async def _stream(_request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield PAGE

    return StreamingResponse(parts(), media_type="text/event-stream")


async def _picture(_request: Request) -> Response:
    return Response(bytes(5000), media_type="image/jpeg")


async def _refused(_request: Request) -> Response:
    return HTMLResponse(PAGE, status_code=409)


def _site(*, is_tls: bool) -> TestClient:
    pages = (("/", _page), ("/s", _short), ("/live", _stream), ("/p", _picture), ("/r", _refused))
    routes = [Route(path, handler) for path, handler in (*pages, ("/static/node/x.css", _page))]
    return TestClient(Compress(Starlette(routes=routes), is_tls=is_tls))


def test_a_page_is_packed_where_one_of_ours_or_the_person_asked_for_it() -> None:
    """A village's line has 64 kbit/s: a list of 60 KB would take eight seconds."""
    site = _site(is_tls=True)
    for asked_by in ("same-origin", "none"):
        answer = site.get("/", headers={"Sec-Fetch-Site": asked_by})
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < 1000
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.text == PAGE


@pytest.mark.parametrize("asked_by", ["cross-site", "same-site", ""])
def test_over_tls_nobody_else_learns_anything_from_a_size(asked_by: str) -> None:
    """BREACH: another site makes the browser ask with its own guesses, and watches the length."""
    headers = {"Sec-Fetch-Site": asked_by} if asked_by else {}
    answer = _site(is_tls=True).get("/", headers=headers)
    assert "content-encoding" not in answer.headers
    assert answer.text == PAGE
    # Files that come with the program hold no secret; without TLS everybody reads the page itself.
    packed = _site(is_tls=True).get("/static/node/x.css", headers=headers)
    assert packed.headers["content-encoding"] == "gzip"
    assert _site(is_tls=False).get("/", headers=headers).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/s", "/live", "/p", "/r"])
def test_what_gains_nothing_goes_out_as_it_is(path: str) -> None:
    """A stream held back would never come; a picture is packed as it is."""
    answer = _site(is_tls=True).get(path, headers=OURS)
    assert "content-encoding" not in answer.headers
    assert answer.content


def test_a_browser_that_cannot_unpack_is_answered_plainly() -> None:
    """Old handsets, and programs."""
    answer = _site(is_tls=True).get("/", headers={**OURS, "Accept-Encoding": "identity"})
    assert answer.text == PAGE
    assert "content-encoding" not in answer.headers


def test_every_static_file_of_a_page_is_kept_for_good(console: ConsoleUnderTest) -> None:
    """A handset asks for its style once, and after an upgrade for the new one at once."""
    console.sign_in("centre")
    page = console.get("/queue").text
    found = set(re.findall(r'"(/static/[^"]+)"', page))
    assert len(found) >= 3
    for address in found:
        answer = console.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable", address
        path, _, digest = address.partition("?v=")
        assert digest
        for other in (path, f"{path}?v=0000000000"):
            assert console.get(other).headers["cache-control"] == "public, max-age=3600"


def test_a_packed_file_is_known_again(console: ConsoleUnderTest) -> None:
    """Asked whether it changed, the answer is a few bytes."""
    first = console.get("/static/node/console.css")
    assert first.headers["content-encoding"] == "gzip"
    again = console.get(
        "/static/node/console.css", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""


def test_another_file_has_another_digest(tmp_path: Path) -> None:
    """Else a browser would keep the old one for a year."""
    one, two = tmp_path / "a.css", tmp_path / "b.css"
    one.write_bytes(b"a{}")
    two.write_bytes(b"b{}")
    assert version_of(one) != version_of(two)


def test_no_form_repeats_an_id_that_a_size_could_tell(console: ConsoleUnderTest) -> None:
    """What is drawn anew for each page can't be guessed letter by letter; no session is there."""
    console.sign_in("centre")
    cookie = str(console._client.cookies.get(console.site.cookie))
    pages = [console.get("/orders/import").text for _ in range(2)]
    first, second = (set(re.findall(r'name="request_id" value="(\w+)"', page)) for page in pages)
    assert first
    assert not first & second
    assert not any(cookie in page for page in pages)
