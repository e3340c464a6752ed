"""The disclosure rule, held beside a second statement of it over every node of a small tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.disclosure import check_selectors, classes, in_reach, may_read, view
from huying.common.errors import Code, HuyingError
from tests.simulator import rule

PROVINCE, CITY, COUNTY = "370000000000", "370800000000", "370830000000"
OTHER_COUNTY = "370811000000"
TOWN, OTHER_TOWN = "370830108000", "370830101000"
VILLAGE = "370830108201"

TREE: dict[str, str | None] = {
    PROVINCE: None,
    CITY: PROVINCE,
    COUNTY: CITY,
    OTHER_COUNTY: CITY,
    TOWN: COUNTY,
    OTHER_TOWN: COUNTY,
    VILLAGE: TOWN,
    "370830108202": TOWN,
    "370830101201": OTHER_TOWN,
    "370811001000": OTHER_COUNTY,
    "370811001201": "370811001000",
}
LEVELS = {code: len(rule.above(TREE, code)) + 1 for code in TREE}

slot_rows = st.sets(st.integers(1, 255).filter(lambda slot: 1 <= slot % 8 <= 5), max_size=6).map(
    lambda slots: bytes((0, *sorted(slots)))
)


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, bytes, tuple[str, ...]]:
    """(origin, slots, to) as an honest writer may choose them."""
    origin = draw(st.sampled_from(sorted(TREE)))
    below = [code for code in TREE if origin in rule.above(TREE, code)]
    selectors = [f"={code}" for code in below] + [f"{code}/*" for code in (*below, origin)]
    to = draw(st.lists(st.sampled_from(selectors), max_size=4, unique=True))
    return origin, draw(slot_rows), tuple(to)


@given(entries())
@settings(max_examples=400)
def test_the_rule_agrees_with_its_second_statement_for_every_reader(
    entry: tuple[str, bytes, tuple[str, ...]],
) -> None:
    """One rule serves every path, so an error in it would be everywhere at once."""
    origin, slots, to = entry
    expected = rule.readers(TREE, LEVELS, origin, slots, to)
    for reader in TREE:
        assert view(reader, origin, slots, to).readable == expected[reader]
        assert in_reach(reader, origin, slots, to) is bool(expected[reader])
        for slot in slots[1:]:
            assert may_read(reader, origin, slot, to) is (slot in expected[reader])


@given(entries())
@settings(max_examples=400)
def test_whoever_stands_between_the_origin_and_a_reader_may_read_too(
    entry: tuple[str, bytes, tuple[str, ...]],
) -> None:
    """Otherwise a relay would have to pass on what it must not have."""
    origin, slots, to = entry
    for reader in TREE:
        way = rule.between(TREE, origin, reader) + rule.between(TREE, reader, origin)
        for carrier in way:
            carried = view(carrier, origin, slots, to).readable
            assert set(view(reader, origin, slots, to).readable) <= set(carried)


@given(entries())
@settings(max_examples=400)
def test_every_reader_falls_in_exactly_one_class_and_nobody_else_in_any(
    entry: tuple[str, bytes, tuple[str, ...]],
) -> None:
    """A reader in two classes, or in none, would see gaps where there are none, or miss some."""
    origin, slots, to = entry
    names = classes(origin, slots, to)
    for reader in TREE:
        mine = [
            name
            for name in names
            if name == reader
            or (name.endswith("/*") and name[:-2] in (reader, *rule.above(TREE, reader)))
        ]
        seen_by = view(reader, origin, slots, to)
        if reader == origin:
            assert seen_by.class_position == -1
        elif seen_by.readable:
            assert mine == [seen_by.class_name]
        else:
            assert mine == []
            assert seen_by.class_name == ""


def test_classes_are_nodes_then_regions_each_sorted() -> None:
    """`seen` is parallel to them, so their order is part of the format."""
    to = (f"{OTHER_TOWN}/*", f"={VILLAGE}")
    assert classes(COUNTY, bytes((0, 0x82)), to) == (
        CITY,
        TOWN,
        VILLAGE,
        f"{OTHER_TOWN}/*",
    )


def test_a_village_s_private_field_stays_and_its_town_and_county_fields_rise() -> None:
    """The first promise, in the smallest case."""
    slots = bytes((0, 3, 4, 5, 13))
    assert view(VILLAGE, VILLAGE, slots, ()).readable == slots
    assert view(TOWN, VILLAGE, slots, ()).readable == bytes((0, 3, 4))
    assert view(COUNTY, VILLAGE, slots, ()).readable == bytes((0, 3))
    assert view(CITY, VILLAGE, slots, ()).readable == b""
    assert view("370830108202", VILLAGE, slots, ()).readable == b""


@pytest.mark.parametrize(
    ("origin", "to"),
    [
        (TOWN, (f"={OTHER_TOWN}",)),
        (TOWN, (f"={COUNTY}",)),
        (TOWN, (f"{COUNTY}/*",)),
        (TOWN, (f"={TOWN}",)),
        (TOWN, (VILLAGE,)),
        (TOWN, ("=12",)),
        (TOWN, ("=370830108201/*",)),
        (TOWN, (f"={VILLAGE}", f"={VILLAGE}")),
        (VILLAGE, (f"={TOWN}",)),
        (COUNTY, tuple(f"=37083010820{n}" for n in range(1, 6))),
    ],
    ids=str,
)
def test_selectors_outside_the_origin_s_region_are_refused(
    origin: str, to: tuple[str, ...]
) -> None:
    """Siblings exchange nothing: what concerns another branch is restated by the ancestor."""
    with pytest.raises(HuyingError) as refused:
        check_selectors(origin, to)
    assert refused.value.code is Code.BAD_HEAD
    with pytest.raises(HuyingError):
        classes(origin, bytes((0, 0x83)), to)
