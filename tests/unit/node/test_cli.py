"""The command line: what it prints where, what it exits with, and what works without a node."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from huying.common.errors import ADVICE, Code, HuyingError
from huying.hub.cli import app
from huying.node.cli import output
from huying.node.cli.main import build_app, execute
from huying.node.cli.status import _feed_row, _print
from huying.wire.v1 import api_pb2
from tests.support.commands import EVENT_FIELDS, Run
from tests.support.places import ROOT, TOPS
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE


def test_a_record_put_from_fields_is_got_back(huying: Run, event: dict[str, Any]) -> None:
    """What the writer typed is what is shown, by the names that the proto has."""
    found = huying(VILLAGE, "record", "get", "event", event["record"], "--json").json
    assert found["fields"]["category"] == "道路"
    assert found["fields"]["status"] == "reported"
    assert found["fields"]["reporter_phone"] == "13912345678"
    assert found["withheld"] == []
    assert (found["home"], found["index"]) == (VILLAGE, event["index"])


def test_the_text_that_travels_is_masked_and_shown_to_the_writer(huying: Run) -> None:
    """A phone number in the description must not leave the village by way of a free text."""
    result = huying(VILLAGE, "record", "put", "event", *EVENT_FIELDS, "--json")
    assert "13912345678" not in result.err
    assert "路灯坏了" in result.err
    found = huying(COUNTY, "record", "get", "event", result.json["record"], "--home", VILLAGE)
    assert b"13912345678" not in found.out


def test_what_is_withheld_is_listed_by_name_and_never_shown(
    huying: Run, event: dict[str, Any]
) -> None:
    """The county sees that a phone number exists, and that it is not here."""
    arguments = ("record", "get", "event", event["record"], "--home", VILLAGE)
    found = huying(COUNTY, *arguments, "--json").json
    assert {"reporter_phone", "description_full"} <= set(found["withheld"])
    assert "reporter_phone" not in found["fields"]
    plain = huying(COUNTY, *arguments).out.decode()
    assert re.search(r"reporter_phone\s+〔未授予 withheld〕", plain)


def test_records_are_read_from_the_store_while_the_node_is_down(
    huying: Run, event: dict[str, Any]
) -> None:
    """A village's machine may be looked into without starting the node."""
    found = huying(VILLAGE, "record", "list", "event", "--json", down=True)
    assert event["record"] in {record["record"] for record in found.json["records"]}
    assert huying(VILLAGE, "record", "get", "event", event["record"], down=True).code == 0


def test_pages_of_a_list_go_on_with_the_token_given(huying: Run) -> None:
    """The token is hex, so that a shell can carry it."""
    for _ in range(3):
        huying(VILLAGE, "record", "put", "event", *EVENT_FIELDS)
    first = huying(VILLAGE, "record", "list", "event", "--limit", "2", "--json").json
    assert len(first["records"]) == 2
    token = first["next_page"]
    second = huying(VILLAGE, "record", "list", "event", "--page", token, "--json").json
    assert second["records"][0]["record"] > first["records"][-1]["record"]


