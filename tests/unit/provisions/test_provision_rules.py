"""What a home gives without asking a person: as its rules say, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from huying.common.calls.call_state import CallStage
from huying.common.errors import Code
from huying.node import config
from huying.node.provision_rules import CallFacts, ProvisionRule, first_match, parse_rules
from huying.wire.v1 import calls_pb2, feed_pb2, provision_pb2
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

RULE = ProvisionRule("回访", ("reporter_phone",), ("县交通局",), "open_call_lead")
EVENT, CALL, KEY = bytes(range(16)), bytes([1]) * 16, bytes([2]) * 32


def request(**more: Any) -> provision_pb2.ProvisionRequest:
    values: dict[str, Any] = {
        "fields": ["reporter_phone"],
        "department": "县交通局",
        "record": EVENT,
        "record_type": feed_pb2.RECORD_TYPE_EVENT,
        "recipient_key": KEY,
        "call": CALL,
        "caller": TOWN,
    }
    return provision_pb2.ProvisionRequest(**values | more)


FACTS = CallFacts(
    COUNTY, "县交通局", CallStage.HANDLING, calls_pb2.Call(village=VILLAGE, event=EVENT)
)
NO_EVENT = calls_pb2.Call(village=VILLAGE)


def match(asked: Any = None, call: CallFacts | None = FACTS, **more: Any) -> str:
    values: dict[str, Any] = {"asker": COUNTY, "own": VILLAGE, "published_keys": [KEY]} | more
    return first_match([RULE], asked or request(), call=call, **values)


def test_a_rule_gives_to_the_lead_of_an_open_call_about_that_very_record() -> None:
    """What the county asks for every day must not wait for a clerk."""
    assert match() == "回访"


@pytest.mark.parametrize(
    "no",
    [
        {"asked": request(fields=["reporter_phone", "reporter_name"])},
        {"asked": request(department="县民政局")},
        {"asked": request(record=bytes(16))},
        # Who raises a call may name any record as its event: a resident's, say.
        {"asked": request(record_type=feed_pb2.RECORD_TYPE_RESIDENT)},
        {"asked": request(record=b""), "call": replace(FACTS, content=NO_EVENT)},
        {"asked": request(recipient_key=bytes(32))},
        {"call": None},
        {"call": replace(FACTS, department="县民政局")},
        {"call": replace(FACTS, sequencer="370831000000")},
        {"call": replace(FACTS, stage=CallStage.CLOSED)},
        {"call": replace(FACTS, stage=CallStage.CONFIRMED)},
        {"call": replace(FACTS, content=calls_pb2.Call(village=TOWN, event=EVENT))},
        {"asker": TOWN},
        {"own": "370830108202"},
        {"published_keys": []},
    ],
    ids=range(15),
)  # fmt: skip
def test_a_rule_gives_to_nobody_else(no: dict[str, Any]) -> None:
    """Each condition holds by itself; where one does not, a person decides."""
    assert match(**no) == ""


def test_without_a_rule_nothing_is_given() -> None:
    """A person decides by default."""
    assert first_match(
        [], request(), asker=COUNTY, own=VILLAGE, call=FACTS, published_keys=[KEY]
    ) == ""  # fmt: skip


MINIMAL = f'[node]\nnetwork = "wenshang.example"\ncode = "{VILLAGE}"\nname = "义桥村"\n'


def load(folder: Path, text: str) -> config.Config:
    return config.parse(text, folder / "node.toml", {})


RULES = """
[[disclosure.rule]]
name = "回访"
fields = ["reporter_phone"]
departments = ["县交通局"]
when = "open_call_lead"
"""


def test_rules_stand_in_the_configuration(tmp_path: Any) -> None:
    """They are the village's own word, in its own file."""
    found = load(tmp_path, MINIMAL + RULES)
    assert found.disclosure.rule == (RULE,)
    assert config.show(found)["disclosure"]["rule"][0]["name"] == "回访"
    assert load(tmp_path, MINIMAL).disclosure.rule is None


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('when = "open_call_lead"', 'when = "always"', "one of open_call_lead"),
        ('when = "open_call_lead"', "", "each of them"),
        ('fields = ["reporter_phone"]', "fields = []", "not empty"),
        ('departments = ["县交通局"]', 'departments = "县交通局"', "list of names"),
        ('name = "回访"', 'name = ""', "name"),
        ("[[disclosure.rule]]", "[disclosure.rule]", "[[disclosure.rule]]"),
        (RULES, RULES + RULES, "two rules have one name"),
    ],
)
def test_a_rule_that_can_not_be_meant_is_refused(
    tmp_path: Any, old: str, new: str, word: str
) -> None:
    """A misspelt rule must not give more than its writer thinks, nor silently nothing."""
    error = refusal(lambda: load(tmp_path, MINIMAL + RULES.replace(old, new)))
    assert (error.code, word in error.detail) == (Code.CONFIG, True), error.detail


def test_the_environment_sets_no_rule() -> None:
    """A rule is more than one value."""
    with pytest.raises(ValueError, match="in the file"):
        parse_rules("open_call_lead")


@pytest.mark.parametrize(("days", "kept"), [("0", True), ("1095", False), ("1096", True)])
def test_the_ledger_is_kept_three_years_at_least(tmp_path: Any, days: str, kept: bool) -> None:
    """The law asks for it; a village's disk does not."""
    text = MINIMAL + f"\n[retention]\nprovision_days = {days}\n"
    if kept:
        assert load(tmp_path, text).retention.provision_days == int(days)
    else:
        assert "three years" in refusal(lambda: load(tmp_path, text)).detail
