"""The command line: what it prints where, what it exits with, and what works without a node."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import metamorphic_log as other
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.feed.merkle import leaf_hash
from huying.common.feed.note import VerifierKey
from huying.common.feed.tlog_proof import format_proof, pack_extra, parse_proof, unpack_extra
from huying.common.records import REGISTRY
from huying.hub.cli import app
from huying.node.cli import output
from huying.node.cli.main import build_app, execute
from huying.node.cli.plain import from_plain, parse_fields, to_plain
from huying.node.cli.status import _feed_row, _print
from huying.wire.v1 import api_pb2, calls_pb2, records_pb2
from tests.unit.served_network import ServedNetwork
from tests.unit.tiny_network import COUNTY, GRID, NETWORK, TOWN, VILLAGE

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Iterator[ServedNetwork]:
    network = ServedNetwork(tmp_path_factory.mktemp("network"), patch)
    try:
        yield network
    finally:
        network.close()


@pytest.fixture
def huying(
    served: ServedNetwork,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs a command at a node: `huying(VILLAGE, "status")`; `down=True` as if it did not run."""

    def run(code: str, *arguments: str, down: bool = False) -> Result:
        address = "127.0.0.1:1" if down else served.address(code)
        monkeypatch.setenv("HUYING_API__LISTEN", address)
        capsysbinary.readouterr()
        exit_code = execute(app(), ["--config", str(served.configs[code].file), *arguments])
        out, err = capsysbinary.readouterr()
        return Result(exit_code, out, err.decode())

    return run


EVENT_FIELDS = (
    *("--field", "category=道路", "--field", "status=reported", "--field", f"grid={GRID}"),
    *("--field", "reported_micros=1", "--field", "description_full=路灯坏了 电话13912345678"),
    *("--field", "reporter_phone=13912345678"),
)


@pytest.fixture
def event(huying: Run) -> dict[str, Any]:
    result = huying(VILLAGE, "record", "put", "event", *EVENT_FIELDS, "--json")
    assert result.code == 0, result.err
    document: dict[str, Any] = result.json
    return document


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


def vkey(served: ServedNetwork, code: str, kind: str = "feed") -> str:
    identity = served._identity(code)
    signer = identity.feed_signer if kind == "feed" else identity.witness_signer
    return str(signer.key)


def test_the_head_is_a_note_byte_for_byte_with_the_parents_cosignature(
    served: ServedNetwork, huying: Run, event: dict[str, Any]
) -> None:
    """Another implementation of C2SP signed notes reads it, so nothing may be added to it."""
    served.settle()
    note = huying(VILLAGE, "feed", "head").out
    assert note.startswith(f"{NETWORK}/feed/{VILLAGE}/e1\n".encode())
    assert note.endswith(b"\n")
    assert f"\n— {NETWORK}/witness/{TOWN} ".encode() in note
    document = huying(VILLAGE, "feed", "head", "--json").json
    assert document["note"].encode() == note
    # The town holds the same head of the village's feed, by code and by origin.
    for name in (VILLAGE, f"{NETWORK}/feed/{VILLAGE}/e1"):
        assert (
            huying(TOWN, "feed", "head", name, down=True).out.split(b"\n\n")[0]
            == (note.split(b"\n\n")[0])
        )


def test_feeds_are_listed_with_size_and_root(huying: Run, event: dict[str, Any]) -> None:
    """Two nodes that hold one feed can be compared by eye."""
    at_village = huying(VILLAGE, "feed", "list", "--json").json["feeds"]
    at_county = huying(COUNTY, "feed", "list", "--json").json["feeds"]
    village = next(feed for feed in at_village if feed["code"] == VILLAGE)
    county = next(feed for feed in at_county if feed["code"] == VILLAGE)
    assert (village["size"], village["root"]) == (county["size"], county["root"])
    assert county["openings_withheld"] > 0
    assert huying(VILLAGE, "feed", "list").code == 0


