"""An exported call: proves itself offline, and shows every hand that was laid on it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.feed.note import VerifierKey
from huying.hub.cli import app
from huying.hub.sequencer import CallSequencer
from huying.node.cli.call_verify import verify_folder
from huying.node.cli.main import execute
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE, step

PHONE = "13800000000"


@pytest.fixture(scope="module")
def run(served: ServedNetwork) -> Callable[..., None]:
    def run_one(code: str, *arguments: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HUYING_API__LISTEN", served.address(code))
            config = ["--config", str(served.configs[code].file)]
            assert execute(app(), [*config, "call", *arguments]) == 0, arguments

    return run_one


@pytest.fixture(scope="module")
def call(served: ServedNetwork, run: Callable[..., None]) -> str:
    """A call with proposals of the town, a void one, and a party that joined late."""
    from huying.wire.v1 import api_pb2, calls_pb2

    with served.client(TOWN) as town:
        raised = town.raise_call(
            api_pb2.RaiseCallRequest(
                call=calls_pb2.Call(category="道路", title="路灯不亮", contact_phone=PHONE)
            )
        )
    call = raised.call.hex()
    run(COUNTY, "dispatch", call, "--department", "交通局")
    run(COUNTY, "party", call, "--code", VILLAGE)
    run(COUNTY, "answer", call, "--text", "已修好")
    run(TOWN, "urge", call)
    run(TOWN, "confirm", call, "--satisfaction", "5")
    served.settle()
    return call


@pytest.fixture(scope="module")
def keys(served: ServedNetwork) -> dict[str, str]:
    found = {}
    for code in (COUNTY, TOWN, VILLAGE):
        with served.client(code) as client:
            found[code] = client.status().verifier_key
    return found


@pytest.fixture(scope="module")
def exported(run: Callable[..., None], call: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "call"
    run(COUNTY, "export", call, "-o", str(folder))
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(exported, tmp_path / "call"))


def verify(folder: Path, *keys: str) -> dict[str, Any]:
    return verify_folder(folder, [VerifierKey.parse(key) for key in keys])


def refusal(code: Code, words: str) -> pytest.RaisesExc[HuyingError]:
    return pytest.raises(HuyingError, check=lambda error: error.code is code, match=words)


def sum_up(folder: Path) -> None:
    """As a forger does who knows of the list of digests."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    lines = (
        f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in files
        if name != "SHA256SUMS"
    )
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    """Change call.json, and sum up again."""
    file = folder / "call.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    sum_up(folder)


def test_an_export_verifies_in_another_process_with_the_keys_alone(
    exported: Path, call: str, keys: dict[str, str], tmp_path: Path
) -> None:
    """The auditor has a folder and keys from elsewhere; no node, no configuration."""
    command = [sys.executable, "-m", "huying.hub.cli", "call", "verify", str(exported), "--json"]
    for key in keys.values():
        command += ["--key", key]
    done = subprocess.run(command, capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)
    assert (report["valid"], report["call"], report["stage"]) == (True, call, "confirmed")
    assert report["entries"] == report["verified"]
    assert report["unverified"] == []
    assert report["state"]["satisfaction"] == 5
    assert {feed["origin"] for feed in report["feeds"]} == {
        f"{NETWORK}/feed/{code}/e1" for code in (COUNTY, TOWN)
    }


def test_every_entry_is_there_the_partys_and_the_disclosure_too(exported: Path) -> None:
    """What opened the earlier steps to a late party belongs to the call's history."""
    entries = json.loads((exported / "call.json").read_text())["entries"]
    kinds = [entry["step"] for entry in entries]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "took": 3,
        "dispatch": 1,
        "party": 1,
        "answer": 1,
        "disclosure": 1,
        "raise": 1,
        "urge": 1,
        "confirm": 1,
    }
    numbers = [entry["number"] for entry in entries if entry["number"]]
    assert numbers == list(range(1, 7))


