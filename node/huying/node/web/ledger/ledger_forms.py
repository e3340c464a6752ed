"""What the forms of a household and a resident change: the fields they show, and no other.

An ID or phone number, and what is said of somebody's health, is never filled into a form: its field
is empty, stays as it is where nothing is typed, and goes where its box is ticked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import HOUSEHOLD_RESIDENTS_MAX
from huying.node.web.field_faults import Faults
from huying.node.web.forms import Form
from huying.node.web.ledger import ledger_columns as columns
from huying.node.web.ledger.ledger_book import populations
from huying.node.web.ledger.ledger_columns import CellError

__all__ = [
    "HOUSEHOLD_LABELS",
    "POPULATIONS",
    "RESIDENT_LABELS",
    "VISIT_LABELS",
    "fill_household",
    "fill_resident",
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
# What the forms call their fields, in the order in which they stand there.
HOUSEHOLD_LABELS: Final = {
    "head_name": ("户主姓名", "Head of the household"),
    "number": ("户号", "Household number"),
    "address": ("住址", "Address"),
    "grid": ("网格", "Grid"),
    "resident_count": ("人数", "Residents"),
    "phone": ("电话", "Phone"),
}
RESIDENT_LABELS: Final = {
    "name": ("姓名", "Name"),
    "sex": ("性别", "Sex"),
    "birth_date": ("出生日期", "Date of birth"),
    "id_number": ("身份证号", "ID number"),
    "phone": ("电话", "Phone"),
    "population_other": ("重点人群:其他", "Key population: other"),
    "health": ("健康状况", "Health"),
}
VISIT_LABELS: Final = {
    "grid": ("网格", "Grid"),
    "kind": ("方式", "Kind"),
    "visited": ("时间", "When"),
    "text": ("内容", "What was said"),
}
_HOUSEHOLD: Final = ("number", "grid", "address", "head_name")
_RESIDENT: Final = ("name", "sex", "birth_date")
_SECRET: Final = {"household": ("phone",), "resident": ("id_number", "phone", "health")}
_BETWEEN: Final = "、"
_READERS: Final[Mapping[str, Callable[[str], str]]] = {
    "number": columns.read_number,
    "head_name": columns.read_name,
    "name": columns.read_name,
    "birth_date": columns.read_date,
    "id_number": columns.read_id_number,
    "phone": columns.read_phone,
}


def fill_household(message: Any, form: Form) -> Faults:
    """Change the household as its form says, as far as it is right; what is wrong."""
    faults = _fill(message, form, _HOUSEHOLD, _SECRET["household"])
    with faults.at("resident_count"):
        if form.text("resident_count", 8):
            message.resident_count = form.number("resident_count", 0, HOUSEHOLD_RESIDENTS_MAX)
    return faults


def fill_resident(message: Any, form: Form) -> Faults:
    """Change the resident as its form says, as far as it is right; what is wrong."""
    faults = _fill(message, form, _RESIDENT, _SECRET["resident"])
    with faults.at("name"):
        if not message.name:
            raise HuyingError(Code.INVALID_ARGUMENT, "name: empty; fill it in")
    # What the ID number says is not asked for again.
    message.birth_date = message.birth_date or columns.born(message.id_number)
    message.sex = message.sex or columns.sex_of(message.id_number)
    # Boxes that are not ticked are not sent: the hidden field says that they were shown.
    with faults.at("population_other"):
        if form.flag("populations_shown"):
            named = [*form.many("population"), *populations(form.text("population_other"))]
            message.key_population = _BETWEEN.join(dict.fromkeys(named))
    return faults


def _fill(message: Any, form: Form, fields: Sequence[str], secret: Sequence[str]) -> Faults:
    sent, faults = form.values(), Faults()
    for name in fields:
        with faults.at(name):
            # What was there may be written otherwise, and stays where nobody changes it.
            if name in sent and form.text(name) != getattr(message, name):
                setattr(message, name, _read(name, form.text(name)))
    for name in secret:
        with faults.at(name):
            if form.flag(f"clear_{name}"):
                message.ClearField(name)
            elif value := form.text(name):
                setattr(message, name, _read(name, value))
    return faults


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


def status_of(error: HuyingError | None) -> int:
    """The status of a form that is shown again."""
    if error is None:
        return 200
    return 409 if error.code is Code.WRONG_STAGE else 400
