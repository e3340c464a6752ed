"""What the forms of a household and a resident change: the fields they show, and no other.

An ID or phone number, and what is said of somebody's health, is never filled into a form: its field
is empty, stays as it is where nothing is typed, and goes where its box is ticked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import HOUSEHOLD_RESIDENTS_MAX
from huying.node.web.forms import Form
from huying.node.web.ledger import ledger_columns as columns
from huying.node.web.ledger.ledger_book import populations
from huying.node.web.ledger.ledger_columns import CellError
from huying.node.web.page import Ask

__all__ = [
    "POPULATIONS",
    "fill_household",
    "fill_resident",
    "refused_field",
    "shown_household",
    "shown_resident",
    "status_of",
    "typed",
]

# 重点人群, as the county's forms list them; another may be typed.
POPULATIONS: Final = (
    *("空巢老人", "独居老人", "失能老人", "留守儿童", "困境儿童", "残疾人", "低保", "特困"),
    *("4050人员", "退役军人", "精神障碍", "刑满释放", "社区矫正", "吸毒人员"),
)
_FIELD_NAMES: Final = {
    "number": ("户号", "Household number"),
    "grid": ("网格", "Grid"),
    "address": ("住址", "Address"),
    "head_name": ("户主", "Head of household"),
    "resident_count": ("人数", "Residents"),
    "phone": ("电话", "Phone"),
    "name": ("姓名", "Name"),
    "sex": ("性别", "Sex"),
    "birth_date": ("出生日期", "Date of birth"),
    "id_number": ("身份证号", "ID number"),
    "key_population": ("重点人群", "Key population"),
    "health": ("健康状况", "Health"),
    "text": ("内容", "What was said"),
    "visited": ("时间", "When"),
    "kind": ("方式", "Kind"),
}
_HOUSEHOLD: Final = ("number", "grid", "address", "head_name")
_RESIDENT: Final = ("name", "sex", "birth_date")
_SECRET: Final = {"household": ("phone",), "resident": ("id_number", "phone", "health")}
_BETWEEN: Final = "、"
_READERS: Final[Mapping[str, Callable[[str], str]]] = {
    "birth_date": columns.read_date,
    "id_number": columns.read_id_number,
    "phone": columns.read_phone,
}


def fill_household(message: Any, form: Form) -> None:
    """Change the household as its form says. Raises HuyingError(INVALID_ARGUMENT)."""
    _fill(message, form, _HOUSEHOLD, _SECRET["household"])
    if form.text("resident_count", 8):
        message.resident_count = form.number("resident_count", 0, HOUSEHOLD_RESIDENTS_MAX)


def fill_resident(message: Any, form: Form) -> None:
    """Change the resident as its form says. Raises HuyingError(INVALID_ARGUMENT)."""
    _fill(message, form, _RESIDENT, _SECRET["resident"])
    # What the ID number says is not asked for again.
    message.birth_date = message.birth_date or columns.born(message.id_number)
    message.sex = message.sex or columns.sex_of(message.id_number)
    # Boxes that are not ticked are not sent: the hidden field says that they were shown.
    if form.flag("populations_shown"):
        named = [*form.many("population"), *populations(form.text("population_other"))]
        message.key_population = _BETWEEN.join(dict.fromkeys(named))


def _fill(message: Any, form: Form, fields: Sequence[str], secret: Sequence[str]) -> None:
    sent = form.values()
    for name in fields:
        # What was there before may be written otherwise, and stays where nobody changes it.
        if name in sent and form.text(name) != getattr(message, name):
            setattr(message, name, _read(name, form.text(name)))
    for name in secret:
        if form.flag(f"clear_{name}"):
            message.ClearField(name)
        elif value := form.text(name):
            setattr(message, name, _read(name, value))


def _read(name: str, text: str) -> str:
    """What was typed, as it is kept: as forgiving, and as strict, as the reading of a sheet."""
    reader = _READERS.get(name)
    if reader is None or not text:
        return text
    try:
        return reader(text)
    except CellError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: {error.what}") from None


def shown_household(message: Any) -> dict[str, Any]:
    """What the form of a household is filled with."""
    shown: dict[str, Any] = {name: getattr(message, name) for name in _HOUSEHOLD}
    return {**shown, "resident_count": message.resident_count or ""}


def shown_resident(message: Any) -> dict[str, Any]:
    """What the form of a resident is filled with."""
    named = populations(message.key_population)
    return {
        **{name: getattr(message, name) for name in _RESIDENT},
        "populations": [one for one in named if one in POPULATIONS],
        "population_other": _BETWEEN.join(one for one in named if one not in POPULATIONS),
    }


def typed(form: Form) -> dict[str, Any]:
    """What was typed, to show it again; the boxes come several under one name."""
    return {**form.values(), "populations": form.many("population")}


def refused_field(ask: Ask, error: HuyingError | None) -> str:
    """The name on the screen of the field that is refused, as far as the refusal says it."""
    if error is None or error.code is not Code.INVALID_ARGUMENT:
        return ""
    names = _FIELD_NAMES.get(error.detail.partition(":")[0].rpartition(" ")[2])
    return ask.t(*names) if names else ""


def status_of(error: HuyingError | None) -> int:
    """The status of a form that is shown again."""
    if error is None:
        return 200
    return 409 if error.code is Code.WRONG_STAGE else 400
