"""What a hostile person or page tries, over every page at once: the list of docs/ASVS.md.

Each page's own tests hold its rules; here stands what must hold whichever page it is.
"""

from __future__ import annotations

import dataclasses
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import h11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.responses import Response

from huying.common.errors import HuyingError
from huying.hub.web import site as hub_site
from huying.hub.web.server import TLS_CIPHERS, restrict
from huying.hub.web.site import PAGES
from huying.node import logs
from huying.node.web import guard
from huying.node.web.access import oidc, totp
from huying.node.web.app import STATIC, cookie_name, origin_of
from huying.node.web.certificate import tls_files
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2
from tests.unit.console_ledger import household
from tests.unit.console_site import PASSWORD, ConsoleUnderTest, forms_of, text_of
from tests.unit.console_town import OTHER_VILLAGE, Town, open_town
from tests.unit.test_console_provisions import add_department
from tests.unit.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put

PAYLOAD = "<script>alert(1)</script>'\"{{7*7}}"
# What would be seen of it: markup that was not escaped, or a template that was computed.
SIGNS = ("<script>alert(1)", "'\"{{7*7}}", "&#39;&#34;49", "'\"49")
SPECIAL = {"live", "language", "healthz", "media", "service-worker", "manifest", "sign-out"}
DEPARTMENT = "县水务局"
# Pages whose forms the walk must have sent; else it would prove nothing, and pass.
FORMS = {
    *("report", "task-settle", "call-new", "call", "order", "order-assign", "provision-ask"),
    *("household-new", "household-edit", "resident-new", "visits", "person-new", "person"),
    *("calls", "events", "ledger", "queue", "audit", "operations", "people"),
}
WALKS: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    (VILLAGE, ("worker", "village_clerk"), {}),
    (TOWN, ("clerk", "principal"), {}),
    (COUNTY, ("centre",), {}),
    (COUNTY, ("department",), {"department": DEPARTMENT}),
    (COUNTY, ("admin", "technician"), {}),
)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("hostile")) as made:
        grid = records_pb2.Grid(code=GRID, name="第一网格", type=records_pb2.GRID_TYPE_GENERAL)
        made.append(VILLAGE, put(feed_pb2.RECORD_TYPE_GRID, grid))
        for code in (COUNTY, TOWN):
            add_department(made.served, code, DEPARTMENT)
        made.served.settle()
        yield made


def call(town: Town) -> bytes:
    """A call of the town about the village, which the county received; its id."""
    message = calls_pb2.Call(
        sequencer=COUNTY,
        category="道路",
        title="村口积水",
        description="约三十厘米",
        village=VILLAGE,
        raised_micros=int(town.served.network.clock.now() * 1e6),
        actor="镇-经办-01",
    )
    return town.append(TOWN, put(feed_pb2.RECORD_TYPE_CALL, message, to=(f"={VILLAGE}",)))[0].record


# --- scripts in every field of every form ---------------------------------------------------------


class Filled(NamedTuple):
    """A form as a hostile person would send it."""

    action: str
    method: str
    fields: dict[str, str]
    typed: int  # fields of text that hold the payload


