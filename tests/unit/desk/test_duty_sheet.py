"""A duty list as offices keep it: every usual form is read, and every mistake has its row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common.records.registry import check_write
from huying.hub import duty_sheet
from huying.hub.duty_example import example_items
from huying.node.sheets import Import, OnError, RowError, SheetError, read_sheet, write_table
from huying.wire.v1 import feed_pb2, policy_pb2

COUNTY = "370830000000"
TOWN, SHARED, ADMITTED = 1, 2, 3


def read(
    path: Path, on_error: OnError = OnError.SKIP, kind: int = 0
) -> tuple[list[policy_pb2.DutyItem], list[RowError]]:
    """The items of a file, and what is wrong with it."""
    importing = Import(on_error)
    items = list(duty_sheet.items_of(read_sheet(path), importing, default_kind=kind))
    return items, importing.errors


def table(tmp_path: Path, text: str) -> Path:
    """A CSV file."""
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_usual_columns_become_an_item(tmp_path: Path) -> None:
    """What a county's office sends, title line and all."""
    path = table(
        tmp_path,
        "某县职责清单,,,,,,,,\n"
        "序号,类别,事项名称,呼叫类别,关键词,主办部门,配合部门,乡镇职责,依据\n"
        '17,配合履职,道路维修,"道路、路面",坑洼;塌陷,交通运输局,"财政局,公安局",上报隐患,县政府文件\n',
    )
    items, errors = read(path)
    assert not errors
    assert items == [
        policy_pb2.DutyItem(
            number="S17",
            kind=policy_pb2.DUTY_KIND_SHARED,
            title="道路维修",
            categories=["道路", "路面"],
            keywords=["坑洼", "塌陷"],
            lead="交通运输局",
            co_handlers=["财政局", "公安局"],
            town_part="上报隐患",
            basis="县政府文件",
        )
    ]


def test_english_names_and_other_words_mean_the_same(tmp_path: Path) -> None:
    """Synonyms are data that people bring, not errors."""
    items, errors = read(table(tmp_path, "number,list,title,lead\nX-1,shared,Roads,DOT\n"))
    assert not errors
    assert (items[0].number, items[0].kind, items[0].lead) == ("X-1", SHARED, "DOT")


def test_lists_that_each_count_from_one_get_numbers_apart(tmp_path: Path) -> None:
    """A dispatch cites a number alone, and a county's three lists all begin with 1."""
    rows = ("1,乡镇履行职责,甲", "1,县乡共担,乙", "1,准入,丙", "1.2,共担,丁", ",共担,戊")
    text = "\n".join(("序号,清单类型,事项名称", *rows))
    items, errors = read(table(tmp_path, text))
    assert not errors
    assert [item.number for item in items] == ["T1", "S1", "A1", "1.2", "S3"]


def test_a_kind_for_the_whole_file_stands_in_where_a_row_says_none(tmp_path: Path) -> None:
    """Offices keep one file a list, and use the column for a field of work."""
    items, errors = read(
        table(tmp_path, "序号,类别,事项名称\n1,民生服务,甲\n2,准入,乙\n"), kind=TOWN
    )
    assert not errors
    assert [item.kind for item in items] == [TOWN, ADMITTED]


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ("1,无此类,甲,,", "清单类型", "no kind of list"),
        ("1,共担,,,", "事项名称", "fill it in"),
        (f"1,共担,{'长' * 201},,", "事项名称", "over 200"),
        ("1,共担,甲,公安局,公安局", "配合部门", "names the lead"),
        (f"1,共担,甲,公安局,{'、'.join(f'局{n}' for n in range(17))}", "配合部门", "more than 16"),
        (f"1,共担,甲,公安局,{'长' * 201}", "配合部门", "201 characters"),
        ("1,共担,甲\u202e,,", "事项名称", "control character"),
    ],
)
def test_a_wrong_row_names_its_column_and_what_to_do(
    tmp_path: Path, row: str, column: str, said: str
) -> None:
    """The other row is kept, where the user wants that."""
    text = f"序号,清单类型,事项名称,牵头部门,配合部门\n{row}\n2,共担,好,公安局,\n"
    items, errors = read(table(tmp_path, text))
    assert [item.title for item in items] == ["好"]
    assert [(error.number, error.column) for error in errors] == [(2, column)]
    assert said in errors[0].what
    stopping = Import(OnError.STOP)
    list(duty_sheet.items_of(read_sheet(tmp_path / "list.csv"), stopping))
    with pytest.raises(SheetError):
        stopping.finish()


def test_a_number_twice_names_both_rows(tmp_path: Path) -> None:
    """Width and case make no second number."""
    text = "序号,清单类型,事项名称\na1,共担,甲\n1,共担,丙\nA1,共担,乙\n1,共担,丁\n"
    items, errors = read(table(tmp_path, text))
    assert [item.title for item in items] == ["甲", "丙"]
    assert [(error.number, error.column) for error in errors] == [(4, "序号"), (5, "序号")]
    assert "第 2 行" in errors[0].what
    assert "第 3 行" in errors[1].what


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    """One round with the office is enough."""
    with pytest.raises(SheetError) as caught:
        read(table(tmp_path, "序号,内容\n1,甲\n"))
    assert [error.column for error in caught.value.errors] == ["清单类型", "事项名称"]


def test_the_example_has_the_real_size_and_is_marked() -> None:
    """Nobody may take it for a county's own list."""
    items = example_items()
    kinds = [int(item.kind) for item in items]
    assert (kinds.count(TOWN), kinds.count(SHARED)) == (192, 132)
    departments = {name for item in items for name in (item.lead, *item.co_handlers) if name}
    assert len(departments) == 60
    assert all(item.generated for item in items)
    assert len({item.number for item in items}) == len(items)
    assert len({item.title for item in items}) == len(items)
    for item in items:
        item.version = 1
        check_write(feed_pb2.RECORD_TYPE_DUTY_ITEM, feed_pb2.KIND_PUT, item, COUNTY)


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_the_example_reads_back_as_it_is(tmp_path: Path, ending: str) -> None:
    """It is the file that a county's office starts from."""
    path = tmp_path / f"example{ending}"
    items = example_items()
    write_table(path, duty_sheet.header(), map(duty_sheet.row_of, items))
    assert read(path) == (items, [])


WORDS = st.text(
    st.characters(categories=["L", "N", "Sm"], include_characters="-@'"), min_size=1, max_size=8
)
ITEMS = st.builds(
    policy_pb2.DutyItem,
    kind=st.sampled_from([TOWN, SHARED, ADMITTED]),
    title=WORDS,
    categories=st.lists(WORDS, max_size=3, unique=True),
    keywords=st.lists(WORDS, max_size=3, unique=True),
    lead=WORDS,
    town_part=WORDS,
    basis=st.just("") | WORDS,
    generated=st.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=6), st.sampled_from([".csv", ".xlsx"]))
def test_any_list_that_is_exported_is_imported_as_the_same(
    tmp_path_factory: pytest.TempPathFactory, items: list[policy_pb2.DutyItem], ending: str
) -> None:
    """Formulas that are none, numbers that look like dates: what is text stays text."""
    for place, item in enumerate(items):
        item.number = f"K-{place}"
    path = tmp_path_factory.mktemp("round") / f"list{ending}"
    write_table(path, duty_sheet.header(), map(duty_sheet.row_of, items))
    assert read(path) == (items, [])
