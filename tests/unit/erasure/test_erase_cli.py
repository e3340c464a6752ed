"""`huying erase`, `disclose` and `subject show`, at a village that is switched off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from huying.common.effects import DraftEntry, Operate, Operated
from huying.hub.cli import app
from huying.node.app import open_engine
from huying.node.cli.main import execute
from huying.node.config import Config
from huying.node.config import load as load_config
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.enrolled import make_node

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
NAME, PHONE = "KANARI", "13900005678"


class _Write:
    """Writes one resident."""

    def run(self, engine: Any) -> bytes:
        resident = records_pb2.Resident(grid=VILLAGE + "001", name=NAME, phone=PHONE)
        draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_RESIDENT, resident)
        (receipt,) = engine.replica.append((draft,))
        record: bytes = receipt.record
        return record


@pytest.fixture
def config(tmp_path: Path) -> Config:
    above: Path | None = None
    for code in (COUNTY, TOWN, VILLAGE):
        listen = None if code == VILLAGE else "127.0.0.1:1"
        made = make_node(
            tmp_path / code, code, parent=above, sync_listen=listen, api_listen="127.0.0.1:1"
        )
        above = made.config.file
    return load_config(tmp_path / VILLAGE / "node.toml", {})


@pytest.fixture
def record(config: Config) -> str:
    store, engine = open_engine(config)
    engine.confirmed = True
    engine.start()
    effects = engine.step([Operate(1, _Write())])
    (answer,) = (one for one in effects if isinstance(one, Operated))
    assert isinstance(answer.result, bytes)
    store.close()
    return answer.result.hex()


class Huying:
    """Runs a command at the village."""

    def __init__(self, config: Config, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = str(config.file)
        self._capsys = capsys
        self.error = ""

    def __call__(self, *arguments: str, code: int = 0) -> str:
        found = execute(app(), ["--config", self._file, *arguments])
        out, self.error = self._capsys.readouterr()
        assert found == code, self.error
        return out


@pytest.fixture
def huying(config: Config, capsys: pytest.CaptureFixture[str]) -> Huying:
    return Huying(config, capsys)


def test_a_record_is_erased_from_the_files_of_a_node_that_is_down(
    config: Config, record: str, huying: Huying
) -> None:
    """The operator must not have to start the node to keep the promise; and it is in the list."""
    database = config.database_file
    assert PHONE.encode() in database.read_bytes()
    document = json.loads(huying("erase", record, "--reason", "moved away", "--json"))
    assert document["record"] == record
    assert (document["entries"], document["openings"]) == (1, 6)
    assert document["holders"] == [COUNTY, TOWN]
    for path in database.parent.iterdir():
        assert PHONE.encode() not in path.read_bytes()
        assert NAME.encode() not in path.read_bytes()
    assert len(config.erasures_file.read_text().splitlines()) == 1
    huying("fsck")


def test_a_field_that_is_not_alone_is_refused_with_the_reason(record: str, huying: Huying) -> None:
    """In both languages, with those beside it by name; the exit code is that of a request."""
    huying("erase", record, "--field", "name", code=5)
    assert "不能单独处理" in huying.error
    assert "name shares its compartment with household, birth_date, sex" in huying.error
    huying("erase", record, "--field", "phone")


def test_what_is_held_of_a_person_and_who_got_it_under_which_decision(
    record: str, huying: Huying
) -> None:
    """The question that a resident may ask, and an operator must answer."""
    huying(
        "disclose", record, "--field", "phone", "--to", COUNTY, "--purpose", "a visit",
        "--expires", "2099-12-31", "--authority", "order 14",
    )  # fmt: skip
    huying("erase", record, "--field", "health", "--reason", "withdrawn")
    shown = json.loads(huying("subject", "show", record, "--json"))
    assert (shown["type"], shown["home"], shown["record"]) == ("resident", VILLAGE, record)
    assert shown["receipts_pending"] == [COUNTY, TOWN]
    (entry,) = shown["entries"]
    fields = {one["name"]: one for one in entry["fields"]}
    assert fields["name"]["readers"] == [VILLAGE]
    assert fields["grid"]["readers"] == [COUNTY, TOWN, VILLAGE]
    assert fields["phone"]["state"] == "present"
    assert fields["phone"]["disclosed"] == [COUNTY, TOWN]
    assert fields["health"]["state"] == "erased"
    disclosed, erased = shown["decisions"]
    assert (disclosed["kind"], disclosed["reason"]) == ("disclose", "a visit")
    assert disclosed["parties"] == [COUNTY]
    assert (erased["kind"], erased["reason"]) == ("erase", "withdrawn")
    text = huying("subject", "show", record)
    assert "未回执" in text
    assert "已删除 erased" in text


def test_erased_fields_are_named_where_the_record_and_the_entry_are_shown(
    config: Config, record: str, huying: Huying
) -> None:
    """A reader sees that something was there, and that it is gone for good."""
    huying("erase", record, "--field", "phone")
    assert json.loads(huying("record", "get", "resident", record, "--json"))["erased"] == ["phone"]
    assert "phone" in huying("record", "get", "resident", record)
    reader = FileReader(sqlite_url(config.database_file))
    row = reader.get_record(feed_pb2.RECORD_TYPE_RESIDENT, VILLAGE, bytes.fromhex(record))
    reader.close()
    assert row is not None
    entry = json.loads(huying("feed", "show", str(row.index), "--json"))["entry"]
    states = {name: slot["state"] for slot in entry["slots"] for name in slot["fields"]}
    assert states["phone"] == "erased"
    assert states["name"] == "present"


def test_an_erased_entry_still_proves(
    config: Config, record: str, huying: Huying, tmp_path: Path
) -> None:
    """The leaf stands: what was written then was written then, whatever it said."""
    huying("erase", record)
    proof = tmp_path / "entry.proof"
    huying("feed", "prove", "0", "-o", str(proof))
    key = (config.keys_dir.parent / "pin.toml").read_text()
    feed_key = next(line.split('"')[1] for line in key.splitlines() if "feed_key" in line)
    assert "证明成立" in huying("feed", "verify", str(proof), "--key", feed_key)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("erase", "zz"), 2),
        (("erase", "00" * 16), 5),
        (("subject", "show", "00" * 16), 5),
        (("disclose", "00" * 16, "--field", "x", "--to", COUNTY, "--purpose", "p"), 5),
        (("disclose", "00" * 16, "--field", "x", "--to", COUNTY, "--purpose", "p",
          "--expires", "tomorrow"), 2),
    ],
    ids=["no id", "no record", "no subject", "nothing to disclose", "no time"],
)  # fmt: skip
def test_mistakes_are_refused_by_kind(
    huying: Huying, arguments: tuple[str, ...], code: int
) -> None:
    """Each with the exit code of its kind."""
    huying(*arguments, code=code)