class _Forms(HTMLParser):
    """The forms of a page, every field of text filled with the payload."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Filled] = []
        self.links: list[str] = []
        self._inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "a" and given.get("href", "").startswith("/"):
            self.links.append(given["href"].partition("#")[0])
        if tag == "form":
            self._inside = True
            self.found.append(Filled(given.get("action", ""), given.get("method", "get"), {}, 0))
        if not self._inside:
            return
        name, kind, fields = given.get("name", ""), given.get("type", "text"), self.found[-1].fields
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select and not fields.get(self._select):
            fields[self._select] = given.get("value", "")
        elif tag == "textarea" or (tag == "input" and kind in ("text", "search", "tel")):
            fields[name] = PAYLOAD
            self.found[-1] = self.found[-1]._replace(typed=self.found[-1].typed + 1)
        elif tag == "input" and name and kind not in ("file", "submit", "checkbox", "password"):
            if kind == "radio" and name in fields and "checked" not in given:
                return
            fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "select":
            self._select = ""


_PATTERNS = [
    (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", page.path)), page)
    for page in PAGES
    if "GET" in page.methods
]


def name_of(url: str) -> str:
    path = urlsplit(url).path
    return next((page.name for pattern, page in _PATTERNS if pattern.fullmatch(path)), "")


def checked(answer: Any) -> str:
    """The text of an answer, after it was looked through."""
    assert answer.status_code < 500, (answer.url, answer.text[-600:])
    text: str = answer.text if "text/" in answer.headers.get("content-type", "") else ""
    for sign in SIGNS:
        assert sign not in text, (str(answer.url), sign)
    assert text == "" or "charset=utf-8" in answer.headers["content-type"], answer.url
    return text


def walk(console: ConsoleUnderTest, *, sends: bool) -> set[tuple[str, str]]:
    """Every page that links lead to, once; (page, action) of the forms that were sent."""
    waiting, known, seen = ["/", "/account"], {"/", "/account"}, set()
    sent: set[tuple[str, str]] = set()
    while waiting:
        url = waiting.pop(0)
        name = name_of(url)
        if not name or name in SPECIAL or name in seen:
            continue
        answer = console.get(url)
        parser = _Forms()
        parser.feed(checked(answer))
        going = answer.headers.get("location", "")
        if answer.status_code == 200:
            seen.add(name)
        for link in [*parser.links, going]:
            if link.startswith("/") and link not in known:
                known.add(link)
                waiting.append(link)
        for form in parser.found if sends else ():
            action = re.sub(r"[0-9a-f]{32}", "ID", urlsplit(form.action or url).path)
            if not form.typed or (name, action) in sent:
                continue
            sent.add((name, action))
            if form.method.lower() == "post":
                taken = console.post(form.action or url, form.fields)
            else:
                taken = console.get(urlsplit(form.action or url).path, params=form.fields)
            checked(taken)
            if (location := taken.headers.get("location", "")).startswith("/"):
                waiting.append(location)
                checked(console.get(location))
    return sent


def test_a_script_in_any_field_of_any_form_is_text_wherever_it_comes_out(town: Town) -> None:
    """Sent by everybody from the village up, and then looked for on everybody's pages."""
    town.event()
    call(town)
    town.order(1)
    town.append(VILLAGE, put(*household("001", GRID)))
    sent: set[tuple[str, str]] = set()
    for code, roles, fields in WALKS:
        console = town.consoles[code]
        console.sign_in(*roles, login=f"hostile-{code}-{roles[0]}", **fields)
        sent |= walk(console, sends=True)
        town.served.settle()
    for code, roles, _ in WALKS:
        console = town.consoles[code]
        console.sign_in(*roles, login=f"hostile-{code}-{roles[0]}")
        walk(console, sends=False)
    missing = FORMS - {name for name, _ in sent}
    assert not missing, f"pages whose form was not reached: {sorted(missing)}"


# --- from one village to the next -----------------------------------------------------------------


def test_who_is_bound_to_another_village_finds_nothing_by_any_address(town: Town) -> None:
    """Forced browsing on the town's shared node: the refusal is that of what is not there."""
    event, order, raised = town.event(), town.order(7), call(town)
    town.town.sign_in("clerk", login="asker", actor="镇-7")
    row = town.served.readers[TOWN].get_event(VILLAGE, event)
    assert row is not None
    place = f"/provisions/ask?origin={quote(row.origin, safe='')}&index={row.index}"
    page = town.town.get(f"{place}&fields=reporter_phone")
    asked = town.town.fill(page, "/provisions/ask", purpose="回访")
    assert asked.status_code == 303, text_of(asked.text)
    provision = asked.headers["location"].partition("?")[0]
    town.served.settle()
    addresses = [
        f"/events/{VILLAGE}/{event.hex()}",
        f"/calls/{raised.hex()}",
        f"/orders/{order.hex()}",
        provision,
        f"/calls/new?event={event.hex()}",
        f"{place}&fields=reporter_phone",
    ]
    for address in addresses:
        assert town.town.get(address).status_code == 200, address
    town.town.sign_in("clerk", "principal", login="elsewhere-all", area=OTHER_VILLAGE)
    for address in addresses:
        answer = town.town.get(address)
        assert answer.status_code == 404, address
        assert "路灯" not in answer.text
        assert "村口" not in answer.text
    for address, step in ((addresses[1], "steps/confirm"), (provision, "open")):
        answer = town.town.post(f"{address}/{step}", {"request_id": "ab" * 16, "text": "x"})
        assert answer.status_code == 404, (address, step)