def test_a_write_while_the_node_is_down_says_so_in_both_languages(huying: Run) -> None:
    """Two lines, Chinese first; the code's name; what to do; and the table's exit code."""
    result = huying(VILLAGE, "record", "put", "event", *EVENT_FIELDS, down=True)
    assert result.code == ADVICE[Code.UNREACHABLE].exit_code
    assert result.out == b""
    zh, en = result.err.splitlines()[-2:]
    assert zh == "错误:连不上节点,请确认已运行"
    assert en.startswith("error UNREACHABLE: ")
    assert "is it running?" in en


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("record", "put", "nonsense"), Code.INVALID_ARGUMENT, "type: one of division"),
        (("record", "put", "event", "--field", "x=1"), Code.INVALID_ARGUMENT, "x: no such field"),
        (("record", "put", "event"), Code.INVALID_ARGUMENT, "missing"),
        (("record", "put", "call"), Code.INVALID_ARGUMENT, "huying call raise"),
        (("record", "put", "member"), Code.INVALID_ARGUMENT, "huying init"),
        (("record", "get", "event", "00"), Code.INVALID_ARGUMENT, "ID: 32 hex digits"),
        (("record", "get", "event", "00" * 16), Code.NOT_FOUND, "no such record"),
        (("record", "put", "event", "--json-file", "/none"), Code.INVALID_ARGUMENT, "--json-file"),
        (("feed", "head", "370830999000"), Code.NOT_FOUND, "370830999000"),
        (("feed", "show", "99999"), Code.NOT_FOUND, "entry 99999"),
        (("feed", "prove", "99999", "-o", "-"), Code.NOT_FOUND, "entry 99999"),
        (("feed", "prove", "0", "-o", "-", "--open", "0x99"), Code.INVALID_ARGUMENT, "0x99"),
        (("call", "show", "00" * 16), Code.NOT_FOUND, "no such call"),
        (("call", "list", "--stage", "x"), Code.INVALID_ARGUMENT, "one of raised, received, "),
    ],
)
def test_each_refusal_exits_with_its_code_and_prints_nothing_to_stdout(
    huying: Run, event: dict[str, Any], arguments: tuple[str, ...], code: Code, said: str
) -> None:
    """A script reads stdout and the exit code; a person reads stderr."""
    result = huying(VILLAGE, *arguments)
    assert result.code == ADVICE[code].exit_code, result.err
    assert result.out == b""
    assert f"error {code.name}: " in result.err
    assert said in result.err