def test_an_entry_is_shown_with_every_compartment_held_or_withheld(
    huying: Run, event: dict[str, Any]
) -> None:
    """What travels and what stays is there to be looked at, entry by entry."""
    index = str(event["index"])
    own = huying(VILLAGE, "feed", "show", index, "--json").json
    assert {slot["state"] for slot in own["entry"]["slots"]} == {"present"}
    assert own["entry"]["fields"]["reporter_phone"] == "13912345678"
    above = huying(COUNTY, "feed", "show", index, "--feed", VILLAGE, "--json")
    assert b"13912345678" not in above.out
    slots = {slot["slot"]: slot for slot in above.json["entry"]["slots"]}
    assert slots["0x03"]["state"] == "present"
    assert slots["0x0d"] == {
        "slot": "0x0d",
        "level": "village",
        "addressed": False,
        "state": "withheld",
        "fields": ["reporter_phone"],
    }
    assert above.json["leaf_hash"] == own["leaf_hash"]
    assert "未授 withheld" in huying(COUNTY, "feed", "show", index, "--feed", VILLAGE).out.decode()


@pytest.fixture
def proof(served: ServedNetwork, huying: Run, event: dict[str, Any], tmp_path: Path) -> Path:
    served.settle()
    file = tmp_path / "entry.tlog-proof"
    result = huying(
        VILLAGE, "feed", "prove", str(event["index"]), "-o", str(file), "--open", "category"
    )
    assert result.code == 0, result.err
    assert result.out == b""
    return file


def verify(capsys: pytest.CaptureFixture[bytes], file: Path, *arguments: str) -> Result:
    capsys.readouterr()
    code = execute(app(), ["feed", "verify", str(file), *arguments])
    out, err = capsys.readouterr()
    return Result(code, out, err.decode())


