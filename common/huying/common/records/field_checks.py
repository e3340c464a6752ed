"""What one field may hold where it is written: the checks that the rules of records are made of.

A refusal names the field, the limit, and what to do, and never repeats the value: it may be a
person's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from huying.common.codes import is_within, parse_code, parse_grid
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    CO_HANDLERS_MAX,
    ID_NUMBER_CHARACTERS_MAX,
    INTEGER_MAX,
    NAME_CHARACTERS_MAX,
    PHONE_CHARACTERS_MAX,
    RECORD_ID_BYTES,
    TEXT_CHARACTERS_MAX,
)
from huying.common.masking import mask

__all__ = [
    "NESTED",
    "REQUIRED_NESTED",
    "Check",
    "Rule",
    "above",
    "anything",
    "below",
    "bytes_upto",
    "characters",
    "departments",
    "free_text",
    "here_or_below",
    "id_number",
    "iso_date",
    "masked_text",
    "matches",
    "micros",
    "of_bytes",
    "one_line",
    "one_of",
    "own_code",
    "own_grid",
    "phone",
    "record_id",
    "refuse",
    "required",
    "short_text",
    "upto",
]

# C0 and C1 controls but tab and line ends, and the direction overrides: they garble a terminal,
# and NUL fits in no database's text.
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PHONE: Final = re.compile(r"[0-9+*#() \-转]+")
_ID_NUMBER: Final = re.compile(r"[0-9A-Za-z() \-]+")

# (field name, value, code of the writing node) -> nothing, or HuyingError(INVALID_ARGUMENT)
Check = Callable[[str, Any, str], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One field's rule. Without a check it is a message, or a list of them, with its own rules."""

    check: Check | None
    required: bool = False


NESTED: Final = Rule(None)
REQUIRED_NESTED: Final = Rule(None, required=True)


def refuse(field: str, why: str) -> HuyingError:
    """HuyingError(INVALID_ARGUMENT) that names the field."""
    return HuyingError(Code.INVALID_ARGUMENT, f"{field}: {why}")


def characters(maximum: int) -> Check:
    """Text of at most so many characters, without control characters."""

    def check(field: str, value: str, _code: str) -> None:
        if len(value) > maximum:
            raise refuse(field, f"{len(value)} characters, {maximum} at most; shorten it")
        if _CONTROL.search(value):
            raise refuse(field, "holds a control character; remove it")

    return check


short_text = characters(NAME_CHARACTERS_MAX)
free_text = characters(TEXT_CHARACTERS_MAX)


def one_line(field: str, value: str, code: str) -> None:
    """A name, which stands in the middle of lines of other people's screens."""
    short_text(field, value, code)
    if not value.isprintable():
        raise refuse(field, "holds a line end or a tab; write it on one line")


def masked_text(field: str, value: str, code: str) -> None:
    """Free text that leaves this node: without a phone or ID number."""
    free_text(field, value, code)
    if mask(value).hits:
        raise refuse(field, "holds a phone or ID number, and leaves this node; mask it first")


def phone(field: str, value: str, _code: str) -> None:
    """One phone number."""
    if len(value) > PHONE_CHARACTERS_MAX:
        raise refuse(field, f"over {PHONE_CHARACTERS_MAX} characters; give one number")
    if not _PHONE.fullmatch(value):
        raise refuse(field, "not a phone number; digits, blanks and + - ( ) # * 转 are allowed")


def id_number(field: str, value: str, _code: str) -> None:
    """One ID number."""
    if len(value) > ID_NUMBER_CHARACTERS_MAX:
        raise refuse(field, f"over {ID_NUMBER_CHARACTERS_MAX} characters; give one number")
    if not _ID_NUMBER.fullmatch(value):
        raise refuse(field, "not an ID number; digits and Latin letters are allowed")


def iso_date(field: str, value: str, _code: str) -> None:
    """A date, as 2026-01-31."""
    try:
        written = date.fromisoformat(value).isoformat()
    except ValueError:
        written = ""
    if written != value:
        raise refuse(field, "not a date; write it as 2026-01-31")


def own_grid(field: str, value: str, code: str) -> None:
    """A grid inside the writer."""
    parse_grid(value, field)
    if not is_within(value[:12], code):
        raise refuse(field, f"this grid is not in {code}; a node writes about its own region")


def own_code(field: str, value: str, code: str) -> None:
    """The writer's own code."""
    if value != code:
        raise refuse(field, f"must be this node's own code {code}")


def below(field: str, value: str, code: str) -> None:
    """The code of a node below the writer."""
    parse_code(value, field)
    if value == code or not is_within(value, code):
        raise refuse(field, f"must lie below this node, {code}")


def above(field: str, value: str, code: str) -> None:
    """The code of a node above the writer."""
    parse_code(value, field)
    if value == code or not is_within(code, value):
        raise refuse(field, f"must be a node above this one, {code}")


def here_or_below(field: str, value: str, code: str) -> None:
    """The code of the writer, or of a node below it."""
    parse_code(value, field)
    if not is_within(value, code):
        raise refuse(field, f"must be this node, {code}, or lie below it")


def of_bytes(count_bytes: int) -> Check:
    """Just so many bytes."""

    def check(field: str, value: bytes, _code: str) -> None:
        if len(value) != count_bytes:
            raise refuse(field, f"{len(value)} bytes, {count_bytes} are needed")

    return check


def bytes_upto(maximum_bytes: int) -> Check:
    """At most so many bytes."""

    def check(field: str, value: bytes, _code: str) -> None:
        if len(value) > maximum_bytes:
            raise refuse(field, f"{len(value)} bytes, {maximum_bytes} at most")

    return check


record_id = of_bytes(RECORD_ID_BYTES)


def upto(maximum: int) -> Check:
    """A number of at most `maximum`."""

    def check(field: str, value: int, _code: str) -> None:
        if value > maximum:
            raise refuse(field, f"{value} is over {maximum}")

    return check


def one_of(*words: str) -> Check:
    """One of these words."""

    def check(field: str, value: str, _code: str) -> None:
        if value not in words:
            raise refuse(field, f"must be one of {', '.join(words)}")

    return check


def anything(_field: str, _value: object, _code: str) -> None:
    """Any truth value will do."""


def matches(pattern: re.Pattern[str], what: str) -> Check:
    """Text of a pattern, which `what` describes."""

    def check(field: str, value: str, _code: str) -> None:
        if not pattern.fullmatch(value):
            raise refuse(field, f"must be {what}")

    return check


def departments(field: str, value: Any, code: str) -> None:
    """A list of short texts, bounded."""
    if len(value) > CO_HANDLERS_MAX:
        raise refuse(field, f"{len(value)} departments, {CO_HANDLERS_MAX} at most")
    for department in value:
        short_text(field, department, code)


micros = upto(INTEGER_MAX)


def required(check: Check) -> Rule:
    """The rule of a field that must be filled."""
    return Rule(check, required=True)