def test_a_missing_configuration_says_which_file_and_what_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first thing that goes wrong on a new machine."""
    assert execute(app(), ["--config", str(tmp_path / "node.toml"), "status"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("错误:配置有误\n")
    assert "no such file; create a node with: huying init" in err


def test_a_usage_error_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    """As shells and scripts expect; and the framework's English comes after a line in Chinese."""
    for arguments in (["feed", "verify"], ["call", "list", "--limit", "x"], ["nonsense"]):
        assert execute(app(), arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        zh, en = err.split("\n", 1)
        assert zh == "错误:命令用法有误"
        assert en.startswith("Usage: huying ")
        assert "Error: " in en


def test_a_group_without_a_command_shows_its_help_and_no_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asking what there is is no mistake."""
    execute(app(), ["feed"])
    out, err = capsys.readouterr()
    assert "verify" in out + err
    assert "错误" not in out + err


@pytest.mark.parametrize(
    ("code", "detail", "zh"),
    [
        (Code.INVALID_ARGUMENT, "--home: 12 digits", "输入有误:--home"),
        (Code.INVALID_ARGUMENT, "--open 0x99: no such part", "输入有误:--open"),
        (Code.INVALID_ARGUMENT, "grid: 15 digits", "输入有误:grid"),
        (Code.INVALID_ARGUMENT, "/tmp/entry.proof: No such file", "输入有误"),
        (Code.INVALID_ARGUMENT, "what was sent: too long", "输入有误"),
        (Code.NOT_FOUND, "entry: none", "没有找到"),
    ],
)
def test_an_error_names_the_option_or_the_field_in_the_chinese_line_too(
    code: Code, detail: str, zh: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads no English must see what to mend."""
    output.print_error(HuyingError(code, detail))
    assert capsys.readouterr().err.splitlines()[0] == f"错误:{zh}"


def test_an_unforeseen_exception_shows_its_kind_and_not_its_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback on the screen may hold a person's record."""
    monkeypatch.delenv("HUYING_TRACEBACK", raising=False)
    broken = build_app()

    @broken.command()
    def fail() -> None:
        raise RuntimeError("张三 13912345678")

    assert execute(broken, ["fail"]) == 1
    err = capsys.readouterr().err
    assert "RuntimeError" in err
    assert "张三" not in err


def test_the_status_of_a_running_node_has_the_documented_keys(
    served: ServedNetwork, huying: Run, event: dict[str, Any]
) -> None:
    """Scripts depend on them: keys may be added, never renamed."""
    served.settle()
    status = huying(TOWN, "status", "--json").json
    assert {"verifier_key", "feeds", "peers", "state", "witness_key", "code"} <= status.keys()
    feed = next(each for each in status["feeds"] if f"/{VILLAGE}/" in each["origin"])
    assert {"origin", "size", "root", "state", "lag_seconds", "remote_head_size"} <= feed.keys()
    assert feed["size"] > 0
    assert status["state"] == "live"
    peer = next(each for each in status["peers"] if each["code"] == VILLAGE)
    assert peer["connected"] is True
    text = huying(TOWN, "status").out.decode()
    assert "义桥镇" in text
    assert status["verifier_key"] in text  # unbroken, so that it can be copied


def test_the_status_of_a_node_that_is_down_comes_from_its_store_with_lag_unknown(
    huying: Run, event: dict[str, Any]
) -> None:
    """Unknown is null, never 0: nobody can tell how far a node that is down is behind."""
    result = huying(TOWN, "status", "--json", down=True)
    assert result.code == 0
    assert "the node is down" in result.err
    status = result.json
    assert status["state"] == "down"
    assert {feed["lag_seconds"] for feed in status["feeds"]} == {None}
    assert {peer["connected"] for peer in status["peers"]} == {False}
    running = huying(TOWN, "status", "--json").json
    assert status["verifier_key"] == running["verifier_key"]
    # The county has no pin of the village: its name is in the town's roster.
    below = huying(COUNTY, "status", "--json", down=True).json["feeds"]
    assert all(feed["name"] for feed in below), below
    sizes = {feed["origin"]: (feed["size"], feed["root"]) for feed in status["feeds"]}
    for feed in running["feeds"]:
        assert sizes[feed["origin"]] == (feed["size"], feed["root"])
    assert "未知 unknown" in huying(TOWN, "status", down=True).out.decode()


def feed_status(**fields: Any) -> api_pb2.FeedStatus:
    held = {"name": "义桥镇", "state": "catching_up", "size": 23_456, "remote_head_size": 23_456}
    origin = f"{NETWORK}/feed/{TOWN}/e1"
    return api_pb2.FeedStatus(**{"origin": origin, **held, "openings_held": 12_345, **fields})


def test_a_feed_that_is_not_cosigned_here_shows_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    """A county cosigns its towns alone: 0 beside a village's feed would read as a fault."""
    assert _feed_row(feed_status(), down=False)[5:7] == ("—", "12,345")
    assert _feed_row(feed_status(cosigned_size=1000), down=False)[2:6:3] == ("23,456", "1,000")


def test_no_heading_and_no_number_is_broken_on_a_narrow_terminal(
    served: ServedNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heading cut inside a word, or a number on two lines, is read wrongly."""
    monkeypatch.setattr(output, "PIPE_COLUMNS", 80)
    status = api_pb2.StatusResponse(origin=f"{NETWORK}/feed/{COUNTY}/e1", state="live")
    status.feeds.append(feed_status(cosigned_size=22_222, openings_withheld=33_333))
    _print(served.configs[COUNTY], status)
    text = capsys.readouterr().out
    table = text[text.index("数据流 ", text.index(str(served.configs[COUNTY].file))) :]
    words = table.split()
    headings = {"feed", "state", "entries", "behind", "lag", "cosigned", "openings", "withheld"}
    assert headings | {"23,456", "12,345", "22,222", "33,333"} <= set(words)
    assert all(cell_len(line.rstrip()) <= 80 for line in table.splitlines())
    status.feeds[0].state = "live"
    _print(served.configs[COUNTY], status)
    assert f"{TOWN}/e1" in capsys.readouterr().out.split()  # there is room for every word


def test_a_revoked_node_is_told_so_at_the_top_and_what_to_do(
    served: ServedNetwork, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a state `live` nobody reads on to the row of the feed."""
    status = api_pb2.StatusResponse(origin=f"{NETWORK}/feed/{TOWN}/e1", state="live")
    status.feeds.add(origin=status.origin, state="revoked", reason="the parent says so")
    _print(served.configs[TOWN], status)
    shown = capsys.readouterr()
    assert "已吊销 revoked" in next(x for x in shown.out.splitlines() if "状态 · state" in x)
    assert "docs/runbook/revoke.md" in shown.out + shown.err


def test_a_node_that_nobody_named_is_shown_by_its_code_once() -> None:
    """Twelve digits twice in a row look like two nodes."""
    assert output.division(TOWN, TOWN) == output.division("", TOWN) == TOWN
    assert output.division("义桥镇", TOWN) == f"义桥镇 {TOWN}"


def test_help_is_quick_and_in_both_languages(tmp_path: Path) -> None:
    """Imports are lazy: half a second is the least an impatient operator should wait."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / top) for top in TOPS)}
    command = [sys.executable, "-m", "huying.hub.cli", "--help"]
    best = 99.0
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=True)
        best = min(best, time.perf_counter() - began)
    text = done.stdout.decode()
    for command_name in ("init", "run", "status", "record", "call", "feed", "fsck", "doctor"):
        assert re.search(rf"^  {command_name}\b.*·", text, re.MULTILINE)
    assert best < 2.0  # a quarter of a second on an idle machine


def test_a_call_goes_its_way_on_the_command_line(huying: Run) -> None:
    """The town calls, the county answers, the town confirms; each at its own terminal."""
    raised = huying(
        TOWN,
        *("call", "raise", "--title", "路灯不亮", "--category", "道路", "--village", VILLAGE),
        "--json",
    )
    assert raised.code == 0, raised.err
    call = raised.json["call"]
    early = huying(TOWN, "call", "confirm", call, "--resolved")
    assert early.code == ADVICE[Code.WRONG_STAGE].exit_code
    dispatched = huying(
        COUNTY,
        *("call", "dispatch", call, "--department", "交通局", "--deadline", "2026-01-31T17:00"),
    )
    assert dispatched.code == 0, dispatched.err
    assert huying(COUNTY, "call", "answer", call, "--text", "已修好").code == 0
    confirmed = huying(TOWN, "call", "confirm", call, "--resolved", "--satisfaction", "5")
    assert confirmed.code == 0, confirmed.err
    shown = huying(VILLAGE, "call", "show", call, "--json", down=True).json
    assert (shown["stage"], shown["department"], shown["satisfaction"]) == (
        "confirmed",
        "交通局",
        5,
    )
    steps = [step["step"] for step in shown["steps"]]
    assert sorted(steps) == ["answer", "confirm", "dispatch", "raise", "took", "took"]
    listed = huying(COUNTY, "call", "list", "--stage", "confirmed", "--json").json["calls"]
    assert call in {each["call"] for each in listed}
    assert "路灯不亮" in huying(COUNTY, "call", "list").out.decode()
    assert "交通局" in huying(TOWN, "call", "show", call).out.decode()


def test_every_read_has_a_json_form() -> None:
    """A read without one makes somebody parse a table."""
    import typer

    def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from leaves(child, (*path, name))
        else:
            yield path, command

    without = {
        " ".join(path)
        for path, command in leaves(typer.main.get_command(app()), ())
        if not any("--json" in param.opts for param in command.params)
    }
    # A proof file is not JSON, nor is a sheet; a watch prints lines of JSON (--jsonl); the demo and
    # the bench parse their own options.
    # The console's commands serve pages, and print one address.
    others = {"run", "feed prove", "duty export", "duty example", "watch", "demo", "bench"}
    others |= {"console serve", "console link"}
    assert without == others
