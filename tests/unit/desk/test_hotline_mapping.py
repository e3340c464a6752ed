"""A mapping file says where it is wrong, and rows become orders by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.hub.hotline_mapping import load_mapping
from huying.hub.hotline_rows import Directory, RowReader
from huying.hub.mappings import shipped
from huying.node.sheets import SheetError, SheetRow
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

WHOLE = """\
source = "s"

[columns]
source_id = "id"
created = "at"
category = "kind"

[handler]
default = "370830108201"
"""


def write(folder: Path, text: str, name: str = "map.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("name", ["nyc311", "12345"])
def test_a_mapping_that_comes_with_the_program_is_read(name: str) -> None:
    """It is the first thing that a user copies."""
    mapping = load_mapping(shipped(name))
    assert mapping.source == name
    assert mapping.columns["source_id"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "s"', "", "source: missing"),
        ('source = "s"', 'sorce = "s"', "line 1: sorce: no such key; is it 'source'?"),
        ('source = "s"', "source = 3", "line 1: source: a text in quotes, not int"),
        ('source = "s"', 'source = " "', "line 1: source: empty"),
        ('source = "s"', 'source = "s', "line 1"),
        (
            'created = "at"',
            'creatd = "at"',
            "line 5: columns.creatd: no such key; is it 'cr",
        ),
        ('created = "at"', "created = []", "line 5: columns.created: a text in quotes, or a list"),
        ('created = "at"', "", "line 3: columns.created: missing; every order needs it"),
        ('"370830108201"', '"3708301082"', "line 9: handler.default: "),
        ('default = "370830108201"', "", "line 8: handler.column: missing"),
        ('default = "370830108201"', 'by = "nam"', "line 9: handler.by: one of code, name"),
        ('default = "370830108201"', 'table = {a = "1"}', "handler.column: missing"),
        (
            'default = "370830108201"',
            'column = "c"\n[handler.table]\n"X Y" = "12"',
            "line 11: handler.table.X Y: ",
        ),
        ("[handler]", '[dates]\ntimezone = "Mars"\n[handler]', "line 9: dates.timezone: 'Mars'"),
        ("[handler]", '[dates]\nformats = ["%H:%M"]\n[handler]', "line 9: dates.formats: '%H:%M'"),
        ("[handler]", '[file]\nsheets = "x"\n[handler]', "line 9: file.sheets: no such key; is it"),
        ("[handler]", '[file]\non_error = "go"\n[handler]', "line 9: file.on_error: one of"),
        (
            "[handler]",
            '[constants]\ncategory = "x"\n[handler]',
            "line 9: constants.category: a",
        ),
        ("[handler]", "[[categories]]\n[handler]", "categories: a table"),
    ],
)
def test_what_is_wrong_with_a_mapping_names_the_line_and_the_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Who adapts a mapping is no programmer: the message must lead to the place."""
    assert old in WHOLE
    with pytest.raises(HuyingError) as caught:
        load_mapping(write(tmp_path, WHOLE.replace(old, new)))
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "map.toml" in caught.value.detail
    assert said in caught.value.detail


def test_a_mapping_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    """A binary file chosen by mistake must not end in a stack trace."""
    path = tmp_path / "map.toml"
    path.write_bytes(b"\xff\xfe\x00")
    for wrong in (path, tmp_path / "none.toml", tmp_path):
        with pytest.raises(HuyingError) as caught:
            load_mapping(wrong)
        assert caught.value.code is Code.INVALID_ARGUMENT


def reader(folder: Path, text: str, header: list[str], names: dict[str, str] | None = None):
    mapping = load_mapping(write(folder, text))
    return RowReader(mapping, header, Directory(COUNTY, names or {}))


def order_of(folder: Path, cells: dict[str, str], text: str = WHOLE, names=None):
    made = reader(folder, text, list(cells), names)
    return made.order(SheetRow(7, cells))


ROW = {"id": "a1", "at": "2026-01-31 08:30:00", "kind": "路灯"}


def test_a_row_becomes_an_order(tmp_path: Path) -> None:
    """The zone is China's where the mapping names none."""
    order, errors = order_of(tmp_path, ROW)
    assert errors == []
    assert (order.source, order.source_id, order.category) == ("s", "a1", "路灯")
    assert order.handler == VILLAGE
    assert order.created_micros == datetime(2026, 1, 31, 0, 30, tzinfo=UTC).timestamp() * 1e6


