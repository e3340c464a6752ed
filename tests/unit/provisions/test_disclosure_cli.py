"""`huying disclosure` and `huying department`, over three nodes that serve their desks."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.hub.cli import app
from huying.node import department_keys
from huying.node.cli.main import execute
from huying.node.desk import NODE_TOPICS
from huying.node.provision_keeper import Keeper
from huying.wire.v1 import feed_pb2, provision_pb2
from tests.support.enrolled import make_node
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event

DEPARTMENT = "县交通运输局"
PHONE = "13900007777"
NAME = "KANARI-ZHANG"


class Desks:
    """Commands at one of the three nodes, each a process of its own as far as it can tell."""

    def __init__(
        self,
        served: ServedNetwork,
        capsys: pytest.CaptureFixture[str],
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.served = served
        self.error = ""
        self._capsys = capsys
        self._patch = patch
        self.keepers = {
            code: Keeper(code, (), served.readers[code], served.runtimes[code])
            for code in served.configs
        }
        message = event(1)
        message.reporter_phone, message.reporter_name = PHONE, NAME
        with served.client(VILLAGE) as client:
            from huying.wire.v1 import api_pb2

            draft = api_pb2.Draft(
                kind=feed_pb2.KIND_PUT,
                type=feed_pb2.RECORD_TYPE_EVENT,
                message=message.SerializeToString(),
            )
            receipt = client.append(api_pb2.AppendRequest(drafts=[draft])).receipts[0]
        self.event, self.place = receipt.record.hex(), f"{receipt.origin}#{receipt.index}"

    def at(self, node: str, *arguments: str, code: int = 0) -> str:
        """What a command prints at a node."""
        self._patch.setenv("HUYING_API__LISTEN", self.served.address(node))
        self._patch.setenv("HUYING_ACTOR", f"p-{node[-3:]}")
        found = execute(app(), ["--config", str(self.served.configs[node].file), *arguments])
        out, self.error = self._capsys.readouterr()
        assert found == code, (out, self.error)
        return out

    def document(self, node: str, *arguments: str) -> Any:
        return json.loads(self.at(node, *arguments, "--json"))

    def request(self, *more: str) -> str:
        """The id of a request of the county's one department."""
        asked = self.document(
            COUNTY, "disclosure", "request", self.event, "--field", "phone", "--purpose", "回访",
            "--expires", "2d", *more,
        )  # fmt: skip
        found: str = asked["request"]
        return found

    def rounds(self, *nodes: str) -> int:
        """The nodes' own rounds, twice, by the network's clock; how many requests wait last."""
        waiting = 0
        for node in (nodes or tuple(self.keepers)) * 2:
            now = int(self.served.network.clock.seconds * 1e6)
            waiting, _ = self.served.thread.run(self.keepers[node].round(now))
        return waiting


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    """For tests that look at their own request alone."""
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("shared"), patch)
        yield served
        served.close()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ServedNetwork]:
    """For tests that look at all there is, or move the clock."""
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path, patch)
        yield served
        served.close()


def _at_work(
    served: ServedNetwork, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
) -> Desks:
    patch.delenv("HUYING_CONFIG", raising=False)
    found = Desks(served, capsys, patch)
    found.at(COUNTY, "department", "add", DEPARTMENT, "--phone", "0537-7212345")
    return found


