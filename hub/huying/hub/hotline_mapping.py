"""A mapping file: which column of another system's table is which field of a hotline order.

TOML, described in docs/HOTLINE.md. Every key is checked; what is wrong names the file, the line and
the key, and what may have been meant. `huying.hub.hotline_rows` applies a mapping to rows.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from huying.common.codes import parse_code
from huying.common.errors import Code, HuyingError
from huying.common.limits import MAPPING_BYTES_MAX, NAME_CHARACTERS_MAX
from huying.hub.toml_lines import line_of
from huying.node.sheets import OnError

__all__ = ["EXCEL", "FIELDS", "ISO", "HandlerRule", "Mapping", "load_mapping", "suggestion"]

# The fields of an order that a file may fill, and whether it must.
FIELDS: Final[MappingOf[str, bool]] = {
    "source_id": True,
    "created": True,
    "category": True,
    "descriptor": False,
    "description": False,
    "agency": False,
    "status": False,
    "closed": False,
    "due": False,
    "contact_name": False,
    "contact_phone": False,
    "contact_address": False,
}
_CONSTANTS: Final = ("category", "descriptor", "description", "agency", "status")
_KEYS: Final[MappingOf[str, tuple[str, ...]]] = {
    "": ("source", "credit", "file", "columns", "constants", "dates", "categories", "empty"),
    "file": ("encoding", "sheet", "on_error"),
    "columns": tuple(FIELDS),
    "constants": _CONSTANTS,
    "dates": ("formats", "timezone"),
    "handler": ("column", "by", "table", "default"),
}
_FREE: Final = ("categories", "handler.table")
_TOP: Final = (*_KEYS[""], "handler")
ISO: Final = "iso"  # 2026-01-31, 2026-01-31 08:30:00, 2026-01-31T08:30:00+08:00
EXCEL: Final = "excel"  # days since 1899-12-30, as a spreadsheet counts them
_OFFSET: Final = re.compile(r"([+-])([01][0-9]):([0-5][0-9])")
_BY: Final = ("code", "name")
_TIMEZONE: Final = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class HandlerRule:
    """How a row names the division that handles it."""

    column: str = ""
    by_name: bool = False  # the column holds a division's name, else its code
    table: MappingOf[str, str] | None = None  # value of the column -> code
    default: str = ""  # code, for what neither tells


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, checked."""

    path: Path
    source: str
    columns: MappingOf[str, tuple[str, ...]]  # field -> columns, joined where there are several
    constants: MappingOf[str, str]
    categories: MappingOf[str, str]  # as the source says -> as orders say
    handler: HandlerRule
    formats: tuple[str, ...]
    zone: tzinfo
    empty: frozenset[str]  # values that mean nothing
    encoding: str = ""
    sheet: str = ""
    on_error: OnError = OnError.STOP
    credit: str = ""

    def named_columns(self) -> tuple[str, ...]:
        """Every column that a file must have."""
        names = [name for columns in self.columns.values() for name in columns]
        return tuple(dict.fromkeys([*names, *filter(None, [self.handler.column])]))


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file.

    Raises HuyingError(INVALID_ARGUMENT): the file, the line, the key and what it takes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAPPING_BYTES_MAX + 1)
    except OSError as error:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"--mapping: {path.name}: {error.strerror}"
        ) from None
    if len(data) > MAPPING_BYTES_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"--mapping: {path.name}: over {MAPPING_BYTES_MAX} bytes"
        )
    try:
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"--mapping: {path.name}: not UTF-8; save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--mapping: {path.name}: {error}") from None
    return _Reader(path, text, document).mapping()


