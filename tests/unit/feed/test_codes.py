"""Codes decide who is above whom, and so who may read what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.codes import (
    DivisionKind,
    Level,
    Origin,
    ancestors,
    division_kind,
    grid_village,
    is_within,
    level,
    origin,
    parent,
    parse_code,
    parse_grid,
    parse_network,
    parse_origin,
    witness_name,
)
from huying.common.errors import Code, HuyingError
from huying.common.limits import EPOCH_MAX, ORIGIN_BYTES_MAX
from huying.wire.v1 import audience_pb2

PROVINCE, PREFECTURE, COUNTY = "370000000000", "370800000000", "370830000000"
TOWN, VILLAGE = "370830108000", "370830108201"
LINE = [PROVINCE, PREFECTURE, COUNTY, TOWN, VILLAGE]

codes = st.builds(
    "{:02d}{:02d}{:02d}{:03d}{:03d}".format,
    st.integers(11, 12),
    st.integers(1, 2),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(0, 2),
)


def test_the_last_part_that_is_not_zero_gives_the_level() -> None:
    """A node learns its tier from its code alone."""
    assert [level(code) for code in LINE] == list(Level)


def test_levels_have_the_numbers_of_the_wire() -> None:
    """A slot's level byte, a field's audience and a code's level are compared as numbers."""
    for tier in Level:
        assert int(audience_pb2.Level.Value(f"LEVEL_{tier.name}")) == tier.value


def test_ancestors_are_nearest_first_up_to_the_province() -> None:
    """Reach and disclosure walk this list."""
    assert ancestors(VILLAGE) == (TOWN, COUNTY, PREFECTURE, PROVINCE)
    assert ancestors(PROVINCE) == ()
    assert parent(VILLAGE) == TOWN
    assert parent(PROVINCE) is None


def test_a_town_without_a_county_lies_in_its_prefecture() -> None:
    """Dongguan and three other cities have no counties; the tree may have any depth."""
    town = "441900003000"
    assert level(town) == Level.TOWN
    assert ancestors(town) == ("441900000000", "440000000000")


def test_a_region_holds_itself_and_what_is_below() -> None:
    """`CODE/*` in an entry's addressees means exactly this."""
    for at, region in enumerate(LINE):
        assert [is_within(code, region) for code in LINE] == [below >= at for below in range(5)]
    assert not is_within("370830109000", TOWN)
    assert not is_within("370831000000", COUNTY)


@given(codes, codes)
def test_within_is_the_same_as_being_or_having_for_an_ancestor(code: str, region: str) -> None:
    """Two definitions of one thing must not drift apart."""
    assert is_within(code, region) == (region == code or region in ancestors(code))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "37083010820",
        "3708301082011",
        "37083010820a",
        " 37083010820",
        "37083010820\n",
        "370830108201\n",
        "37083010820１",  # a full-width digit, which int() reads
        "٣٧٠٨٣٠١٠٨٢٠١",
        "070830108201",
        "370030108201",
        "370830000201",
        "370000000001",
    ],
)
def test_what_is_no_division_code_is_refused_by_field(text: str) -> None:
    """The message names the field, so that a form or a file row can be mended."""
    with pytest.raises(HuyingError, match="sequencer") as caught:
        parse_code(text, "sequencer")
    assert caught.value.code == Code.INVALID_ARGUMENT
    for judge in (level, ancestors, parent):
        with pytest.raises(HuyingError):
            judge(text)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (PROVINCE, DivisionKind.PROVINCE),
        (PREFECTURE, DivisionKind.PREFECTURE),
        (COUNTY, DivisionKind.COUNTY),
        ("370830001000", DivisionKind.SUBDISTRICT),
        ("370830099000", DivisionKind.SUBDISTRICT),
        ("370830100000", DivisionKind.TOWN),
        ("370830199000", DivisionKind.TOWN),
        ("370830200000", DivisionKind.TOWNSHIP),
        ("370830399000", DivisionKind.TOWNSHIP),
        ("370830400000", DivisionKind.TOWN_LIKE),
        ("370830108001", DivisionKind.RESIDENTS_COMMITTEE),
        ("370830108199", DivisionKind.RESIDENTS_COMMITTEE),
        ("370830108200", DivisionKind.VILLAGERS_COMMITTEE),
        ("370830108399", DivisionKind.VILLAGERS_COMMITTEE),
        ("370830108400", DivisionKind.VILLAGE_LIKE),
    ],
)
def test_ranges_of_the_code_tell_what_a_division_is_called(code: str, kind: DivisionKind) -> None:
    """GB/T 10114 and the statistical village codes reserve these ranges."""
    assert division_kind(code) is kind


def test_a_grid_is_a_village_and_three_digits() -> None:
    """A grid is drawn inside one village, never across two."""
    assert parse_grid(VILLAGE + "007") == VILLAGE + "007"
    assert grid_village(VILLAGE + "007") == VILLAGE
    for text in (VILLAGE, VILLAGE + "07", TOWN + "001", "0" * 15, VILLAGE + "00７"):
        with pytest.raises(HuyingError, match="grid"):
            parse_grid(text)


def test_an_origin_reads_back_into_its_parts() -> None:
    """Key name, note origin and commitment prefix are this one string."""
    text = origin("wenshang.example", VILLAGE, 12)
    assert text == "wenshang.example/feed/370830108201/e12"
    assert parse_origin(text) == Origin("wenshang.example", VILLAGE, 12)
    assert str(parse_origin(text)) == text
    assert witness_name("wenshang.example", TOWN) == "wenshang.example/witness/370830108000"


@given(codes, st.integers(1, EPOCH_MAX))
def test_every_origin_re_formats_to_itself(code: str, epoch: int) -> None:
    """Two spellings of one feed would be two feeds."""
    text = origin("a.example", code, epoch)
    assert str(parse_origin(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wenshang.example/feed/370830108201",
        "wenshang.example/feed/370830108201/e0",
        "wenshang.example/feed/370830108201/e01",
        "wenshang.example/feed/370830108201/e+1",
        "wenshang.example/feed/370830108201/e1\n",
        "wenshang.example/feed/370830108201/e1/",
        "wenshang.example/feed/370830108201/e2147483648",
        "wenshang.example/feed/370830108201/E1",
        "wenshang.example/witness/370830108201/e1",
        "Wenshang.example/feed/370830108201/e1",
        "wenshang..example/feed/370830108201/e1",
        "-a.example/feed/370830108201/e1",
        "汶上.example/feed/370830108201/e1",
        "/feed/370830108201/e1",
        "wenshang.example/feed/370830000201/e1",
        "wenshang.example/feed/37083010820١/e1",
        "a." * 85 + "example/feed/370830108201/e1",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    """An origin comes from peers, in notes, and names rows in the store."""
    with pytest.raises(HuyingError, match=r"origin|network|code|epoch") as caught:
        parse_origin(text)
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_a_network_whose_origins_would_be_too_long_is_refused_at_once() -> None:
    """Otherwise the tenth epoch, years later, would be the first that can't be written."""
    longest = ".".join(["a" * 56, "b" * 56, "c" * 56])
    assert len(origin(longest, VILLAGE, EPOCH_MAX)) == ORIGIN_BYTES_MAX
    with pytest.raises(HuyingError, match="200 bytes"):
        parse_network("d" + longest)
    for epoch in (0, -1, EPOCH_MAX + 1):
        with pytest.raises(HuyingError, match="epoch"):
            origin("a.example", VILLAGE, epoch)
