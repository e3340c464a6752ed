"""Hostile text: scripts, spoofed names and secrets, wherever a text goes in or comes out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.hub.web import site as hub_site
from huying.node import logs
from huying.node.web.app import STATIC
from huying.node.web.refusals.telling import in_chinese
from huying.node.web.render import environment
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.console.hostile_town import DEPARTMENT, call, hostile_town, walk
from tests.unit.console.ledger_desk import household
from tests.unit.console.town_desk import Town

# Pages whose forms the walk must have sent; else it would prove nothing, and pass.
FORMS = {
    *("report", "task-settle", "event", "call-new", "call", "order", "order-assign"),
    *("provision-ask",),
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
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


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
        if code == TOWN:
            town.event()  # the village has settled the one before
        sent |= walk(console, sends=True)
        town.served.settle()
    for code, roles, _ in WALKS:
        console = town.consoles[code]
        console.sign_in(*roles, login=f"hostile-{code}-{roles[0]}")
        walk(console, sends=False)
    missing = FORMS - {name for name, _ in sent}
    assert not missing, f"pages whose form was not reached: {sorted(missing)}"


def test_no_script_writes_markup_or_runs_text() -> None:
    """Scripts put text by textContent, and take markup from the console's own pages alone."""
    banned = (
        r"\.(?:inner|outer)HTML\s*=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function"
    )
    # Our own service worker and our own pages alone hear of each other.
    more = (
        r"(?<!\bpage\.)postMessage|(?<!\bserviceWorker\.)addEventListener\(\s*[\"']message"
        r"|__proto__|setTimeout\(\s*[\"']"
    )
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


def test_what_was_typed_into_a_form_that_met_a_defect_is_given_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect is ours, and half an hour's text is theirs; a password is never given back."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a defect")

    site = town.county
    site.sign_in("centre", login="unluckier")
    monkeypatch.setattr(site.site.drafts, "save", broken)
    typed = {"draft_key": "k", "text": "道路积水,已派人 <b>到场</b>"}
    answer = site.post("/drafts", typed)
    assert answer.status_code == 500
    assert "道路积水,已派人 &lt;b&gt;到场" in answer.text
    assert "不会写两次" in answer.text
    secret = site.post("/drafts", {**typed, "password": "KANARI-SECRET"})
    assert secret.status_code == 500
    assert "KANARI" not in secret.text
    site.sign_out()


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


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("民政局\u202e局水", "民政局�局水"),  # the order turned around
        ("民政局\u200b", "民政局�"),  # another department, to a program
        ("民\u200c政\u200d局", "民�政�局"),
        ("admin\u2066\u3164", "admin��"),
        ("一家三口👨\u200d👩\u200d👧", "一家三口👨\u200d👩\u200d👧"),
        ("plain", "plain"),
    ],
)
def test_no_name_reads_as_another_s(written: str, read: str) -> None:
    """A clerk decides by the name that they see; one that hides something shows it."""
    template = environment([]).from_string('<b title="{{ name }}">{{ name }}</b>')
    assert template.render(name=written) == f'<b title="{read}">{read}</b>'


def test_what_another_node_writes_hides_nothing(town: Town) -> None:
    """What turns text around no node takes; what is not seen comes over the feed, and is shown."""
    town.event(descriptor="路灯\u200b不亮", description_public="<img src=x onerror=alert(3)>")
    town.served.settle()
    town.town.sign_in("clerk", login="reads-hidden")
    shown = town.town.get("/events").text
    assert "路灯�不亮" in shown
    assert "<img src=x" not in shown
    town.town.sign_out()


def test_a_refusal_that_repeats_somebody_s_words_keeps_nobody_waiting(town: Town) -> None:
    """Sentences are found by patterns; an address of 30 KiB would have kept them for minutes."""
    sentence = "a note was sent at {} and 370830000000 has not received it yet"
    assert in_chinese(sentence.format("09:12")) is not None
    assert in_chinese(sentence.format("was sent at " * 2000)) is None
    assert in_chinese("a: " * 10_000) is None
    raised = call(town).hex()
    town.county.sign_in("centre", login="long-address")
    answer = town.county.post(f"/calls/{raised}/steps/{'a:%20' * 5000}", {"request_id": "0" * 32})
    assert answer.status_code in (403, 404)
    town.county.sign_out()