def suggestion(word: str, known: Sequence[str]) -> str:
    """`; is it "x"?` for the nearest known word, or the known words."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; is it {near[0]!r}?" if near else f"; there are {', '.join(known)}"


class _Reader:
    """One file on its way to a mapping: every look-up checks."""

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self._path = path
        self._text = text
        self._document = document

    def mapping(self) -> Mapping:
        """All of it."""
        self._known_keys("", self._document, _TOP)
        file = self._table("file")
        dates = self._table("dates")
        columns = {key: self._columns(key, value) for key, value in self._table("columns").items()}
        constants = {
            key: self._one("constants", key, value)
            for key, value in self._table("constants").items()
        }
        for name, needed in FIELDS.items():
            if needed and name not in columns and name not in constants:
                raise self._error("columns", name, "missing; every order needs it")
            if name in columns and name in constants:
                raise self._error("constants", name, "a column says it already; keep one of them")
        on_error = file.get("on_error", OnError.STOP.value)
        if on_error not in tuple(OnError):
            raise self._error("file", "on_error", f"one of {', '.join(OnError)}")
        return Mapping(
            path=self._path,
            source=self._one("", "source", self._document.get("source")),
            columns=columns,
            constants=constants,
            categories=self._categories(),
            handler=self._handler(),
            formats=self._formats(dates.get("formats", [ISO, EXCEL])),
            zone=self._zone(dates.get("timezone", _TIMEZONE)),
            empty=frozenset(self._texts("", "empty", self._document.get("empty", []))),
            encoding=self._one("file", "encoding", file.get("encoding", ""), may_lack=True),
            sheet=self._one("file", "sheet", file.get("sheet", ""), may_lack=True),
            on_error=OnError(on_error),
            credit=self._one("", "credit", self._document.get("credit", ""), may_lack=True),
        )

    # Parts.

    def _columns(self, key: str, value: Any) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        return tuple(self._texts("columns", key, names, needed=True))

    def _categories(self) -> dict[str, str]:
        table = self._table("categories", known=False)
        return {key: self._one("categories", key, value) for key, value in table.items()}

    def _handler(self) -> HandlerRule:
        given = self._table("handler")
        by = given.get("by", _BY[0])
        if by not in _BY:
            raise self._error("handler", "by", f"one of {', '.join(_BY)}")
        table = given.get("table")
        if table is not None and not isinstance(table, dict):
            raise self._error("handler", "table", 'a table: [handler.table], then "value" = "code"')
        column = self._one("handler", "column", given.get("column", ""), may_lack=True)
        if table is not None and not column:
            raise self._error("handler", "column", "missing; the table's values stand in a column")
        if not column and not given.get("default"):
            raise self._error("handler", "column", "missing; name a column, or a default")
        return HandlerRule(
            column=column,
            by_name=by == "name",
            table=None
            if table is None
            else {key: self._code("handler.table", key, value) for key, value in table.items()},
            default=self._code("handler", "default", given["default"])
            if "default" in given
            else "",
        )

    def _formats(self, value: Any) -> tuple[str, ...]:
        formats = self._texts("dates", "formats", value, needed=True)
        sample = datetime(2026, 1, 31, 8, 30)  # noqa: DTZ001 - a pattern is tried, no time is meant
        for one in formats:
            if one in (ISO, EXCEL):
                continue
            try:
                back = datetime.strptime(sample.strftime(one), one)  # noqa: DTZ007 - as above
            except (ValueError, re.error):
                back = None
            if back is None or back.date() != sample.date():
                what = f"{one!r} is neither {ISO}, {EXCEL} nor a pattern of a whole date"
                raise self._error("dates", "formats", f"{what}, such as '%Y-%m-%d %H:%M:%S'")
        return tuple(formats)

    def _zone(self, value: Any) -> tzinfo:
        name = self._one("dates", "timezone", value)
        if offset := _OFFSET.fullmatch(name):
            span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            return timezone(-span if offset[1] == "-" else span)
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            what = f"{name!r} is no zone known here; give one such as {_TIMEZONE}, or +08:00"
            raise self._error("dates", "timezone", what) from None

    # Look-ups.

    def _table(self, name: str, *, known: bool = True) -> dict[str, Any]:
        value = self._document.get(name, {})
        if not isinstance(value, dict):
            raise self._error("", name, f"a table: [{name}] on a line of its own")
        if known:
            self._known_keys(name, value, _KEYS[name])
        return value

    def _known_keys(self, table: str, given: MappingOf[str, Any], known: Sequence[str]) -> None:
        for key in given:
            if key not in known:
                raise self._error(table, key, f"no such key{suggestion(key, known)}")

    def _one(self, table: str, key: str, value: Any, *, may_lack: bool = False) -> str:
        if value is None:
            raise self._error(table, key, "missing; it is required")
        if not isinstance(value, str):
            raise self._error(table, key, f"a text in quotes, not {type(value).__name__}")
        if not value.strip() and not may_lack:
            raise self._error(table, key, "empty; fill it, or leave the line out")
        if len(value) > NAME_CHARACTERS_MAX:
            raise self._error(table, key, f"over {NAME_CHARACTERS_MAX} characters; shorten it")
        return value.strip()

    def _texts(self, table: str, key: str, value: Any, *, needed: bool = False) -> list[str]:
        if not isinstance(value, list) or (needed and not value):
            raise self._error(table, key, "a text in quotes, or a list of them in brackets")
        return [self._one(table, key, one, may_lack=not needed) for one in value]

    def _code(self, table: str, key: str, value: Any) -> str:
        try:
            return parse_code(self._one(table, key, value), key)
        except HuyingError as error:
            detail = error.detail.partition(": ")[2] or error.detail
            raise self._error(table, key, detail) from None

    def _error(self, table: str, key: str, what: str) -> HuyingError:
        place = ".".join(filter(None, [table, key]))
        # The keys of these tables are values of the other system's, in quotes.
        free = table in _FREE
        line = line_of(self._text, table, key) if free else line_of(self._text, place)
        where = f"{self._path.name} line {line}"
        return HuyingError(Code.INVALID_ARGUMENT, f"--mapping: {where}: {place}: {what}")
