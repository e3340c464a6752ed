"""The columns of the ledger's spreadsheet: one row a person, with the household beside them.

What offices write differs: dates with dots or without, a grid by its name, a number that the
spreadsheet turned into one with an exponent. What is certain is read; what is not is said, with
what to do, and never repeated: it may be a person's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from huying.common.limits import HOUSEHOLD_RESIDENTS_MAX

__all__ = [
    "COLUMNS",
    "HOUSEHOLD_COLUMNS",
    "MAY_BE_NOTHING",
    "NUMBER_COLUMNS",
    "REQUIRED",
    "RESIDENT_COLUMNS",
    "SAMPLE",
    "CellError",
    "born",
    "canonical_id",
    "is_month_of",
    "is_nothing",
    "read_count",
    "read_date",
    "read_grid",
    "read_id_number",
    "read_name",
    "read_number",
    "read_phone",
    "read_sex",
    "sex_of",
]

# Key -> the names a column goes by, the usual one first. The order is that of the template.
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "grid": ("网格", "所属网格", "网格名称", "网格编码"),
    "number": ("户号", "户编号", "户编码", "家庭编号"),
    "head_name": ("户主", "户主姓名"),
    "address": ("住址", "地址", "家庭住址", "详细地址", "居住地址"),
    "household_phone": ("户电话", "家庭电话"),
    "resident_count": ("户人数", "家庭人数", "人口数"),
    "name": ("姓名", "成员姓名", "居民姓名", "家庭成员姓名"),
    "sex": ("性别",),
    "birth_date": ("出生日期", "出生年月日", "出生年月", "生日"),
    "id_number": (
        *("身份证号", "身份证", "身份证号码", "公民身份号码", "居民身份证号码", "证件号码"),
    ),
    "phone": ("电话", "手机", "手机号", "手机号码", "电话号码", "联系电话", "本人电话"),
    "key_population": ("重点人群", "人群类别", "人员类别"),
    "health": ("健康状况", "健康"),
}
HOUSEHOLD_COLUMNS: Final = (
    *("grid", "number", "head_name", "address", "household_phone", "resident_count"),
)
RESIDENT_COLUMNS: Final = (
    *("name", "sex", "birth_date", "id_number", "phone", "key_population", "health"),
)
NUMBER_COLUMNS: Final = ("household_phone", "id_number", "phone")
REQUIRED: Final = ("number",)
MAY_BE_NOTHING: Final = frozenset(
    ("household_phone", "resident_count", "sex", "birth_date", "id_number", "phone")
) | {"key_population", "health"}
SAMPLE: Final = "样例"  # a household number that begins so is the template's own row

_DATE: Final = re.compile(r"(\d{4})[-./年](\d{1,2})[-./月](\d{1,2})[日号]?(?: 0?0:00(?::00)?)?")
_MONTH: Final = re.compile(r"(\d{4})(?:[-./年](\d{1,2})月?|(\d{2}))")
_COMPACT_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_MARKS: Final = "'`‘’′"
# 1 and 2 are the codes of GB/T 2261.1.
_SEXES: Final = {
    "男": "男",
    "男性": "男",
    "m": "男",
    "1": "男",
    "女": "女",
    "女性": "女",
    "f": "女",
    "2": "女",
}
# What people write where there is nothing to write.
_NOTHING: Final = frozenset(
    (
        "无",
        "暂无",
        "没有",
        "不详",
        "未知",
        "未填",
        "空",
        "-",
        "--",
        "—",
        "——",
        "/",
        "\\",
        "*",
        "#n/a",
    )
)
_NUMERALS: Final = {numeral: digit for digit, numeral in enumerate("零一二三四五六七八九")}
_ORDINAL: Final = re.compile(
    r"第?(\d{1,3}|[一二三四五六七八九]?十?[一二三四五六七八九]?)(?:号?网?格)?"
)
_HAN_APART: Final = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")
_EXPONENT: Final = re.compile(r"\d(?:\.\d+)?[eE]\+?\d+")
_ID_18: Final = re.compile(r"\d{17}[\dX]")
_ID_15: Final = re.compile(r"\d{15}")  # of the first cards, whose people are born in the 1900s
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999
_CHECKS: Final = "10X98765432"
_PHONE_DIGITS: Final = re.compile(r"[0-9+*#() \-转]+")


class CellError(Exception):
    """What is wrong with a cell and what to do: "中文 · English"."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def _folded(text: str) -> str:
    """Full-width digits and letters as plain ones, without blanks around."""
    return unicodedata.normalize("NFKC", text).strip()


def is_nothing(text: str) -> bool:
    """Whether a cell says that there is nothing: 无, 不详, a dash."""
    return _folded(text).lower() in _NOTHING


def read_number(text: str) -> str:
    """A household's number: full-width characters are the same household as plain ones."""
    return _folded(text)


def read_name(text: str) -> str:
    """A name; blanks that set its two characters apart to fill a column are none of it."""
    return _HAN_APART.sub("", text.strip())


def read_date(text: str) -> str:
    """ISO 8601 of a date as people write it. Raises CellError."""
    plain = _folded(text)
    found = _DATE.fullmatch(plain) or _COMPACT_DATE.fullmatch(plain)
    if not found and _MONTH.fullmatch(plain):
        raise CellError(
            "只有年月,没有日;请写成 1950-01-31,或填上身份证号"
            " · a month without its day: write it as 1950-01-31, or give the ID number"
        )
    try:
        return date(*(int(part) for part in found.groups())).isoformat() if found else _no_date()
    except ValueError:
        return _no_date()