def test_a_worker_of_another_grid_finds_no_household(town: Town) -> None:
    """Households are at the village's node alone; there the grids stand side by side."""
    (receipt,) = town.append(VILLAGE, put(*household("077", GRID)))
    path = f"/ledger/households/{receipt.record.hex()}"
    town.village.sign_in("worker", login="own-grid", area=GRID)
    assert town.village.get(path).status_code == 200
    town.village.sign_in("worker", login="next-grid", area=f"{VILLAGE}002")
    assert town.village.get(path).status_code == 404
    assert town.village.get(f"{path}/edit").status_code == 404


# --- an answer and its session --------------------------------------------------------------------


def test_an_answer_whose_session_ran_out_stands_in_its_form_again(town: Town) -> None:
    """Half an hour over one paragraph is a normal afternoon; none of it may be lost."""
    raised = call(town).hex()
    county = town.county
    county.sign_in("centre", login="slow")
    page = county.get(f"/calls/{raised}")
    forms = [one for one in forms_of(page.text) if "/steps/" in one.action]
    form = next(one for one in forms if "draft_key" in one.fields)
    field = next(name for name, value in form.fields.items() if name in ("text", "reason", "note"))
    county.clock.seconds += 31 * 60
    typed = "已派人到现场,晚上回复"
    answer = county.post(form.action, {**form.fields, field: typed})
    assert answer.status_code == 401
    back = re.search(r'href="(/sign-in\?next=[^"]+)"', answer.text)
    assert back is not None
    done = county.fill(county.get(back[1]), "/sign-in", login="slow", password=PASSWORD)
    assert done.status_code == 303
    assert typed in county.get(done.headers["location"]).text
    county.sign_out()


# --- addresses, headers, methods ------------------------------------------------------------------

ELSEWHERE = ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example")


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


