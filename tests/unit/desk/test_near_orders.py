"""Which hotline orders look alike: a rule that a person can follow, at a bounded price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.limits import ORDER_COMPARISONS_MAX, ORDER_NEAR_SECONDS
from huying.common.near_orders import Sighting, are_alike, near_duplicates, sighting_of
from huying.wire.v1 import hotline_pb2

DAY = 86_400_000_000
WINDOW = int(ORDER_NEAR_SECONDS * 1e6)


def sighting(number: int, **change) -> Sighting:
    good = {
        "record": number.to_bytes(16, "big"),
        "created_micros": number,
        "category": "路灯",
        "caller": "16012345678",
        "place": "",
        "text": "村口路灯不亮",
    }
    return Sighting(**{**good, **change})


def pairs(*sightings: Sighting) -> dict[int, int]:
    found = near_duplicates(sightings, {one.record for one in sightings})
    return {int.from_bytes(a, "big"): int.from_bytes(b, "big") for a, b in found.items()}


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({}, True),
        ({"text": "村口路灯不亮了"}, True),
        ({"text": "水渠堵塞"}, False),
        ({"text": ""}, False),
        ({"category": "水利"}, False),
        ({"caller": "16000000000"}, False),
        ({"caller": ""}, False),
        ({"created_micros": 1 + WINDOW}, True),
        ({"created_micros": 2 + WINDOW}, False),
    ],
)
def test_each_part_of_the_rule_counts(change: dict[str, object], alike: bool) -> None:
    """Category, caller or place, time, text: all of them."""
    assert bool(pairs(sighting(1), sighting(2, **change))) is alike


def test_a_place_does_as_well_as_a_caller() -> None:
    """Two neighbours call about one lamp."""
    one = sighting(1, caller="1", place="生成路1号")
    assert pairs(one, sighting(2, caller="2", place="生成路1号")) == {2: 1}
    assert pairs(one, sighting(2, caller="2", place="生成路2号")) == {}


def test_an_order_points_to_the_oldest_it_is_like_and_never_forward() -> None:
    """So the first to tell is the one that is handled."""
    assert pairs(*(sighting(n) for n in (3, 1, 2))) == {2: 1, 3: 1}


def test_only_pairs_with_something_new_are_told() -> None:
    """What was imported before and looks alike was told then."""
    old, new = [sighting(1), sighting(2)], sighting(3)
    assert near_duplicates([*old, new], {new.record}) == {new.record: old[0].record}
    assert near_duplicates(old, set()) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)), max_size=24))
def test_the_order_of_the_input_does_not_matter(rows: list[tuple[int, int, int]]) -> None:
    """Files are sorted in every way."""
    made = [
        sighting(n, caller=f"1600000000{who}", place=f"p{where}", created_micros=at * DAY)
        for n, (who, where, at) in enumerate(rows, 1)
    ]
    assert pairs(*made) == pairs(*reversed(made))


def test_comparisons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand calls of one caller are no attack on the node."""
    from huying.common import near_orders

    count = 0

    def counting(one: str, other: str) -> bool:
        nonlocal count
        count += 1
        return False

    monkeypatch.setattr(near_orders, "are_alike", counting)
    many = [sighting(n, place="p", text=str(n)) for n in range(3000)]
    near_duplicates(many, {one.record for one in many})
    assert count <= ORDER_COMPARISONS_MAX * len(many)


def test_what_is_compared_does_not_hang_on_spelling() -> None:
    """+86, blanks, dashes and signs are typed by every clerk differently."""
    one = hotline_pb2.Order(
        contact_phone="+86 138-1234-5678", contact_address="生成路 1-1号", description="灯 不亮!"
    )
    other = hotline_pb2.Order(
        contact_phone="13812345678", contact_address="生成路1·1号", description="灯不亮"
    )
    left, right = sighting_of(b"a", one), sighting_of(b"b", other)
    assert (left.caller, left.place, left.text) == (right.caller, right.place, right.text)
    assert sighting_of(b"c", hotline_pb2.Order(contact_phone="120")).caller == ""


def test_texts_are_alike_by_half_of_their_pairs() -> None:
    """The rule that the documentation states."""
    assert are_alike("", "")
    assert are_alike("abc", "abcd")  # ab bc | ab bc cd: two of three
    assert not are_alike("abc", "bcd")  # one of three
    assert not are_alike("a", "")
    assert are_alike("a", "a")
