"""`huying disclosure` and `huying department`, over three nodes that serve their desks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.hub.cli import app
from huying.node.cli.main import execute
from huying.node.provision_keeper import Keeper
from huying.wire.v1 import feed_pb2
from tests.unit.served_network import ServedNetwork
from tests.unit.tiny_network import COUNTY, VILLAGE, event

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


@pytest.fixture
def desks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desks]:
    monkeypatch.delenv("HUYING_CONFIG", raising=False)
    served = ServedNetwork(tmp_path, monkeypatch)
    try:
        found = Desks(served, capsys, monkeypatch)
        found.at(COUNTY, "department", "add", DEPARTMENT, "--phone", "0537-7212345")
        yield found
    finally:
        served.close()


def test_the_commands_of_a_provision_work_as_they_are_promised(desks: Desks) -> None:
    """Asked at the county, decided at the village, read at the county, ended by the clock."""
    asked = desks.document(
        COUNTY, "disclosure", "request", desks.place, "--field", "reporter_phone",
        "--purpose", "回访报告人", "--expires", "2d", "--department", DEPARTMENT,
    )  # fmt: skip
    assert (asked["stage"], asked["home"], asked["fields"]) == (
        "waiting", VILLAGE, ["reporter_phone"],
    )  # fmt: skip
    record = asked["request"]
    (waiting,) = desks.document(VILLAGE, "disclosure", "list", "--waiting")["provisions"]
    assert (waiting["department"], waiting["purpose"]) == (DEPARTMENT, "回访报告人")
    shown = desks.document(VILLAGE, "disclosure", "show", record)
    assert shown["subject"]["reporter_name"] == NAME
    assert "reporter_phone" not in shown["subject"]
    assert shown["key_published"]
    approved = desks.document(VILLAGE, "disclosure", "approve", record)
    assert approved["decision"]["decided_by"] == "p-201"
    opened = desks.document(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT)
    assert opened["fields"] == {"reporter_phone": PHONE}
    assert desks.document(VILLAGE, "disclosure", "show", record)["uses"][0]["use"] == "shown"
    desks.served.settle(2 * 86400.0)
    desks.rounds()
    ended = desks.document(VILLAGE, "disclosure", "show", record)
    assert (ended["stage"], ended["sealed_here"]) == ("expired", False)
    assert [one["use"] for one in ended["uses"]] == ["shown", "dropped"]
    desks.at(COUNTY, "disclosure", "open", record, "--department", DEPARTMENT, code=5)
    assert "its time is over" in desks.error