def test_entries_of_feeds_without_a_key_are_counted_as_unverified(
    exported: Path, keys: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The county's key shows the state; what the town said of itself needs the town's."""
    report = verify(exported, keys[COUNTY])
    assert {one["origin"] for one in report["unverified"]} == {f"{NETWORK}/feed/{TOWN}/e1"}
    assert execute(app(), ["call", "verify", str(exported), "--key", keys[COUNTY]]) == 0
    assert "UNVERIFIED" in capsys.readouterr().out


def test_the_key_of_the_answering_node_is_needed(exported: Path, keys: dict[str, str]) -> None:
    """Without it nothing that the state follows from is proven."""
    with refusal(Code.INVALID_ARGUMENT, f"--key: give the key of {NETWORK}/feed/{COUNTY}/e1"):
        verify(exported, keys[TOWN])


def test_the_callers_contact_stays_out_of_an_export_unless_it_is_asked_for(
    run: Callable[..., None], call: str, tmp_path: Path, keys: dict[str, str]
) -> None:
    """A proof can be passed on by whoever gets it."""
    for name, options, shown in (("a", (), False), ("b", ("--all",), True)):
        folder = tmp_path / name
        run(TOWN, "export", call, "-o", str(folder), *options)
        texts = [json.dumps(_shown(file)) for file in folder.rglob("*.proof")]
        assert any(PHONE in text for text in texts) is shown
        assert verify(folder, keys[COUNTY], keys[TOWN])["state"]["stage"] == "confirmed"


def _shown(file: Path) -> str:
    from huying.common.feed.tlog_proof import parse_proof, unpack_extra

    return str(unpack_extra(parse_proof(file.read_bytes()).extra)[1])


def test_every_node_exports_a_call_that_verifies(
    run: Callable[..., None], call: str, tmp_path: Path, keys: dict[str, str]
) -> None:
    """Also the village, which joined late and reads what was opened to it."""
    states = []
    for code in (COUNTY, TOWN, VILLAGE):
        folder = tmp_path / code
        run(code, "export", call, "-o", str(folder))
        states.append(verify(folder, *keys.values())["state"])
    assert states[0] == states[1] == states[2]


def test_no_byte_of_an_export_can_change_unseen(
    exported: Path, folder: Path, keys: dict[str, str]
) -> None:
    """Whoever flips one bit anywhere, in whichever file, is found out."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = file.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 12)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(HuyingError):
                verify(folder, *keys.values())
        file.write_bytes(whole)
    assert verify(folder, *keys.values())["valid"]


def test_no_byte_of_a_proof_can_change_although_the_digests_are_made_anew(
    folder: Path, keys: dict[str, str]
) -> None:
    """The list of digests is no signature; the checkpoints are."""
    for file in sorted(folder.rglob("*.proof")):
        whole = file.read_bytes()
        # What follows are cosignatures. Nobody gave the witnesses' keys, so nobody checks these.
        signed = whole.find("\n— ".encode() + NETWORK.encode() + b"/witness/")
        assert signed > 0
        for at in range(0, signed, max(1, signed // 12)):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            sum_up(folder)
            with pytest.raises(HuyingError):
                verify(folder, *keys.values())
        file.write_bytes(whole)
    sum_up(folder)


def test_a_file_that_is_missing_or_added_is_named(folder: Path, keys: dict[str, str]) -> None:
    """An auditor must learn which one, not just that something is wrong."""
    proof = min(folder.rglob("*.proof"))
    name = proof.relative_to(folder).as_posix()
    data = proof.read_bytes()
    proof.unlink()
    with refusal(Code.EXPORT_TAMPERED, f"{name}: is missing"):
        verify(folder, *keys.values())
    proof.write_bytes(data)
    (folder / "entries" / "more.proof").write_bytes(data)
    with refusal(Code.EXPORT_TAMPERED, "entries/more.proof: was added"):
        verify(folder, *keys.values())
    (folder / "entries" / "more.proof").unlink()
    (folder / "link").symlink_to(proof)
    with refusal(Code.EXPORT_TAMPERED, "link: was added"):
        verify(folder, *keys.values())


def test_a_step_that_is_left_out_leaves_a_gap_in_the_numbers(
    folder: Path, keys: dict[str, str]
) -> None:
    """A forger who drops the third step from all three lists still can't renumber the fourth."""

    def drop(document: Any) -> None:
        (gone,) = (entry for entry in document["entries"] if entry["number"] == 3)
        (folder / gone["file"]).unlink()
        document["entries"].remove(gone)

    edit(folder, drop)
    with refusal(Code.EXPORT_TAMPERED, "is step 4; the sequencer's step 3 is missing"):
        verify(folder, *keys.values())


def test_a_number_that_comes_again_is_named_and_no_forgery(
    served: ServedNetwork, run: Callable[..., None], keys: dict[str, str], tmp_path: Path
) -> None:
    """A county that lost steps counts on from less, until a party gives them back."""
    from huying.wire.v1 import api_pb2, calls_pb2

    with served.client(TOWN) as town:
        request = api_pb2.RaiseCallRequest(call=calls_pb2.Call(category="道路", title="井盖"))
        call = town.raise_call(request).call
    run(COUNTY, "admit", call.hex())
    again = step(call, note=calls_pb2.Note(text="已联系"), number=1)
    with mock.patch.object(CallSequencer, "complete", return_value=(again,)):
        served.thread.run(served.runtimes[COUNTY].append([again]))
    run(COUNTY, "dispatch", call.hex(), "--department", "交通局")
    run(COUNTY, "export", call.hex(), "-o", str(tmp_path / "call"))
    report = verify(tmp_path / "call", *keys.values())
    (named,) = report["repeated_numbers"]
    assert named.startswith("entries/370830000000-e1-")
    assert report["steps"] == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["state"].update(stage="closed"), "state.stage is not what the steps"),
        (lambda d: d["state"].update(satisfaction=True), "state.satisfaction is not"),
        (lambda d: d["state"].pop("urges"), "state is not"),
        (lambda d: d["entries"][0].update(step="answer"), "says another step of"),
        (lambda d: d["entries"].pop(), "its list of entries is not that"),
        (lambda d: d.update(call="00" * 16), "is not about call 0000"),
        (lambda d: d.update(caller=VILLAGE), "is not about call"),
        (lambda d: d.pop("state"), "lacks one of"),
        (lambda d: d.update(entries=[1]), "an entry of its list is none"),
    ],
)
def test_what_the_list_says_is_held_to_the_proofs(
    folder: Path, keys: dict[str, str], change: Callable[[Any], None], words: str
) -> None:
    """Anybody can write call.json; nothing of it is believed that the proofs don't show."""
    edit(folder, change)
    with refusal(Code.EXPORT_TAMPERED, words):
        verify(folder, *keys.values())


