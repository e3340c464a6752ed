"""Whose duty a matter is: for a reason that anybody can check, or nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from huying.hub.demo.requests import read_requests
from huying.hub.duty_example import example_items
from huying.hub.suggest import POINTS_MIN, suggest
from huying.wire.v1 import duty_pb2, policy_pb2

EXAMPLE = example_items()


def item(number: str, **fields) -> policy_pb2.DutyItem:
    """An item with little in it."""
    return policy_pb2.DutyItem(number=number, title=fields.pop("title", f"事项{number}"), **fields)


ROADS = item("S1", title="道路维修", categories=["道路"], keywords=["坑洼", "路面"], lead="交通局")
WATER = item(
    "S2", title="农村饮水安全", categories=["供水"], keywords=["停水", "tap"], lead="水务局"
)
TOWN = item("T1", title="村道日常管护", keywords=["坑洼"])


def numbers(*matter: str) -> list[str]:
    """The suggested items for (category, title, description)."""
    return [one.item.number for one in suggest([TOWN, WATER, ROADS], *matter)]


def test_category_stands_before_words() -> None:
    """Who raised the call chose the category; a word may stand there by chance."""
    found = suggest([TOWN, WATER, ROADS], "道路", "村口路面坑洼,停水")
    assert [one.item.number for one in found] == ["S1", "S2", "T1"]
    assert [(reason.word, reason.points) for reason in found[0].reasons] == [
        ("道路", 100), ("坑洼", 20), ("路面", 20),
    ]  # fmt: skip
    assert found[0].points == 140


def test_of_equals_the_one_with_a_lead_comes_first() -> None:
    """A dispatch needs somebody to dispatch to."""
    assert numbers("", "坑洼") == ["S1", "T1"]


def test_nothing_is_suggested_where_nothing_matches() -> None:
    """A wrong department returns the call, and days are lost: no guess is better."""
    assert numbers("噪声", "邻居装修", "晚上十点还在施工") == []
    assert numbers("", "", "") == []
    assert numbers("", "", "这里有人说起停水") == []


def test_two_words_of_the_description_are_enough_and_one_is_not() -> None:
    """One word somewhere in a long text is chance."""
    assert numbers("", "", "路面有坑洼") == ["S1"]
    assert numbers("", "", "路面") == []


def test_a_category_falls_under_its_group() -> None:
    """Lists name groups; calls of a stream from elsewhere name members of them."""
    for category in ("供水 - 水压不足", "供水/停水", "供水(夜间)", "供水—漏水"):
        assert numbers(category) == ["S2"], category
    assert numbers("供水站") == []


def test_width_case_and_word_ends_are_heeded() -> None:
    """The word tap is not in tape; full width and capitals are how people type."""
    assert numbers("", "TAP water") == ["S2"]
    assert numbers("", "tape") == []
    assert numbers("道路") == ["S1"]


def test_a_reason_never_repeats_the_call() -> None:
    """Reasons are shown and logged; what a caller wrote may name a person."""
    found = suggest(EXAMPLE, "Noise - Residential", "张三家 loud music", "电话13912345678")
    words = {reason.word for one in found for reason in one.reasons}
    listed = {word for one in EXAMPLE for word in (*one.categories, *one.keywords, one.title)}
    assert words <= listed


def test_every_matter_of_the_demo_has_a_lead_in_the_example() -> None:
    """The shipped example is there to be tried with the shipped stream of requests."""
    for request in read_requests():
        best = next(iter(suggest(EXAMPLE, request.category, request.descriptor)), None)
        assert best is not None, request.category
        assert best.item.lead, request.category
        assert best.reasons[0].kind == duty_pb2.DUTY_REASON_KIND_CATEGORY, request.category


TEXTS = st.text(st.sampled_from("道路坑洼停水噪声 tap-/("), max_size=12)


@settings(max_examples=200)
@given(TEXTS, TEXTS, TEXTS, st.integers(1, 5))
def test_suggestions_are_ranked_and_each_point_has_its_reason(
    category: str, title: str, description: str, limit: int
) -> None:
    """The order of the list given decides nothing but ties."""
    found = suggest([TOWN, WATER, ROADS], category, title, description, limit=limit)
    assert len(found) <= limit
    assert [one.points for one in found] == sorted((one.points for one in found), reverse=True)
    assert all(one.points >= POINTS_MIN for one in found)
    assert all(one.points == sum(reason.points for reason in one.reasons) for one in found)
    again = suggest([ROADS, TOWN, WATER], category, title, description, limit=5)
    assert {one.item.number: one.points for one in found}.items() <= {
        one.item.number: one.points for one in again
    }.items()
