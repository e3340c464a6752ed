"""Feeds, entries and proofs by the command line: what is shown is what anybody can verify."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import metamorphic_log as other
import pytest

from huying.common.errors import ADVICE, Code
from huying.common.feed.merkle import leaf_hash
from huying.common.feed.tlog_proof import format_proof, pack_extra, parse_proof, unpack_extra
from huying.hub.cli import app
from huying.node.cli.main import execute
from tests.support.commands import Result, Run
from tests.support.places import ROOT, TOPS
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE


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
