"""A duty list as a table: its columns and what offices call them, rows to items and back.

What is exported is imported again as the same list. docs/DUTY.md shows the columns.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from huying.common.errors import HuyingError
from huying.common.limits import CO_HANDLERS_MAX, ENTRY_BYTES_MAX, NAME_CHARACTERS_MAX
from huying.common.records.registry import check_write
from huying.node.sheets import Cell, Import, Sheet, SheetRow, column_key, match_columns
from huying.wire.v1 import feed_pb2, policy_pb2

__all__ = [
    "COLUMNS",
    "GENERATED",
    "KIND_NAMES",
    "file_sha256",
    "header",
    "items_of",
    "parse_kind",
    "row_of",
]

GENERATED: Final = "示例数据 · generated example"
_GENERATED_MARK: Final = "示例数据"
_REQUIRED: Final = ("title",)

# What a column is, and the names that it goes by; the first is the one that is written.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("序号", "编号", "事项编号", "项号", "no", "no."),
    "kind": ("清单类型", "类别", "清单类别", "类型", "list"),
    "title": ("事项名称", "事项", "职责事项", "履职事项", "工作事项", "item", "name"),
    "categories": ("呼叫类别", "对应类别", "诉求类别", "适用类别", "category"),
    "keywords": ("关键词", "关键字", "keyword"),
    "lead": (
        "牵头部门", "主办部门", "对应上级部门", "上级部门", "牵头单位", "主办单位", "责任部门",
        "lead department", "department",
    ),
    "co_handlers": (
        "配合部门", "协办部门", "配合单位", "协办单位", "co-handlers", "co-handler",
    ),
    "town_part": (
        "乡镇职责", "乡镇配合职责", "配合职责", "乡镇(街道)职责", "乡镇街道职责", "履职内容",
        "town part", "town duty",
    ),
    "basis": ("依据", "法律依据", "法律法规依据", "政策依据", "设定依据", "legal basis"),
    "remark": ("备注", "说明", "note"),
}  # fmt: skip

_TOWN: Final = policy_pb2.DUTY_KIND_TOWN
_SHARED: Final = policy_pb2.DUTY_KIND_SHARED
_ADMITTED: Final = policy_pb2.DUTY_KIND_ADMITTED
# The first name is the one that is shown and written.
KIND_NAMES: Final[Mapping[int, tuple[str, ...]]] = {
    _TOWN: (
        "乡镇履行职责", "乡镇履职", "基本履职", "基本履职事项", "基本履职事项清单", "乡镇职责",
        "乡镇履行职责清单", "乡镇职责清单", "履行职责", "town",
    ),
    _SHARED: (
        "配合履职", "配合履职事项", "配合履职事项清单", "县乡共担", "共担", "共担事项", "共同承担",
        "县乡共担清单", "配合履职清单", "shared",
    ),
    _ADMITTED: ("准入", "准入事项", "准入清单", "准入事项清单", "admitted", "admission"),
}  # fmt: skip
# Set before a bare number: each list counts from 1, and a dispatch cites an item by number alone.
_LETTERS: Final[Mapping[int, str]] = {_TOWN: "T", _SHARED: "S", _ADMITTED: "A"}
_KINDS: Final = {column_key(name): kind for kind, names in KIND_NAMES.items() for name in names}
# A slash is part of many a name.
_SEPARATORS: Final = re.compile(r"[、,,;;\n]+")
_COUNTY: Final = "370830000000"  # any node that may write lists: the rules ask for no region
_VERSION: Final = 1  # as long as none is known


def header() -> tuple[str, ...]:
    """The names of all columns, as they are written."""
    return tuple(names[0] for names in COLUMNS.values())


def parse_kind(text: str) -> int:
    """policy_pb2.DutyKind of what a cell says; 0 for what is none."""
    return _KINDS.get(column_key(text), 0)


def file_sha256(path: Path) -> bytes:
    """The digest of the file that a list came from."""
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 18):
            digest.update(piece)
    return digest.digest()


def items_of(
    sheet: Sheet, importing: Import, *, default_kind: int = 0
) -> Iterator[policy_pb2.DutyItem]:
    """The items of all rows that are right; what is wrong with the others goes to `importing`.

    `default_kind` is of rows that do not say which list they belong to. Raises SheetError where
    columns are missing, or as `Import.rows`.
    """
    required = _REQUIRED if default_kind else (*_REQUIRED, "kind")
    columns = match_columns(sheet.header, COLUMNS, required=required, number=sheet.header_row)
    numbers: dict[str, int] = {}  # folded -> row
    counts: Counter[int] = Counter()
    for row in importing.rows(sheet):
        item = _item(row, columns, importing, default_kind, counts)
        if importing.is_rejected(row.number):
            continue
        first = numbers.setdefault(item.number.casefold(), row.number)
        if first != row.number:
            _reject(
                importing, row, columns, "number",
                f"与第 {first} 行的编号相同,请改号 · the number is that of row {first}: change it",
            )  # fmt: skip
            continue
        yield item


def row_of(item: policy_pb2.DutyItem) -> tuple[Cell, ...]:
    """The item as a row below `header()`."""
    return (
        item.number,
        KIND_NAMES.get(item.kind, ("",))[0],
        item.title,
        "、".join(item.categories),
        "、".join(item.keywords),
        item.lead,
        "、".join(item.co_handlers),
        item.town_part,
        item.basis,
        GENERATED if item.generated else "",
    )


def _item(
    row: SheetRow,
    columns: Mapping[str, str],
    importing: Import,
    default_kind: int,
    counts: Counter[int],
) -> policy_pb2.DutyItem:
    """The row's item; where anything is wrong with it, `importing` has been told."""
    cells = {key: row.cells[name] for key, name in columns.items()}
    kind = parse_kind(cells.get("kind", "")) or default_kind
    if not kind:
        what = (
            "不是清单类型,请填 乡镇履行职责、配合履职 或 准入"
            " · no kind of list: write town, shared or admitted"
        )
        _reject(importing, row, columns, "kind", what)
    item = policy_pb2.DutyItem(
        version=_VERSION,
        kind=policy_pb2.DutyKind.ValueType(kind),
        title=cells["title"],
        categories=_split(cells.get("categories", "")),
        keywords=_split(cells.get("keywords", "")),
        lead=cells.get("lead", ""),
        co_handlers=_split(cells.get("co_handlers", "")),
        town_part=cells.get("town_part", ""),
        basis=cells.get("basis", ""),
        generated=cells.get("remark", "").startswith(_GENERATED_MARK),
    )
    counts[kind] += 1
    item.number = _number(cells.get("number", ""), kind, counts[kind])
    _check(importing, row, columns, item)
    item.ClearField("version")
    return item