def test_a_proof_verifies_with_the_key_alone_and_shows_what_was_opened(
    served: ServedNetwork,
    event: dict[str, Any],
    proof: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """It can be handed to somebody who has no node, and who trusts nobody but a key."""
    arguments = ("--key", vkey(served, VILLAGE), "--witness", vkey(served, TOWN, "witness"))
    result = verify(capsysbinary, proof, *arguments, "--json")
    assert result.code == 0, result.err
    shown = result.json
    assert (shown["origin"], shown["index"]) == (f"{NETWORK}/feed/{VILLAGE}/e1", event["index"])
    assert shown["entry"]["head"]["record"] == event["record"]
    assert shown["entry"]["fields"]["category"] == "道路"
    assert "reporter_phone" not in shown["entry"]["fields"]
    assert [each["witness"] for each in shown["cosigned"]] == [f"{NETWORK}/witness/{TOWN}"]
    text = verify(capsysbinary, proof, *arguments).out.decode()
    assert "证明成立 · valid" in text
    assert "道路" in text


def test_a_proof_opens_just_the_head_unless_more_is_asked_for(
    huying: Run, event: dict[str, Any], tmp_path: Path
) -> None:
    """Whoever gets the file can pass it on: it must not disclose what nobody asked for."""
    index = str(event["index"])
    least = huying(VILLAGE, "feed", "prove", index, "-o", "-").out
    assert [opening[0] for opening in unpack_extra(parse_proof(least).extra)[1]] == [0]
    for name in ("0x03", "category"):
        more = huying(VILLAGE, "feed", "prove", index, "-o", "-", "--open", name).out
        assert [opening[0] for opening in unpack_extra(parse_proof(more).extra)[1]] == [0, 3]
    everything = huying(VILLAGE, "feed", "prove", index, "-o", "-", "--open", "all").out
    assert len(unpack_extra(parse_proof(everything).extra)[1]) > 4
    refused = huying(
        COUNTY, "feed", "prove", index, "--feed", VILLAGE, "-o", "-", "--open", "reporter_phone"
    )
    assert refused.code == 2
    assert "withheld from this node" in refused.err


def test_a_relay_can_prove_an_entry_of_the_feed_it_follows(
    served: ServedNetwork,
    huying: Run,
    event: dict[str, Any],
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """The village's signature verifies end to end, though the county holds but a part."""
    file = tmp_path / "relayed"
    arguments = ("feed", "prove", str(event["index"]), "--feed", VILLAGE, "-o", str(file))
    assert huying(COUNTY, *arguments, "--open", "all", down=True).code == 0
    result = verify(capsysbinary, file, "--key", vkey(served, VILLAGE), "--json")
    assert result.code == 0
    assert result.json["entry"]["fields"]["category"] == "道路"


def test_every_entry_of_every_feed_proves_at_every_node(served: ServedNetwork, huying: Run) -> None:
    """Any index, any size: an off-by-one in the tree shows at some of them."""
    for code in (VILLAGE, TOWN, COUNTY):
        for feed in huying(code, "feed", "list", "--json").json["feeds"]:
            key = vkey(served, feed["code"])
            for index in range(feed["size"]):
                data = huying(code, "feed", "prove", str(index), "--feed", feed["code"], "-o", "-")
                if data.code:  # withheld whole
                    assert "withheld whole" in data.err
                    continue
                check_independently(data.out, key)


def check_independently(data: bytes, key: str) -> None:
    """By another implementation: the note's signature, and the inclusion of the leaf."""
    proof = parse_proof(data)
    leaf, _ = unpack_extra(proof.extra)
    other.checkpoint_verify_inclusion(
        proof.checkpoint_note.decode(), [key], proof.index, leaf_hash(leaf), list(proof.proof)
    )


def tamper_leaf(data: bytes) -> bytes:
    proof = parse_proof(data)
    leaf, openings = unpack_extra(proof.extra)
    return rebuilt(data, pack_extra(leaf[:-1] + bytes([leaf[-1] ^ 1]), openings))


def tamper_opening(data: bytes) -> bytes:
    leaf, openings = unpack_extra(parse_proof(data).extra)
    changed = openings[-1][:-1] + bytes([openings[-1][-1] ^ 1])
    return rebuilt(data, pack_extra(leaf, (*openings[:-1], changed)))


def double_opening(data: bytes) -> bytes:
    leaf, openings = unpack_extra(parse_proof(data).extra)
    return rebuilt(data, pack_extra(leaf, (*openings, openings[-1])))


def rebuilt(data: bytes, extra: bytes) -> bytes:
    import dataclasses

    return format_proof(dataclasses.replace(parse_proof(data), extra=extra))


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (tamper_leaf, Code.BAD_PROOF),
        (tamper_opening, Code.OPENING_MISMATCH),
        (double_opening, Code.OPENING_MISMATCH),
        (lambda data: data[:-3], Code.BAD_NOTE),
        (lambda data: data.replace(b"\nindex ", b"\nindex 1", 1), Code.BAD_PROOF),
        (lambda _: b"", Code.BAD_PROOF),
    ],
)
def test_a_tampered_proof_is_refused_with_its_own_error(
    served: ServedNetwork,
    proof: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    tamper: Callable[[bytes], bytes],
    code: Code,
) -> None:
    """A verifier that says yes to a changed phone number is worse than none."""
    proof.write_bytes(tamper(proof.read_bytes()))
    result = verify(capsysbinary, proof, "--key", vkey(served, VILLAGE))
    assert result.code == ADVICE[code].exit_code
    assert f"error {code.name}" in result.err
    assert result.out == b""


