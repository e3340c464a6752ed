"""A call in words: what a clerk reads in `huying call show`."""

from __future__ import annotations

from typing import Any

import pytest

from huying.node.cli.call_text import in_reading_order, stage_text, step_name, step_text
from huying.node.cli.output import readable, when
from huying.wire.v1 import api_pb2

COUNTY, TOWN = "370830000000", "370830108000"


def step(code: str, index: int, name: str, **content: Any) -> dict[str, Any]:
    return {
        "origin": f"wenshang.example/feed/{code}/e1",
        "index": index,
        "time_micros": 1,
        "step": name,
        "content": content,
        "pending": False,
        "void": False,
        "void_reason": None,
    }


def took(index: int, of: int) -> dict[str, Any]:
    ref = {"origin": f"wenshang.example/feed/{TOWN}/e1", "index": of}
    return step(COUNTY, index, "took", took={"ref": ref, "accepted": True})


def test_a_proposal_stands_before_the_step_that_took_it_and_an_untaken_one_last() -> None:
    """Two feeds listed one after the other tell no story: the raise came after the answer."""
    steps = [
        took(4, of=7),
        step(COUNTY, 5, "answer"),
        took(6, of=9),
        step(TOWN, 7, "raise"),
        step(TOWN, 9, "confirm"),
        step(TOWN, 11, "note"),
    ]
    ordered = in_reading_order({"sequencer": COUNTY, "steps": steps})
    assert [each["index"] for each in ordered] == [7, 4, 5, 9, 6, 11]


def test_no_step_is_left_out_where_what_a_took_speaks_of_is_not_held() -> None:
    """A village may hold the county's took and not the town's entry."""
    ordered = in_reading_order({"sequencer": COUNTY, "steps": [took(4, of=7)]})
    assert [each["index"] for each in ordered] == [4]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"answer": {"department": "水务局", "text": "已抽排"}}, ["已抽排"]),
        ({"dispatch": {"department": "水务局", "co_handlers": ["城管局"]}}, ["水务局 城管局"]),
        ({"dispatch": {"department": "水务局", "deadline_micros": 1}}, ["期限 deadline", when(1)]),
        ({"confirm": {"satisfaction": 2, "comment": "又漏了"}}, ["未解决", "2/5", "又漏了"]),
        ({"confirm": {"resolved": True}}, ["已解决 resolved"]),
        ({"internal_note": "请王科长看"}, ["请王科长看"]),
    ],
)
def test_a_step_shows_what_it_says(content: dict[str, Any], words: list[str]) -> None:
    """The answer's own words are what the village waited for; the name of the step is not."""
    text = step_text(step(COUNTY, 1, "answer", **content))
    assert all(word in text for word in words)


def test_a_void_step_and_one_not_yet_received_say_so_first() -> None:
    """What does not count must never read as if it did."""
    void = step(TOWN, 1, "confirm", confirm={"resolved": True}) | {"void": True}
    assert step_text(void | {"void_reason": "wrong_stage"}).startswith("无效 void: wrong_stage")
    pending = step(TOWN, 1, "confirm", confirm={"resolved": True}) | {"pending": True}
    assert step_text(pending).startswith("已发出")


def test_every_stage_has_a_name_in_both_languages() -> None:
    """A stage that is added to the proto and not to the words would show in English alone."""
    prefix = "CALL_STAGE_"
    stages = [
        value.name.removeprefix(prefix).lower() for value in api_pb2.CallStage.DESCRIPTOR.values
    ]
    for stage in stages[1:]:
        assert stage_text(stage) != stage
    for name in ("raise", "took", "dispatch", "answer", "confirm", "note"):
        assert step_name(name).endswith(f" {name}")


def test_times_among_fields_are_times_of_day() -> None:
    """Nobody reads 1795349770963336 as a quarter past twelve."""
    fields = [("reported_micros", 1_795_349_770_963_336), ("generated", True), ("title", "积水")]
    shown = readable(fields)
    assert shown == [
        ("reported", when(1_795_349_770_963_336)),
        ("generated", "true"),
        ("title", "积水"),
    ]
