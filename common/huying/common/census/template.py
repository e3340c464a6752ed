"""Templates: what may be asked, as reviewed text; and the months that it is asked of.

A template is known by the SHA-256 of its text. It names a *universe* of records, the one thing of
them that is counted, and the cells that are counted into. Its cells either *part* the universe
(each record falls into just one) or overlap. Of a parting one cell is the *remainder*, of which a
home never says a count: the universe is known to whoever reads the records' heads, so the last cell
would give away how the others were rounded (docs/ASK.md). It should be the cell with the most.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    ASK_CELLS_MAX,
    ASK_MONTHS_MAX,
    NAME_CHARACTERS_MAX,
    TEMPLATE_BYTES_MAX,
    TEMPLATE_NAME_CHARACTERS_MAX,
)
from huying.common.months import month_span, months_up_to

__all__ = [
    "COUNTABLE",
    "Cell",
    "Template",
    "is_name",
    "month_bounds",
    "months_over",
    "parse_template",
]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*")
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9+-]{0,39}")
_VERSION_MAX: Final = 2**31 - 1
# The months of all templates: the whole country keeps one time, and a village's machine may not.
_BEIJING_MINUTES: Final = 8 * 60

# What can be counted of which universe, and whether the cells overlap.
COUNTABLE: Final[dict[tuple[str, str], bool]] = {
    ("events", "category"): False,
    ("residents", "age"): False,
    ("households", "resident_count"): False,
    ("households", "key_population"): True,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell. It takes the records whose text is one of `values`, or whose number is in range."""

    key: str
    zh: str
    en: str
    values: tuple[str, ...] = ()  # one that ends in * stands for all that begin so
    first: int = 0
    last: int = -1
    otherwise: bool = False  # takes what no other cell does
    remainder: bool = False  # no home says a count of it

    def takes(self, value: str | int) -> bool:
        """Whether a record with this value falls into the cell, `otherwise` aside."""
        if isinstance(value, int):
            return self.first <= value <= self.last
        return any(
            value.startswith(one[:-1]) if one.endswith("*") else value == one for one in self.values
        )


@dataclass(frozen=True, slots=True)
class Template:
    """One version of one template."""

    name: str
    version: int
    title_zh: str
    title_en: str
    purpose_zh: str
    purpose_en: str
    reviewers: tuple[str, ...]
    universe: str  # events, residents, households
    counts: str  # what of them; see COUNTABLE
    cells: tuple[Cell, ...]
    rounding_base: int  # odd, so that a rounded count stands for as many above as below
    small_count: int  # counts below this are not said
    text: str
    sha256: bytes  # of the text in UTF-8

    @property
    def overlapping(self) -> bool:
        """Whether one record may be counted in several cells."""
        return COUNTABLE[self.universe, self.counts]

    @property
    def of_a_month(self) -> bool:
        """Whether just the records of the month are counted, and not the register as it stands."""
        return self.universe == "events"

    @property
    def remainder(self) -> int:
        """The position of the remainder; -1 where the cells overlap."""
        return next((i for i, cell in enumerate(self.cells) if cell.remainder), -1)


def parse_template(text: str) -> Template:
    """The template of a TOML text.

    Raises HuyingError(INVALID_ARGUMENT), naming the key and what to do.
    """
    raw = text.encode()
    if len(raw) > TEMPLATE_BYTES_MAX:
        raise _wrong("template", f"over {TEMPLATE_BYTES_MAX} bytes; shorten it")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong("template", f"not valid TOML: {error}") from None
    cells = tuple(_cell(one) for one in _list(table, "cells", dict, ASK_CELLS_MAX))
    made = Template(
        name=_text(table, "name"),
        version=_whole(table, "version", 1, _VERSION_MAX),
        title_zh=_text(table, "title_zh"),
        title_en=_text(table, "title_en"),
        purpose_zh=_text(table, "purpose_zh"),
        purpose_en=_text(table, "purpose_en"),
        reviewers=tuple(_list(table, "reviewers", str, ASK_CELLS_MAX)),
        universe=_text(table, "universe"),
        counts=_text(table, "counts"),
        cells=cells,
        rounding_base=_whole(table, "rounding_base", 3, 99),
        small_count=_whole(table, "small_count", 5, 999),
        text=text,
        sha256=sha256(raw).digest(),
    )
    unknown = table.keys() - {field for field in Template.__slots__ if field not in _DERIVED}
    if unknown:
        raise _wrong(min(unknown), "unknown; remove it")
    _check(made)
    return made