def test_a_proof_of_another_origin_or_without_the_witness_asked_for_is_refused(
    served: ServedNetwork, proof: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Which keys count is for the verifier to say, not for the file."""
    wrong = verify(capsysbinary, proof, "--key", vkey(served, TOWN))
    assert "error BAD_SIGNATURE" in wrong.err
    lacking = verify(
        capsysbinary,
        proof,
        *("--key", vkey(served, VILLAGE), "--witness", vkey(served, COUNTY, "witness")),
    )
    assert f"{NETWORK}/witness/{COUNTY}: did not cosign" in lacking.err
    # A key on the command line is input; KEY would send the reader to look at a node's own keys.
    junk = verify(capsysbinary, proof, "--key", "junk")
    assert (junk.code, junk.out) == (ADVICE[Code.INVALID_ARGUMENT].exit_code, b"")
    assert "error INVALID_ARGUMENT: --key: " in junk.err


def test_a_proof_comes_with_the_command_that_verifies_it(
    served: ServedNetwork, huying: Run, event: dict[str, Any], tmp_path: Path
) -> None:
    """Copied as it stands it must work, at the writer and two tiers above, which has no pin."""
    served.settle()
    for code in (VILLAGE, COUNTY):
        file = tmp_path / f"{code} entry"
        arguments = ("feed", "prove", str(event["index"]), "--feed", VILLAGE, "-o", str(file))
        said = huying(code, *arguments, down=True).err.splitlines()
        words = shlex.split(said[-1])
        assert words[:3] == ["huying", "feed", "verify"]
        assert words[-1] == vkey(served, VILLAGE)
        assert execute(app(), words[1:]) == 0


def test_keys_may_come_from_pin_files(
    served: ServedNetwork, proof: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A pin file is what neighbours hand each other; nobody should have to cut a key out of it."""
    village, town = (str(served.configs[code].file.parent / "pin.toml") for code in (VILLAGE, TOWN))
    shown = verify(capsysbinary, proof, "--pin", village, "--witness", town, "--json")
    assert shown.code == 0, shown.err
    assert [each["witness"] for each in shown.json["cosigned"]] == [f"{NETWORK}/witness/{TOWN}"]
    assert shown.json["cosignatures_unchecked"] == 0
    assert "error BAD_SIGNATURE" in verify(capsysbinary, proof, "--pin", town).err
    unpinned = verify(capsysbinary, proof, "--pin", str(proof))
    assert "error INVALID_ARGUMENT: --pin: " in unpinned.err
    for arguments in ((), ("--pin", village, "--key", vkey(served, VILLAGE))):
        assert verify(capsysbinary, proof, *arguments).code == 2


def test_a_proof_says_what_was_not_checked_and_what_is_not_in_the_file(
    served: ServedNetwork, proof: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A cosignature of a witness that nobody named counts for nothing, and must not look as if."""
    key = ("--key", vkey(served, VILLAGE))
    text = verify(capsysbinary, proof, *key).out.decode()
    assert "另有 1 个见证签名未核对" in text
    assert "本文件未附 not in this file" in text
    assert "withheld" not in text
    witness = ("--witness", vkey(served, TOWN, "witness"))
    assert "未核对" not in verify(capsysbinary, proof, *key, *witness).out.decode()


def test_verification_loads_neither_the_network_nor_the_database(
    served: ServedNetwork, proof: Path, tmp_path: Path
) -> None:
    """A court's machine has Python and the file; and it should not wait long."""
    program = (
        "import sys; from huying.hub.cli import app; from huying.node.cli.main import execute;"
        "code = execute(app(), sys.argv[1:]);"
        "heavy = {'grpc', 'sqlalchemy', 'alembic', 'structlog'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(code)"
    )
    pin = served.configs[TOWN].file.parent / "pin.toml"
    keys = ("--key", vkey(served, VILLAGE), "--witness", str(pin))
    done = subprocess.run(
        [sys.executable, "-c", program, *("feed", "verify", str(proof), "--json"), *keys],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / top) for top in TOPS)},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["valid"] is True


TOPS = ("common", "node", "hub")


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


