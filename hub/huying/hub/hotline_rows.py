"""From a row of another system's table to a hotline order, by a mapping.

Texts are masked here, before anything of them leaves this process; the contact alone is kept as it
is. What is wrong with a cell is said of its column, and never repeats what stands in it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from datetime import UTC, datetime, timedelta
from typing import Final

from huying.common.codes import is_within, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX
from huying.common.masking import mask
from huying.common.records.record_rules import check_fields
from huying.hub.hotline_mapping import EXCEL, FIELDS, ISO, Mapping, suggestion
from huying.node.sheets import RowError, SheetError, SheetRow, column_key
from huying.node.web.refusals import of_one_field
from huying.wire.v1 import hotline_pb2

__all__ = ["Directory", "RowReader"]

_SERIAL: Final = re.compile(r"[0-9]{1,7}(\.[0-9]+)?")
_EXCEL_DAY_0: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - the zone is the mapping's
_ROOM_BYTES: Final = 1024  # of an entry, for what the node adds
# Order's field for each of the mapping's that has another name.
_ORDER_FIELD: Final = {
    "created": "created_micros",
    "closed": "source_closed_micros",
    "due": "due_micros",
    "status": "source_status",
}
_DATES: Final = ("created", "closed", "due")
_IDS: Final = ("source_id", "contact_name", "contact_phone", "contact_address")  # never masked
_JOINT: Final = " / "


class Directory:
    """The divisions below a node, by code and by name."""

    def __init__(self, own: str, names: MappingOf[str, str]) -> None:
        """`names` is by code."""
        self.own = own
        by_name: defaultdict[str, list[str]] = defaultdict(list)
        for code, name in names.items():
            by_name[_plain(name)].append(code)
            for above, upper in names.items():
                if above != code and is_within(code, above):
                    by_name[_plain(upper + name)].append(code)
        self._by_name = dict(by_name)

    def code_of(self, name: str) -> str:
        """The one division of that name, alone or after its town's.

        Raises HuyingError(INVALID_ARGUMENT).
        """
        found = sorted(set(self._by_name.get(_plain(name), ())))
        if not found:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                "没有这个名称的下级单位 · no division below this node has that name",
            )
        if len(found) > 1:
            zh = f"有 {len(found)} 个单位同名({'、'.join(found[:3])}…),请在前面写上乡镇名"
            en = f"{len(found)} divisions have that name; put the town's name before it"
            raise HuyingError(Code.INVALID_ARGUMENT, f"{zh} · {en}")
        return found[0]


def _plain(name: str) -> str:
    return "".join(name.split())


class RowReader:
    """Reads rows of one file. Its columns are checked once, when it is made."""

    def __init__(
        self, mapping: Mapping, header: Iterable[str], directory: Directory, number: int = 1
    ) -> None:
        """`number` is the header's row. Raises SheetError naming every column that it lacks."""
        self._mapping = mapping
        self._directory = directory
        there = {column_key(name): name for name in header}
        names = list(there.values())
        errors = []
        for name in mapping.named_columns():
            if column_key(name) not in there:
                near = suggestion(name, names) if names else ""
                what = f"缺少这一列(映射文件要求) · this column is missing{near}"
                errors.append(RowError(number, name, what))
        if errors:
            raise SheetError(
                "表头缺少映射文件所列的列 · columns that the mapping names are missing", errors
            )
        self._names = {name: there[column_key(name)] for name in mapping.named_columns()}

    def order(self, row: SheetRow) -> tuple[hotline_pb2.Order, list[RowError]]:
        """The order, masked; with errors it is of no use."""
        errors: list[RowError] = []
        order = hotline_pb2.Order(source=self._mapping.source)
        for field, columns in self._mapping.columns.items():
            cells = [self._cell(row, name) for name in columns]
            text = _JOINT.join(filter(None, cells))
            try:
                self._put(order, field, text)
            except HuyingError as error:
                errors.append(_row_error(row, columns[0], error))
        for field, text in self._mapping.constants.items():
            self._put(order, field, text)
        column = self._mapping.handler.column
        try:
            order.handler = self._handler(self._cell(row, column) if column else "")
        except HuyingError as error:
            errors.append(_row_error(row, column, error))
        if not errors:
            errors += self._check(row, order)
        return order, errors

    def _cell(self, row: SheetRow, name: str) -> str:
        text = row.cells.get(self._names[name], "").strip()
        return "" if text in self._mapping.empty else text

    def _put(self, order: hotline_pb2.Order, field: str, text: str) -> None:
        name = _ORDER_FIELD.get(field, field)
        if not text and FIELDS[field]:
            raise HuyingError(
                Code.INVALID_ARGUMENT, "空白,每张工单都要填 · empty; every order needs it"
            )
        if field in _DATES:
            setattr(order, name, self._micros(text) if text else 0)
        elif field in _IDS:
            setattr(order, name, text)
        else:
            if field == "category":
                text = self._mapping.categories.get(text, text)
            setattr(order, name, mask(text).text)

    def _micros(self, text: str) -> int:
        for one in self._mapping.formats:
            when = _parse_date(text, one)
            if when is not None:
                local = when if when.tzinfo is not None else when.replace(tzinfo=self._mapping.zone)
                try:
                    seconds = local.astimezone(UTC).timestamp()
                except (OverflowError, ValueError):
                    break
                if seconds >= 0:
                    return round(seconds * 1e6)
        wanted = ", ".join(self._mapping.formats)
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"不是1970年以后的日期,或不合映射文件的格式({wanted})"
            f" · no date since 1970 in a format of the mapping ({wanted})",
        )

    def _handler(self, value: str) -> str:
        rule = self._mapping.handler
        if value and rule.table is not None and value in rule.table:
            return rule.table[value]
        if value and rule.table is None:
            return self._directory.code_of(value) if rule.by_name else _code(value)
        if rule.default:
            return rule.default
        if not value:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                "空白,映射文件也没有 default · empty, and the mapping has no default",
            )
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            "不在映射文件的 [handler.table] 里,也没有 default"
            " · not in the mapping's [handler.table], which has no default",
        )

    def _check(self, row: SheetRow, order: hotline_pb2.Order) -> list[RowError]:
        if order.ByteSize() > ENTRY_BYTES_MAX - _ROOM_BYTES:
            most = ENTRY_BYTES_MAX - _ROOM_BYTES
            zh = f"整行超过 {most} 字节,请缩短诉求内容"
            en = f"over {most} bytes together; shorten the description"
            return [RowError(row.number, "", f"{zh} · {en}")]
        try:
            check_fields(order, self._directory.own)
        except HuyingError as error:
            name, _, what = error.detail.partition(": ")
            return [RowError(row.number, self._column_of(name), _both(what))]
        return []

    def _column_of(self, name: str) -> str:
        """The column that an order's field was read from."""
        if name == "handler":
            return self._mapping.handler.column
        field = next((key for key, other in _ORDER_FIELD.items() if other == name), name)
        return self._mapping.columns.get(field, (name,))[0]


def _parse_date(text: str, form: str) -> datetime | None:
    try:
        if form == ISO:
            return datetime.fromisoformat(text)
        if form == EXCEL:
            if not _SERIAL.fullmatch(text):
                return None
            # A serial number has a double's digits: half a millisecond is noise.
            seconds = round(float(text) * 86400, 3)
            return _EXCEL_DAY_0 + timedelta(seconds=seconds)
        return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the mapping's
    except (ValueError, OverflowError):
        return None


def _code(value: str) -> str:
    try:
        return parse_code(value, "handler")
    except HuyingError:
        raise HuyingError(
            Code.INVALID_ARGUMENT, "不是12位区划代码 · not a division code of 12 digits"
        ) from None


def _row_error(row: SheetRow, column: str, error: HuyingError) -> RowError:
    return RowError(row.number, column, _both(error.detail))


def _both(detail: str) -> str:
    """A detail in both languages; those of the core are in English alone."""
    if " · " in detail:
        return detail
    zh = of_one_field(detail) or "这一格不能用"
    return f"{zh} · {detail}"