def _number(said: str, kind: int, count: int) -> str:
    """A bare number with the letter of its list before it; where none is said, the place there."""
    said = unicodedata.normalize("NFKC", said) or str(count)
    return f"{_LETTERS.get(kind, '')}{said}" if said.isascii() and said.isdigit() else said


def _check(
    importing: Import, row: SheetRow, columns: Mapping[str, str], item: policy_pb2.DutyItem
) -> None:
    """What people get wrong, in both languages, then whatever the record's rules refuse."""
    if not item.title:
        _reject(importing, row, columns, "title", "没有填写,请补上 · is empty: fill it in")
    for field in ("number", "title", "lead"):
        if len(getattr(item, field)) > NAME_CHARACTERS_MAX:
            most = NAME_CHARACTERS_MAX
            what = f"超过 {most} 字,请缩短 · over {most} characters: shorten it"
            _reject(importing, row, columns, field, what)
    for field in ("categories", "keywords", "co_handlers"):
        if len(getattr(item, field)) > CO_HANDLERS_MAX:
            most = CO_HANDLERS_MAX
            what = f"超过 {most} 项,请减少 · more than {most}: leave some out"
            _reject(importing, row, columns, field, what)
    if item.lead and item.lead in item.co_handlers:
        what = "牵头部门又列为配合部门,请去掉 · names the lead department again: leave it out"
        _reject(importing, row, columns, "co_handlers", what)
    if item.ByteSize() > ENTRY_BYTES_MAX - 1024:  # with the head, and openings' salts
        what = "整行文字过长,请缩短 · the row is too long: shorten its texts"
        _reject(importing, row, columns, "", what)
    if importing.is_rejected(row.number):
        return
    try:
        check_write(feed_pb2.RECORD_TYPE_DUTY_ITEM, feed_pb2.KIND_PUT, item, _COUNTY)
    except HuyingError as error:
        field, _, why = error.detail.partition(": ")
        what = f"内容不合要求,请修改 · {why or error.detail}"
        _reject(importing, row, columns, field.partition("[")[0], what)


def _reject(
    importing: Import, row: SheetRow, columns: Mapping[str, str], field: str, what: str
) -> None:
    column = columns.get(field) or COLUMNS.get(field, ("",))[0]
    importing.reject(row.number, column, what)


def _split(text: str) -> list[str]:
    """The names in a cell, each once."""
    return list(dict.fromkeys(filter(None, (part.strip() for part in _SEPARATORS.split(text)))))