def test_fsck_finds_a_sound_store_sound_and_a_flipped_byte_by_its_place(
    served: ServedNetwork, huying: Run, event: dict[str, Any]
) -> None:
    """Corruption is found before it is served."""
    sound = huying(VILLAGE, "fsck", "--json")
    assert sound.code == 0, sound.json["problems"]
    assert sound.json["signatures_checked"] > 0
    assert huying(VILLAGE, "fsck").out.decode().count("完好 · sound") == 1
    index = event["index"]
    store = served.network.stores[VILLAGE]
    feed = store.feed(f"{NETWORK}/feed/{VILLAGE}/e1")
    assert feed is not None
    (entry,) = store.entries(feed.feed_id, index, index + 1)
    broken = entry._replace(openings=entry.openings[:-1] + bytes([entry.openings[-1] ^ 1]))
    with store.transaction():
        store.set_entry(feed.feed_id, index, broken)
    try:
        found = huying(VILLAGE, "fsck", "--json")
        assert found.code == ADVICE[Code.CORRUPT].exit_code
        assert any(f"entry {index}" in problem for problem in found.json["problems"])
    finally:
        with store.transaction():
            store.set_entry(feed.feed_id, index, entry)


def test_the_doctor_looks_at_everything_and_changes_nothing(
    served: ServedNetwork,
    huying: Run,
    event: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One command to run first when somebody telephones."""
    served.configs[VILLAGE].mark_file.unlink(missing_ok=True)
    result = huying(VILLAGE, "doctor", "--json")
    checks = {check["name"]: check for check in result.json["checks"]}
    assert set(checks) >= {
        "clock",
        "disk",
        "keys",
        "certificate",
        "store",
        "mark",
        "parent",
        "node",
    }
    assert checks["keys"]["outcome"] == "ok"
    assert checks["store"]["outcome"] == "ok"
    assert checks["parent"]["outcome"] == "warn"  # nothing listens at the port it was given
    # The tiny network keeps its mark in memory: entries without a mark are a restored backup.
    assert checks["mark"]["outcome"] == "fail"
    assert (result.code, result.json["ok"]) == (6, False)
    monkeypatch.setattr(output, "PIPE_COLUMNS", 80)
    text = huying(VILLAGE, "doctor").out.decode()
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    block = text[text.index("故障 FAIL  高水位标记 mark") :].splitlines()
    assert block[1] == "  标记缺失或属于另一台主机"
    assert block[2].startswith("  怎么办:")
    assert "what to do: " in text
    assert all(check["detail_zh"] for check in checks.values())
    assert not served.configs[VILLAGE].mark_file.exists()


def test_the_doctor_finds_a_key_that_others_may_read(served: ServedNetwork, huying: Run) -> None:
    """The one mistake of a restore that nobody notices."""
    key = next(served.configs[TOWN].keys_dir.glob("feed-*.key"))
    key.chmod(0o644)
    try:
        result = huying(TOWN, "doctor", "--json", down=True)
    finally:
        key.chmod(0o600)
    keys = next(check for check in result.json["checks"] if check["name"] == "keys")
    assert keys["outcome"] == "fail"
    assert str(key) in keys["detail"]
    assert keys["advice_zh"]


def test_the_configuration_is_checked_and_shown_without_a_secret(
    served: ServedNetwork, huying: Run
) -> None:
    """It is pasted into tickets."""
    assert huying(VILLAGE, "config", "check", "--json").json["valid"] is True
    shown = huying(VILLAGE, "config", "show", "--json")
    assert shown.json["node"]["code"] == VILLAGE
    assert served.token(VILLAGE).encode() not in shown.out
    assert huying(VILLAGE, "config", "show").code == 0


def test_init_makes_a_node_and_prints_its_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command of a new county."""
    arguments = ["init", str(tmp_path / "n"), "--network", NETWORK, "--code", COUNTY]
    assert execute(app(), [*arguments, "--name", "汶上县", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert VerifierKey.parse(made["verifier_key"]).name == f"{NETWORK}/feed/{COUNTY}/e1"
    assert execute(app(), [*arguments, "--name", "汶上县"]) == 2
    assert "never overwritten" in capsys.readouterr().err


def test_a_node_that_never_wrote_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new node's own feed is not unknown to it: there is nothing in it yet."""
    arguments = ["init", str(tmp_path / "n"), "--network", NETWORK, "--code", COUNTY]
    assert execute(app(), [*arguments, "--name", "汶上县"]) == 0
    file = tmp_path / "n" / "node.toml"
    capsys.readouterr()
    assert execute(app(), ["--config", str(file), "feed", "head"]) == 5
    assert "还没有写过 · nothing written yet" in capsys.readouterr().err


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


def scalar(field: Any) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values if value.number])
    if field.type == field.TYPE_BYTES:
        return st.binary(min_size=1, max_size=20)
    if field.type == field.TYPE_BOOL:
        return st.just(True)
    if field.type == field.TYPE_STRING:
        return st.text(min_size=1, max_size=20)
    bits = 32 if field.type == field.TYPE_UINT32 else 64
    return st.integers(1, 2**bits - 1)


def messages(descriptor: Any, factory: Any) -> st.SearchStrategy[Any]:
    plain = [f for f in descriptor.fields if f.message_type is None and not f.is_repeated]
    return st.fixed_dictionaries({}, optional={f.name: scalar(f) for f in plain}).map(
        lambda values: factory(**values)
    )


@given(st.data())
def test_records_survive_the_way_to_json_and_back(data: st.DataObject) -> None:
    """What `record get` prints, `record put --json-file` takes."""
    spec = data.draw(st.sampled_from(list(REGISTRY.values())))
    message = data.draw(messages(spec.message_class.DESCRIPTOR, spec.message_class))
    through = json.loads(json.dumps(to_plain(message)))
    assert from_plain(spec.message_class, through) == message


def test_a_nested_message_survives_too() -> None:
    """Steps of a call are nested; a list inside one as well."""
    step = calls_pb2.CallStep(
        call=bytes(16), dispatch=calls_pb2.Dispatch(department="a", co_handlers=["b", "c"])
    )
    assert from_plain(calls_pb2.CallStep, to_plain(step)) == step
    pairs = ["dispatch.department=a", "dispatch.co_handlers=b", "dispatch.co_handlers=c"]
    fields = parse_fields(calls_pb2.CallStep, pairs)
    assert from_plain(calls_pb2.CallStep, fields).dispatch == step.dispatch


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"nonsense": 1}, "nonsense: no such field"),
        ({"category": 1}, "category: a text"),
        ({"category": "\ud800"}, "category: a text in Unicode"),
        ({"status": "nonsense"}, "status: one of reported, settled, called"),
        ({"status": True}, "status: one of"),
        ({"reported_micros": -1}, "reported_micros: a whole number"),
        ({"reported_micros": 1.5}, "reported_micros: a whole number"),
        ({"reported_micros": True}, "reported_micros: a whole number"),
        ({"reported_micros": 2**64}, "reported_micros: a whole number"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_the_field_named(
    plain: dict[str, Any], said: str
) -> None:
    """`int()` and friends accept junk; a record must not be what nobody wrote."""
    with pytest.raises(HuyingError) as caught:
        from_plain(records_pb2.Event, plain)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.detail.startswith(said)


@pytest.mark.parametrize(
    "pair", ["category", "reported_micros=1_000", "reported_micros=٣", "a.b=1"]
)
def test_a_field_on_the_command_line_that_does_not_fit_is_refused(pair: str) -> None:
    """Underscores and foreign digits pass int(); they are not what an operator means."""
    with pytest.raises(HuyingError):
        from_plain(records_pb2.Event, parse_fields(records_pb2.Event, [pair]))


def test_a_field_given_twice_is_refused() -> None:
    """The last one would win, silently."""
    with pytest.raises(HuyingError, match="given once"):
        parse_fields(records_pb2.Event, ["category=a", "category=b"])