def test_cookies_over_tls_are_of_this_host_alone(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cookies: the session's and the language's."""
    site = town.county.site
    town.county.sign_in("centre")
    monkeypatch.setattr(site, "is_tls", True)
    response = Response()
    monkeypatch.setattr(site, "cookie", cookie_name(COUNTY, is_tls=True))
    site.set_session(response, "x")
    monkeypatch.undo()
    town.county.sign_in("centre")
    monkeypatch.setattr(site, "is_tls", True)
    language = town.county.get("/language?lang=en")
    monkeypatch.undo()
    for header in (response.headers["set-cookie"], language.headers["set-cookie"]):
        assert header.startswith("__Host-"), header
        attributes = {part.strip().lower() for part in header.split(";")}
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes
    town.county.sign_out()


def test_every_page_has_the_way_out(town: Town) -> None:
    town.county.sign_in("centre", login="leaving")
    for path in ("/", "/account", "/queue", "/calls", "/wall", "/no-permission", "/people"):
        answer = town.county.get(path)
        if answer.status_code == 200:
            assert 'action="/sign-out"' in answer.text, path


def test_a_defect_shows_nothing_and_is_logged_without_what_was_typed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception's text may be anybody's data."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("KANARI-SECRET")

    said: list[str] = []
    town.county.sign_in("centre", login="unlucky")
    monkeypatch.setattr(logs, "say", lambda event, **more: said.append(f"{event} {more}"))
    monkeypatch.setattr(town.county.site.sessions, "list", broken)
    answer = town.county.get("/account")
    monkeypatch.undo()
    assert answer.status_code == 500
    assert "KANARI" not in answer.text
    assert "RuntimeError" not in answer.text
    (line,) = said
    assert line.startswith("console_defect")
    assert "KANARI" not in line
    town.county.sign_out()


def test_a_line_of_the_log_is_json_and_its_time_utc() -> None:
    """What collects logs reads them without guessing, in the nodes' one time."""
    code = (
        "from huying.node import logs; logs.configure('info', 'json');"
        "logs.say('console_serving', origin='line\\nbreak')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    (line,) = done.stderr.splitlines()
    said = json.loads(line)
    assert said["event"] == "console_serving"
    assert said["origin"] == "line\nbreak"
    assert said["timestamp"].endswith("Z")


# --- what stands in code --------------------------------------------------------------------------


def test_no_script_writes_markup_or_runs_text() -> None:
    """Scripts put text by textContent, and take markup from the console's own pages alone."""
    banned = (
        r"\.(?:inner|outer)HTML\s*=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    more = r"postMessage|addEventListener\(\s*[\"']message|__proto__|setTimeout\(\s*[\"']"
    for file in sorted(STATIC.rglob("*.js")):
        found = re.findall(f"{banned}|{more}", file.read_text("utf-8"))
        assert found == [], file.name


def test_no_module_of_the_pages_runs_text_or_draws_by_a_weak_chance() -> None:
    """No eval, no shell, no pickle, no parser of XML, no chance but the system's."""
    banned = r"\b(?:eval|exec)\(|pickle|\byaml\b|os\.system|shell=True|lxml|xml\.|\brandom\."
    for folder in (STATIC.parent, Path(hub_site.__file__).parent):
        for file in sorted(folder.rglob("*.py")):
            assert re.findall(banned, file.read_text("utf-8")) == [], file.name
    provider = (STATIC.parent / "access/oidc.py").read_text("utf-8")
    assert provider.count("allow_redirects=False") == 2, "no redirect of a provider is followed"


def test_tokens_of_a_provider_are_signed_by_its_keys_alone() -> None:
    """`none`, and anything that a shared secret signs, would let whoever knows it sign in."""
    assert not [name for name in oidc._ALGORITHMS if name == "none" or name.startswith("HS")]


def test_metadata_of_another_issuer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers at the provider's address must say that it is that provider, exactly."""
    asked = oidc.Provider("https://a.example", "huying", "s", "https://b.example/", lambda: 0.0)
    monkeypatch.setattr(oidc, "_fetch", lambda _: {"issuer": "https://a.example/"})
    with pytest.raises(HuyingError, match="another issuer"):
        asked._refresh()


def test_a_recovery_code_is_not_guessed() -> None:
    """Twenty bits are asked for; these have more than fifty, and none comes twice."""
    drawn = [code for _ in range(50) for code in totp._draw_codes()]
    assert len(set(drawn)) == len(drawn)
    letters = totp._CODE_GROUPS * totp._CODE_GROUP_CHARACTERS
    assert len(totp._ALPHABET) ** letters > 2**50
    assert all(len(code.replace("-", "")) == letters for code in drawn)


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


def test_a_certificate_that_is_made_has_a_key_of_today(town: Town, tmp_path: Path) -> None:
    """P-256, and the file its owner's alone."""
    config = dataclasses.replace(town.county.config, file=tmp_path / "node.toml")
    config.keys_dir.mkdir(parents=True, exist_ok=True)
    key_file, certificate_file = map(Path, tls_files(config))
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.key_size == 256
    assert key_file.stat().st_mode & 0o077 == 0


def test_beyond_the_machine_pages_are_served_over_tls(town: Town) -> None:
    """Plain HTTP is for loopback alone, whatever the settings leave out."""
    for listen, origin in (("0.0.0.0:8443", "https"), ("127.0.0.1:8000", "http:")):
        section = dataclasses.replace(town.county.config.console, listen=listen, origin=None)
        config = dataclasses.replace(town.county.config, console=section)
        assert origin_of(config).startswith(origin)


def test_tls_is_of_today() -> None:
    """1.2 and 1.3, with forward secrecy and authenticated encryption, whatever the default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(TLS_CIPHERS)
    restrict(context)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")


def test_policies_hold_for_a_year_and_for_names_below() -> None:
    """Sent with every answer over TLS, and a policy that lets nothing foreign in."""
    assert "max-age=31536000" in guard._HSTS
    assert "includeSubDomains" in guard._HSTS
    for directive in ("object-src 'none'", "base-uri 'none'", "form-action 'self'"):
        assert directive in guard.CONTENT_SECURITY_POLICY