@pytest.mark.parametrize(
    ("text", "formats", "zone", "expected"),
    [
        ("2026-01-31", '["iso"]', "UTC", "2026-01-31T00:00:00"),
        ("2026-01-31T08:00:00.250", '["iso"]', "+08:00", "2026-01-31T00:00:00.250"),
        ("2026-01-31T08:00:00-02:00", '["iso"]', "+08:00", "2026-01-31T10:00:00"),
        ("46053.5", '["excel"]', "UTC", "2026-01-31T12:00:00"),
        ("46053", '["iso", "excel"]', "UTC", "2026-01-31T00:00:00"),
        ("2026年1月31日 8:05", '["%Y年%m月%d日 %H:%M"]', "UTC", "2026-01-31T08:05:00"),
        ("2020-07-01T08:00:00", '["iso"]', "America/New_York", "2020-07-01T12:00:00"),
        ("2020-01-01T08:00:00", '["iso"]', "America/New_York", "2020-01-01T13:00:00"),
    ],
)
def test_dates_are_read_as_the_mapping_says(
    tmp_path: Path, text: str, formats: str, zone: str, expected: str
) -> None:
    """An hour's shift moves orders over their deadline; summer time included."""
    dates = f'[dates]\nformats = {formats}\ntimezone = "{zone}"\n'
    order, errors = order_of(tmp_path, {**ROW, "at": text}, WHOLE + dates)
    assert errors == []
    wanted = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert order.created_micros == round(wanted.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("change", "column", "said"),
    [
        ({"at": "昨天"}, "at", "no date"),
        ({"at": "0001-01-01"}, "at", "no date"),
        ({"at": "99999999999"}, "at", "no date"),
        ({"at": ""}, "at", "empty"),
        ({"id": ""}, "id", "empty"),
        ({"id": "x" * 201}, "id", "201 characters"),
        ({"id": "a\x1b[2J"}, "id", "control character"),
        ({"kind": ""}, "kind", "empty"),
    ],
)
def test_a_wrong_cell_is_named_and_never_repeated(
    tmp_path: Path, change: dict[str, str], column: str, said: str
) -> None:
    """The errors are mailed around; they must not carry what people told."""
    _, errors = order_of(tmp_path, {**ROW, **change})
    assert [(error.number, error.column) for error in errors] == [(7, column)]
    assert said in errors[0].what
    assert "这一格不能用" not in errors[0].what, "the Chinese says as much as the English"
    assert not change[column] or change[column] not in errors[0].what


def test_numbers_are_masked_in_every_text_but_the_contact(tmp_path: Path) -> None:
    """Callers are quoted with their numbers, in whatever column."""
    text = WHOLE.replace(
        "[handler]",
        'descriptor = "d"\ndescription = "e"\nagency = "g"\nstatus = "t"\n'
        'contact_phone = "p"\n[handler]',
    )
    phone = "13812345678"
    cells = {**ROW, **dict.fromkeys("degt", f"回电{phone}"), "kind": f"灯{phone}", "p": phone}
    order, errors = order_of(tmp_path, cells, text)
    assert errors == []
    assert order.contact_phone == phone
    order.ClearField("contact_phone")
    assert phone not in str(order)
    assert order.description == "回电〔手机号〕"


def test_a_value_that_means_nothing_is_empty(tmp_path: Path) -> None:
    """An anonymous caller is no faulty row."""
    text = 'empty = ["匿名"]\n' + WHOLE.replace("[handler]", 'contact_phone = "p"\n[handler]')
    order, errors = order_of(tmp_path, {**ROW, "p": "匿名"}, text)
    assert errors == []
    assert order.contact_phone == ""
    _, errors = order_of(tmp_path, {**ROW, "p": "不详"}, text)
    assert [error.column for error in errors] == ["p"]
    assert "不是电话号码" in errors[0].what


NAMES = {TOWN: "义桥镇", VILLAGE: "义桥村", "370830102000": "南旺镇", "370830102200": "义桥村"}


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ('by = "name"', "义桥镇", TOWN),
        ('by = "name"', "义桥镇义桥村", VILLAGE),
        ('by = "name"', " 义桥镇 义桥村 ", VILLAGE),
        ('by = "code"', TOWN, TOWN),
        (f'[handler.table]\n"一片" = "{TOWN}"', "一片", TOWN),
        (f'default = "{TOWN}"\n[handler.table]\n"一片" = "{VILLAGE}"', "二片", TOWN),
        ('by = "name"', "义桥村", "同名(370830102200、370830108201…)"),
        ('by = "name"', "无此镇", "no division below this node has that name"),
        ('by = "code"', "义桥镇", "not a division code"),
        ('by = "code"', COUNTY, "must lie below"),
        ('by = "code"', "370831108201", "must lie below"),
        (f'[handler.table]\n"一片" = "{TOWN}"', "二片", "not in the mapping's [handler.table]"),
        ('by = "code"', "", "empty, and the mapping has no default"),
    ],
)
def test_the_handler_is_found_by_the_mappings_rule(
    tmp_path: Path, rule: str, value: str, expected: str
) -> None:
    """An order at the wrong village shows a caller's number to the wrong people."""
    text = WHOLE.replace('default = "370830108201"', f'column = "who"\n{rule}')
    order, errors = order_of(tmp_path, {**ROW, "who": value}, text, NAMES)
    if expected.isdigit():
        assert errors == []
        assert order.handler == expected
    else:
        assert [error.column for error in errors] == ["who"]
        assert expected in errors[0].what
        assert "这一格不能用" not in errors[0].what


def test_missing_columns_are_all_named_with_what_may_be_meant(tmp_path: Path) -> None:
    """The other system renamed its columns: that is seen before a row is read."""
    with pytest.raises(SheetError) as caught:
        reader(tmp_path, WHOLE, ["Id", "at time", "kinds"])
    assert [error.column for error in caught.value.errors] == ["at", "kind"]
    assert "is it 'kinds'?" in caught.value.errors[1].what
    assert caught.value.errors[0].number == 1