_DERIVED: Final = frozenset({"text", "sha256"})


def _check(made: Template) -> None:
    if not is_name(made.name):
        raise _wrong("name", "lower-case letters, digits and hyphens, 64 at most")
    if (made.universe, made.counts) not in COUNTABLE:
        known = ", ".join(f"{universe}/{counts}" for universe, counts in COUNTABLE)
        raise _wrong("counts", f"can't be counted; one of {known}")
    if not made.rounding_base % 2 or made.small_count < 2 * made.rounding_base:
        raise _wrong("rounding_base", "must be odd, and at most half of small_count")
    if len({cell.key for cell in made.cells}) != len(made.cells) or len(made.cells) < 2:
        raise _wrong("cells", "at least two, each with a key of its own")
    marks = [sum(cell.remainder for cell in made.cells), sum(cell.otherwise for cell in made.cells)]
    if marks != ([0, 0] if made.overlapping else [1, 1]):
        raise _wrong("cells", "a parting has one remainder and one otherwise; others have none")
    ranged = made.counts in ("age", "resident_count")
    for cell in made.cells:
        if not cell.otherwise and ranged != (not cell.values):
            raise _wrong(f"cells.{cell.key}", "has values where it needs from and upto, or none")


def _cell(table: dict[str, Any]) -> Cell:
    unknown = table.keys() - {"key", "zh", "en", "values", "from", "upto", "otherwise", "remainder"}
    if unknown:
        raise _wrong(f"cells.{min(unknown)}", "unknown; remove it")
    key = _text(table, "key")
    if not _KEY.fullmatch(key):
        raise _wrong("cells.key", "lower-case letters, digits, + and -, 40 at most")
    otherwise = table.get("otherwise") is True
    ranged = "from" in table
    cell = Cell(
        key=key,
        zh=_text(table, "zh"),
        en=_text(table, "en"),
        values=tuple(_list(table, "values", str, ASK_CELLS_MAX)) if "values" in table else (),
        first=_whole(table, "from", 0, 10**6) if ranged else 0,
        last=_whole(table, "upto", 0, 10**6) if ranged else -1,
        otherwise=otherwise,
        remainder=table.get("remainder") is True,
    )
    if (ranged, bool(cell.values), otherwise).count(True) != 1 or (
        ranged and cell.last < cell.first
    ):
        raise _wrong(f"cells.{key}", "needs just one of values, from and upto, otherwise")
    return cell


def _wrong(key: str, what: str) -> HuyingError:
    return HuyingError(Code.INVALID_ARGUMENT, f"{key}: {what}")


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise _wrong(key, "a text is needed")
    if len(value) > NAME_CHARACTERS_MAX:
        raise _wrong(key, f"over {NAME_CHARACTERS_MAX} characters; shorten it")
    return value


def _whole(table: dict[str, Any], key: str, least: int, most: int) -> int:
    value = table.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(key, f"a whole number from {least} to {most} is needed")
    return value


def _list(table: dict[str, Any], key: str, kind: type, most: int) -> list[Any]:
    value = table.get(key)
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise _wrong(key, f"a list of 1 to {most} is needed")
    if not all(isinstance(one, kind) for one in value):
        raise _wrong(key, f"each must be a {kind.__name__}")
    return value


def is_name(text: str) -> bool:
    """Whether a template could be called so."""
    return len(text) <= TEMPLATE_NAME_CHARACTERS_MAX and bool(_NAME.fullmatch(text))


# --- months ----------------------------------------------------------------------------------


def months_over(now_micros: int) -> tuple[str, ...]:
    """The months that are asked of at that time, newest first: over, and not too long ago."""
    local = datetime.fromtimestamp(now_micros // 10**6 + _BEIJING_MINUTES * 60, UTC)
    *before, _ = months_up_to(f"{local:%Y-%m}", ASK_MONTHS_MAX + 1)
    return tuple(reversed(before))


def month_bounds(month: str) -> tuple[int, int]:
    """Unix microseconds of a month's first moment, and of the next month's. As `month_span`."""
    return month_span(month, _BEIJING_MINUTES)