def _no_date() -> str:
    raise CellError("不是日期,请写成 1950-01-31 · not a date: write it as 1950-01-31")


def read_sex(text: str) -> str:
    """男 or 女. Raises CellError."""
    found = _SEXES.get(_folded(text).lower())
    if found is None:
        raise CellError("只能填 男 或 女 · must be 男 or 女")
    return found


def read_id_number(text: str) -> str:
    """An ID number, of 18 characters or of 15 digits as on the first cards. Raises CellError."""
    plain = _refuse_mangled(text).upper().replace(" ", "")
    if _ID_18.fullmatch(plain):
        if _check_character(plain[:17]) != plain[-1]:
            raise CellError(
                "身份证号末位校验不符,请核对 · the last character does not fit: compare the card"
            )
    elif _ID_15.fullmatch(plain):
        if not born(plain):
            raise CellError(
                "15 位身份证号里的出生日期不对,请核对"
                " · the date of birth in the 15 digits is none: compare the card"
            )
    elif plain.isdigit():
        raise CellError("身份证号应为 18 位,请核对 · an ID number has 18 characters: compare it")
    return plain


def canonical_id(id_number: str) -> str:
    """What two spellings of one ID number share: one of 15 digits is that of 18 (GB 11643-1999)."""
    plain = id_number.upper().replace(" ", "")
    if not _ID_15.fullmatch(plain):
        return plain
    longer = f"{plain[:6]}19{plain[6:]}"
    return longer + _check_character(longer)


def _check_character(digits: str) -> str:
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True))
    return _CHECKS[total % 11]


def read_phone(text: str) -> str:
    """A phone number. Raises CellError."""
    plain = _refuse_mangled(text)
    if not _PHONE_DIGITS.fullmatch(plain) or not any(map(str.isdigit, plain)):
        raise CellError("不是电话号码,一格只填一个号码 · not a phone number: one number a cell")
    return plain


def born(id_number: str) -> str:
    """The date of birth in an ID number of 18 or 15 characters, "" where there is none."""
    whole = canonical_id(id_number)
    if not _ID_18.fullmatch(whole):
        return ""
    try:
        return date.fromisoformat(whole[6:14]).isoformat()
    except ValueError:
        return ""


def sex_of(id_number: str) -> str:
    """男 or 女, as an ID number of 18 or 15 characters says; else ""."""
    whole = canonical_id(id_number)
    if not _ID_18.fullmatch(whole):
        return ""
    return "男" if int(whole[16]) % 2 else "女"


def is_month_of(text: str, day: str) -> bool:
    """Whether a cell has just the year and month of a date, which is known otherwise."""
    found = _MONTH.fullmatch(_folded(text))
    if found is None or not day:
        return False
    return day[:7] == f"{found[1]}-{int(found[2] or found[3]):02}"


def _refuse_mangled(text: str) -> str:
    # Exports put a quotation mark before a number to keep a spreadsheet from changing it.
    plain = _folded(text).lstrip(_MARKS).strip()
    if _EXPONENT.fullmatch(plain):
        raise CellError(
            "表格软件把号码变成了数值,请把这一列设为“文本”后重填"
            " · turned into a number: format the column as text and type it again"
        )
    if "**" in plain:
        raise CellError("号码被遮蔽,请填全号或留空 · masked: give the whole number or none")
    return plain


def read_count(text: str) -> int:
    """How many live there. Raises CellError."""
    plain = _folded(text)
    if not (plain.isascii() and plain.isdigit()) or int(plain[:9]) > HOUSEHOLD_RESIDENTS_MAX:
        most = HOUSEHOLD_RESIDENTS_MAX
        raise CellError(f"应为 0 到 {most} 的整数 · a whole number from 0 to {most}")
    return int(plain)


def read_grid(text: str, grids: Mapping[str, str]) -> str:
    """The code of a grid of the person's (code -> name), by its code, name or last three digits.

    Empty stands for the only one there is. Raises CellError.
    """
    plain = _folded(text)
    if not plain and len(grids) == 1:
        return next(iter(grids))
    found = [
        code
        for code, name in grids.items()
        if plain and plain in (code, _folded(name), code[-3:], code[-3:].lstrip("0"))
    ] or [
        code
        for code, name in grids.items()
        if _ordinal(plain) and _ordinal(plain) == _ordinal(name)
    ]
    if len(found) != 1:
        raise CellError(
            "没有这个网格,或不归你管;请填网格名称或 15 位编码"
            " · no such grid of yours: give its name or its 15 digits"
        )
    return found[0]


def _ordinal(name: str) -> int:
    """Which grid of its village a name says it is: 1 of 第一网格, 1网格 and 一格; 0 for another."""
    found = _ORDINAL.fullmatch("".join(_folded(name).split()))
    if not found or not found[1]:
        return 0
    if found[1].isdigit():
        return int(found[1])
    tens, ten, ones = found[1].rpartition("十")
    return (_NUMERALS.get(tens, 1) * 10 if ten else 0) + _NUMERALS.get(ones, 0)