@pytest.fixture
def desks(
    shared: ServedNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desks:
    return _at_work(shared, capsys, monkeypatch)


@pytest.fixture
def fresh(
    alone: ServedNetwork, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desks:
    return _at_work(alone, capsys, monkeypatch)


def test_the_commands_of_a_provision_work_as_they_are_promised(fresh: Desks) -> None:
    """Asked at the county, decided at the village, read at the county, ended by the clock."""
    asked = fresh.document(
        COUNTY, "disclosure", "request", fresh.place, "--field", "reporter_phone",
        "--purpose", "回访反映人", "--expires", "2d", "--department", DEPARTMENT,
    )  # fmt: skip
    assert (asked["stage"], asked["home"], asked["fields"]) == (
        "waiting", VILLAGE, ["reporter_phone"],
    )  # fmt: skip
    record = asked["request"]
    (waiting,) = fresh.document(VILLAGE, "disclosure", "list", "--waiting")["provisions"]
    assert (waiting["department"], waiting["purpose"]) == (DEPARTMENT, "回访反映人")
    shown = fresh.document(VILLAGE, "disclosure", "show", record)
    assert shown["subject"]["reporter_name"] == NAME
    assert "reporter_phone" not in shown["subject"]
    assert shown["key_published"]
    approved = fresh.document(VILLAGE, "disclosure", "approve", record)
    assert approved["decision"]["decided_by"] == "p-201"
    opened = fresh.document(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT)
    assert opened["fields"] == {"reporter_phone": PHONE}
    assert fresh.document(VILLAGE, "disclosure", "show", record)["uses"][0]["use"] == "shown"
    fresh.served.settle(2 * 86400.0)
    fresh.rounds()
    ended = fresh.document(VILLAGE, "disclosure", "show", record)
    assert (ended["stage"], ended["sealed_here"]) == ("expired", False)
    assert [one["use"] for one in ended["uses"]] == ["shown", "dropped"]
    fresh.at(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT, code=5)
    assert "its time is over" in fresh.error


def test_a_record_id_and_a_short_name_are_enough_to_ask(desks: Desks) -> None:
    """The event is known by its id, its one phone field by `phone`, the department by itself."""
    document = desks.document(VILLAGE, "disclosure", "show", desks.request())
    assert (document["fields"], document["department"]) == (["reporter_phone"], DEPARTMENT)
    assert (document["type"], document["record"]) == ("event", desks.event)
    assert document["actor"] == "p-000"


def test_a_clerk_reads_who_asks_for_what_and_for_how_long(fresh: Desks) -> None:
    """In words; the program's names stand beside them."""
    record = fresh.request()
    listed = fresh.at(VILLAGE, "disclosure", "list", "--waiting")
    for word in (record, DEPARTMENT, "反映人电话", "回访", "等待 waiting"):
        assert word in listed
    shown = fresh.at(VILLAGE, "disclosure", "show", record)
    for word in ("谁要", "要什么", "用途", "用到", "谁的数据 · of whom: reporter_name", NAME):
        assert word in shown
    assert PHONE not in listed + shown
    assert "没有这样的申请" not in fresh.at(COUNTY, "disclosure", "list")
    fresh.at(VILLAGE, "disclosure", "deny", record)
    assert json.loads(fresh.at(VILLAGE, "disclosure", "list", "--waiting", "--json")) == {
        "provisions": [],
        "next_page": None,
    }


def test_a_purpose_can_not_pass_for_a_line_of_the_screen(desks: Desks) -> None:
    """A clerk decides by what stands there: no text of another node may look like the node's."""
    forged = "回访\n状态 · stage  已同意 approved"
    record = desks.request("--purpose", forged)
    lines = desks.at(VILLAGE, "disclosure", "show", record).splitlines()
    assert ["等待" in line for line in lines if line.startswith("状态")] == [True]
    assert any(line.startswith(" ") and "已同意" in line for line in lines)
    listed = desks.at(VILLAGE, "disclosure", "list", "--waiting").splitlines()
    assert [line for line in listed if "已同意" in line and "用途" not in line] == []
    assert any(line.split() == ["谁要", "who", "asks", DEPARTMENT] for line in listed)


def test_who_asked_is_told_that_the_home_has_not_answered(desks: Desks) -> None:
    """A village may be cut off for weeks: the request waits, and says since when nothing came."""
    record = desks.request()
    shown = desks.document(COUNTY, "disclosure", "show", record)
    assert (shown["stage"], shown["subject"]) == ("waiting", {})
    assert shown["home_heard_micros"] > 1_600_000_000_000_000
    text = desks.at(COUNTY, "disclosure", "list", "--waiting")
    assert "等待 waiting" in text
    assert "last heard of" in " ".join(text.split())
    desks.at(COUNTY, "disclosure", "open", record, code=5)
    assert "has not decided" in desks.error


def test_a_denial_carries_a_listed_reason(desks: Desks) -> None:
    """The responder learns what to do next."""
    record = desks.request()
    desks.at(VILLAGE, "disclosure", "deny", record, "--reason", "because", code=2)
    assert "wrong_person" in desks.error
    denied = desks.document(
        VILLAGE, "disclosure", "deny", record, "--reason", "wrong_person", "--text", "另有其人"
    )
    assert denied["decision"]["reason"] == "wrong_person"
    shown = desks.at(COUNTY, "disclosure", "show", record)
    assert "对象有误 wrong person" in shown
    assert "另有其人" in shown
    desks.at(VILLAGE, "disclosure", "approve", record, code=5)
    assert "decided already" in desks.error


def test_a_withdrawal_is_told_to_who_had_it(desks: Desks) -> None:
    """And nothing of it can be opened from then on."""
    record = desks.request()
    desks.at(VILLAGE, "disclosure", "withdraw", record, code=5)
    desks.at(VILLAGE, "disclosure", "approve", record)
    desks.at(COUNTY, "disclosure", "open", record)
    ended = desks.document(VILLAGE, "disclosure", "withdraw", record, "--reason", "本人撤回")
    assert (ended["stage"], ended["decision"]["text"]) == ("withdrawn", "本人撤回")
    assert ended["decision"]["approved_by"] == "p-201"
    assert "曾同意 · approved before" in desks.at(COUNTY, "disclosure", "show", record)
    desks.at(COUNTY, "disclosure", "open", record, code=5)
    assert "withdrawn" in desks.error


def test_a_value_is_opened_by_the_department_that_asked_alone(fresh: Desks) -> None:
    """In words too, with what to do; and no error repeats a value."""
    fresh.at(COUNTY, "department", "add", "县民政局")
    record = fresh.request("--department", DEPARTMENT)
    fresh.at(VILLAGE, "disclosure", "approve", record)
    fresh.at(COUNTY, "disclosure", "open", record, code=2)
    assert "--department" in fresh.error
    for other in ("县民政局", "县林业局"):  # the second has no key here, and that is not the reason
        fresh.at(COUNTY, "disclosure", "open", record, "--department", other, code=5)
        assert "NOT_ENTITLED" in fresh.error
    fresh.at(VILLAGE, "disclosure", "open", record, "--department", DEPARTMENT, code=5)
    assert PHONE not in fresh.error
    opened = fresh.at(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT)
    assert PHONE in opened
    assert "不得转存" in fresh.error
    department_keys.key_file(fresh.served.configs[COUNTY], DEPARTMENT).unlink()
    fresh.at(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT, code=6)
    assert "KEY" in fresh.error


def test_a_town_may_not_decide_for_its_village(desks: Desks) -> None:
    """It carries the request, and that is all."""
    record = desks.request()
    for command in ("approve", "deny"):
        desks.at(TOWN, "disclosure", command, record, code=5)
        assert VILLAGE in desks.error
    desks.at(COUNTY, "disclosure", "approve", record, code=5)
    desks.at(VILLAGE, "disclosure", "approve", record, "--actor", "rule:none", code=2)


def test_the_ledger_of_both_sides_is_written_to_a_sheet(fresh: Desks, tmp_path: Path) -> None:
    """Who asked, who decided, who looked, when it went: a row each, for whoever inspects."""
    given, refused = fresh.request(), fresh.request("--purpose", "=cmd|' /C calc'!A0")
    fresh.at(VILLAGE, "disclosure", "approve", given)
    fresh.at(VILLAGE, "disclosure", "deny", refused)
    fresh.at(COUNTY, "disclosure", "open", given)
    for node in (COUNTY, VILLAGE):
        document = fresh.document(node, "disclosure", "ledger")
        assert [one["request"] for one in document["provisions"]] == [refused, given]
        file = tmp_path / f"{node}.csv"
        fresh.at(node, "disclosure", "ledger", "-o", str(file))
        with file.open(encoding="utf-8-sig", newline="") as table:
            first, second = csv.DictReader(table)
        assert first["用途 purpose"].startswith("'"), "no cell of it is a formula"
        assert (second["查看次数 looks"], second["查看人 looked"]) == ("1", "p-000")
        assert second["决定人 decided by"] == second["同意人 approved by"] == "p-201"
        assert (first["同意人 approved by"], first["同意时间 approved"]) == ("", "—")
        assert PHONE not in file.read_text("utf-8-sig")
        fresh.at(node, "disclosure", "ledger", "-o", str(tmp_path / f"{node}.xlsx"))
    later = fresh.document(COUNTY, "disclosure", "ledger", "--since", "2099-01-01")
    assert later == {"provisions": []}
    fresh.at(COUNTY, "disclosure", "ledger", "--since", "2d", code=2)
    assert "2026-12-31T17:00" in fresh.error
    assert "2d" not in fresh.error, "what is said to be taken, is taken"
    assert DEPARTMENT in fresh.at(COUNTY, "disclosure", "ledger")
    fresh.at(COUNTY, "disclosure", "ledger", "-o", str(tmp_path / "x.pdf"), code=2)


def test_whose_data_it_was_is_told_who_got_it(desks: Desks) -> None:
    """`subject show` is what a resident is told from."""
    record = desks.request()
    desks.at(VILLAGE, "disclosure", "approve", record)
    desks.at(COUNTY, "disclosure", "open", record)
    kinds = {
        one["kind"]: one
        for one in desks.document(VILLAGE, "subject", "show", desks.event)["decisions"]
    }
    assert kinds["provide"]["parties"] == [COUNTY, DEPARTMENT]
    assert "reporter_phone" in kinds["provide"]["reason"]
    assert kinds["look"]["parties"] == [COUNTY, DEPARTMENT, "p-000"]
    assert "提供 provided" in desks.at(VILLAGE, "subject", "show", desks.event)


def test_a_departments_key_is_its_nodes_alone(fresh: Desks) -> None:
    """The public half goes down to all; entering it again keeps it; a village has none."""
    config = fresh.served.configs[COUNTY]
    file = department_keys.key_file(config, DEPARTMENT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    first = fresh.document(COUNTY, "department", "list")["departments"]
    again = fresh.document(COUNTY, "department", "add", DEPARTMENT, "--phone", "0537-1")
    assert again["hpke_key"] == first[0]["hpke_key"]
    (known,) = fresh.document(VILLAGE, "department", "list")["departments"]
    assert (known["hpke_key"], known["key_here"]) == (again["hpke_key"], False)
    assert DEPARTMENT in fresh.at(VILLAGE, "department", "list")
    fresh.at(VILLAGE, "department", "add", "村委会", code=4)
    fresh.at(COUNTY, "department", "add", "", code=2)
    fresh.at(COUNTY, "department", "add", "县民政局\n县公安局", code=2)
    assert "one line" in fresh.error
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--expires", "0d"), "--expires"),
        (("--expires", "tomorrow"), "2026-12-31T17:00"),
        (("--expires", "31d"), "30 days"),
        (("--expires", "2020-01-01"), "past"),
        (("--call", "zz"), "--call"),
        (("--field", "category"), "category"),
    ],
)
def test_what_is_asked_for_wrongly_is_told_by_name(
    desks: Desks, arguments: tuple[str, str], word: str
) -> None:
    """The option, the limit, and what to write instead."""
    options = {"--expires": "2d", "--purpose": "x", "--field": "phone"}
    options |= dict([arguments])
    given = [part for pair in options.items() for part in pair]
    code = 5 if "category" in arguments else 2
    desks.at(COUNTY, "disclosure", "request", desks.event, *given, code=code)
    assert word in desks.error
    desks.at(COUNTY, "disclosure", "request", "x#y", *given, code=2)


def test_only_a_node_with_the_departments_key_asks_for_it(desks: Desks) -> None:
    """Or nobody could open the answer."""
    desks.at(
        COUNTY, "disclosure", "request", desks.event, "--field", "phone", "--purpose", "x",
        "--expires", "6h", "--department", "县林业局", code=5,
    )  # fmt: skip
    assert "huying department add" in desks.error


def test_a_node_that_is_down_is_asked_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A village decides on what came by stick, without starting its node."""
    made = make_node(tmp_path, COUNTY, sync_listen="127.0.0.1:1", api_listen="127.0.0.1:1")
    monkeypatch.setenv("HUYING_ACTOR", "d01")

    def run(*arguments: str) -> Any:
        assert execute(app(), ["--config", str(made.config.file), *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    added = run("department", "add", DEPARTMENT)
    assert run("department", "list")["departments"][0]["hpke_key"] == added["hpke_key"]
    assert run("disclosure", "list", "--waiting") == {"provisions": [], "next_page": None}


def test_no_view_holds_what_was_sealed(desks: Desks) -> None:
    """A program that lists provisions gets no bytes that a stolen key would open."""
    record = bytes.fromhex(desks.request())
    desks.at(VILLAGE, "disclosure", "approve", record.hex())
    topic = next(one for one in NODE_TOPICS if one.name == "Provisions")
    request = provision_pb2.ShowProvisionRequest(record=record)
    with desks.served.client(COUNTY) as client:
        view = client.ask_desk(topic, "ShowProvision", request, 10.0)
    assert view.sealed_here
    assert view.decision.decided_by
    assert not view.decision.sealed