def test_a_proof_of_another_call_is_refused(
    folder: Path,
    run: Callable[..., None],
    served: ServedNetwork,
    keys: dict[str, str],
    tmp_path: Path,
) -> None:
    """A true proof of something else is the best of forgeries."""
    from huying.wire.v1 import api_pb2, calls_pb2

    with served.client(TOWN) as town:
        other = town.raise_call(
            api_pb2.RaiseCallRequest(call=calls_pb2.Call(category="道路", title="另一件"))
        ).call.hex()
    run(TOWN, "export", other, "-o", str(tmp_path / "other"))
    (stranger,) = (tmp_path / "other").rglob(f"{TOWN}*.proof")
    shutil.copy(stranger, folder / "entries")
    name = f"entries/{stranger.name}"
    added = json.loads((tmp_path / "other" / "call.json").read_text())["entries"]
    edit(folder, lambda d: d["entries"].extend(one for one in added if one["file"] == name))
    with refusal(Code.EXPORT_TAMPERED, f"{name}: is not about call"):
        verify(folder, *keys.values())


def test_nothing_is_ever_written_over(
    served: ServedNetwork, call: str, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An export is evidence; a second one must not replace the first."""
    before = {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    config = ["--config", str(served.configs[COUNTY].file)]
    code = execute(app(), [*config, "call", "export", call, "-o", str(exported)])
    assert code == ADVICE[Code.INVALID_ARGUMENT].exit_code
    assert "not empty" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]


def test_an_export_may_fill_the_empty_folder_one_stands_in(
    run: Callable[..., None],
    call: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: dict[str, str],
) -> None:
    """`-o .` is what somebody types who made the folder first."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    monkeypatch.chdir(folder)
    run(COUNTY, "export", call, "-o", ".")
    assert verify(folder, *keys.values())["valid"]
    assert [path.name for path in tmp_path.iterdir()] == ["evidence"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("SHA256SUMS", b"\xff\n", "not UTF-8"),
        ("SHA256SUMS", b"00  call.json\n", "malformed"),
        ("SHA256SUMS", b"0" * 64 + b"  ../call.json\n", "malformed"),
        ("SHA256SUMS", b"", "its lines are not"),
        ("call.json", b"[" * 100_000, "call.json: not JSON"),
        ("call.json", b"[]", "lacks one of"),
    ],
)
def test_a_hostile_folder_is_refused_by_name(
    folder: Path, keys: dict[str, str], name: str, data: bytes, words: str
) -> None:
    """The verifier reads what strangers hand it."""
    (folder / name).write_bytes(data)
    if name != "SHA256SUMS":
        sum_up(folder)
    with refusal(Code.EXPORT_TAMPERED, words):
        verify(folder, *keys.values())


def test_a_folder_that_is_none_is_said_to_be_none(tmp_path: Path, keys: dict[str, str]) -> None:
    """A wrong path is the commonest mistake of all."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with refusal(Code.INVALID_ARGUMENT, "no exported call"):
            verify(path, *keys.values())


def test_verification_loads_neither_the_network_nor_the_database(exported: Path) -> None:
    """Whoever verifies has a laptop, not a node."""
    script = (
        "import sys; from huying.hub.cli import app; from huying.node.cli.main import execute;"
        f"execute(app(), ['call', 'verify', {str(exported)!r}]);"
        "print([m for m in ('grpc', 'sqlalchemy', 'alembic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.stdout.decode().strip().endswith("[]"), done.stderr.decode()
