"""What a field may hold where it is written: one rule per field, one table per record message.

These are the strict checks for this node's own writes; what others wrote is judged by
`huying.common.records.decode`, which asks less. A refusal names the field, the limit, and what to
do, and never repeats the value: it may be a person's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from google.protobuf.message import Message

from huying.common.codes import is_within, parse_code, parse_grid
from huying.common.errors import Code, HuyingError
from huying.common.limits import (
    CERTIFICATE_BYTES_MAX,
    CO_HANDLERS_MAX,
    GRID_HOUSEHOLDS_MAX,
    HOUSEHOLD_RESIDENTS_MAX,
    ID_NUMBER_CHARACTERS_MAX,
    INTEGER_MAX,
    NAME_CHARACTERS_MAX,
    PHONE_CHARACTERS_MAX,
    RECORD_ID_BYTES,
    SATISFACTION_STARS_MAX,
    TEXT_CHARACTERS_MAX,
)
from huying.common.masking import mask

__all__ = ["check_fields"]

# C0 and C1 controls but tab and line ends, and the direction overrides: they garble a terminal,
# and NUL fits in no database's text.
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PHONE: Final = re.compile(r"[0-9+*#() \-转]+")
_ID_NUMBER: Final = re.compile(r"[0-9A-Za-z() \-]+")
_URBAN_RURAL: Final = re.compile(r"[12][0-9]{2}")
_SHA256_BYTES: Final = 32
_HPKE_KEY_BYTES: Final = 32

# (field name, value, code of the writing node) -> nothing, or HuyingError(INVALID_ARGUMENT)
_Check = Callable[[str, Any, str], None]


@dataclass(frozen=True, slots=True)
class _Rule:
    check: _Check
    required: bool = False


def _refuse(field: str, why: str) -> HuyingError:
    return HuyingError(Code.INVALID_ARGUMENT, f"{field}: {why}")


def _characters(maximum: int) -> _Check:
    def check(field: str, value: str, _code: str) -> None:
        if len(value) > maximum:
            raise _refuse(field, f"{len(value)} characters, {maximum} at most; shorten it")
        if _CONTROL.search(value):
            raise _refuse(field, "holds a control character; remove it")

    return check


_name = _characters(NAME_CHARACTERS_MAX)
_text = _characters(TEXT_CHARACTERS_MAX)


def _masked(field: str, value: str, code: str) -> None:
    _text(field, value, code)
    if mask(value).hits:
        raise _refuse(field, "holds a phone or ID number, and leaves this node; mask it first")


def _phone(field: str, value: str, _code: str) -> None:
    if len(value) > PHONE_CHARACTERS_MAX:
        raise _refuse(field, f"over {PHONE_CHARACTERS_MAX} characters; give one number")
    if not _PHONE.fullmatch(value):
        raise _refuse(field, "not a phone number; digits, blanks and + - ( ) # * 转 are allowed")


def _id_number(field: str, value: str, _code: str) -> None:
    if len(value) > ID_NUMBER_CHARACTERS_MAX:
        raise _refuse(field, f"over {ID_NUMBER_CHARACTERS_MAX} characters; give one number")
    if not _ID_NUMBER.fullmatch(value):
        raise _refuse(field, "not an ID number; digits and Latin letters are allowed")


def _iso_date(field: str, value: str, _code: str) -> None:
    try:
        written = date.fromisoformat(value).isoformat()
    except ValueError:
        written = ""
    if written != value:
        raise _refuse(field, "not a date; write it as 2026-01-31")


def _grid(field: str, value: str, code: str) -> None:
    parse_grid(value, field)
    if not is_within(value[:12], code):
        raise _refuse(field, f"this grid is not in {code}; a node writes about its own region")


def _home(field: str, value: str, code: str) -> None:
    if value != code:
        raise _refuse(field, f"must be this node's own code {code}")


def _below(field: str, value: str, code: str) -> None:
    parse_code(value, field)
    if value == code or not is_within(value, code):
        raise _refuse(field, f"must lie below this node, {code}")


def _above(field: str, value: str, code: str) -> None:
    parse_code(value, field)
    if value == code or not is_within(code, value):
        raise _refuse(field, f"must be a node above this one, {code}")


def _here_or_below(field: str, value: str, code: str) -> None:
    parse_code(value, field)
    if not is_within(value, code):
        raise _refuse(field, f"must be this node, {code}, or lie below it")


def _length(count_bytes: int) -> _Check:
    def check(field: str, value: bytes, _code: str) -> None:
        if len(value) != count_bytes:
            raise _refuse(field, f"{len(value)} bytes, {count_bytes} are needed")

    return check


def _bytes_upto(maximum_bytes: int) -> _Check:
    def check(field: str, value: bytes, _code: str) -> None:
        if len(value) > maximum_bytes:
            raise _refuse(field, f"{len(value)} bytes, {maximum_bytes} at most")

    return check


_record_id = _length(RECORD_ID_BYTES)


def _upto(maximum: int) -> _Check:
    def check(field: str, value: int, _code: str) -> None:
        if value > maximum:
            raise _refuse(field, f"{value} is over {maximum}")

    return check


def _one_of(*words: str) -> _Check:
    def check(field: str, value: str, _code: str) -> None:
        if value not in words:
            raise _refuse(field, f"must be one of {', '.join(words)}")

    return check


def _flag(_field: str, _value: object, _code: str) -> None:
    """Any truth value will do."""


def _matches(pattern: re.Pattern[str], what: str) -> _Check:
    def check(field: str, value: str, _code: str) -> None:
        if not pattern.fullmatch(value):
            raise _refuse(field, f"must be {what}")

    return check


def _departments(field: str, value: Any, code: str) -> None:
    if len(value) > CO_HANDLERS_MAX:
        raise _refuse(field, f"{len(value)} departments, {CO_HANDLERS_MAX} at most")
    for department in value:
        _name(field, department, code)


def _message(field: str, value: Message, code: str) -> None:
    _check_message(value, code, f"{field}.")


_micros = _upto(INTEGER_MAX)


def _required(check: _Check) -> _Rule:
    return _Rule(check, required=True)


# By message name, then by field name. An enum field needs no rule of its own but `required`.
_RULES: Final[Mapping[str, Mapping[str, _Rule]]] = {
    "Division": {
        "code": _required(_home),
        "name": _required(_name),
        "urban_rural_code": _Rule(_matches(_URBAN_RURAL, "three digits, 1xx or 2xx")),
    },
    "Grid": {
        "code": _required(_grid),
        "name": _required(_name),
        "type": _required(_flag),
        "grid_level": _Rule(_upto(4)),
        "household_count": _Rule(_upto(GRID_HOUSEHOLDS_MAX)),
        "valid_from": _Rule(_iso_date),
        "valid_to": _Rule(_iso_date),
    },
    "GridWorker": {
        "grid": _required(_grid),
        "role": _required(_flag),
        "name": _required(_name),
        "phone": _Rule(_phone),
        "id_number": _Rule(_id_number),
    },
    "Household": {
        "grid": _required(_grid),
        "resident_count": _Rule(_upto(HOUSEHOLD_RESIDENTS_MAX)),
        "number": _Rule(_name),
        "address": _Rule(_name),
        "head_name": _Rule(_name),
        "phone": _Rule(_phone),
        "generated": _Rule(_flag),
    },
    "Resident": {
        "grid": _required(_grid),
        "household": _Rule(_record_id),
        "name": _required(_name),
        "birth_date": _Rule(_iso_date),
        "sex": _Rule(_one_of("男", "女")),
        "id_number": _Rule(_id_number),
        "phone": _Rule(_phone),
        "key_population": _Rule(_name),
        "health": _Rule(_text),
        "generated": _Rule(_flag),
    },
    "Event": {
        "category": _required(_name),
        "descriptor": _Rule(_name),
        "grid": _Rule(_grid),
        "status": _required(_flag),
        "reported_micros": _required(_micros),
        "settled_micros": _Rule(_micros),
        "description_public": _Rule(_masked),
        "source": _Rule(_name),
        "address": _Rule(_name),
        "description_full": _Rule(_text),
        "reporter_name": _Rule(_name),
        "reporter_phone": _Rule(_phone),
    },
    "Member": {
        "code": _required(_below),
        "name": _required(_name),
        "feed_key": _required(_name),
        "witness_key": _required(_name),
        "certificate_sha256": _Rule(_length(_SHA256_BYTES)),
        "certificate": _Rule(_bytes_upto(CERTIFICATE_BYTES_MAX)),
        "hpke_key": _Rule(_length(_HPKE_KEY_BYTES)),
        "succession": _Rule(_flag),
        "revocation": _Rule(_flag),
        "address": _Rule(_name),
    },
    "Close": {"succession": _required(_flag)},
    "Open": {"succession": _required(_flag), "lost": _Rule(_flag)},
    "Confirmation": {
        "code": _required(_below),
        "feed_key": _required(_name),
        "reason": _Rule(_text),
    },
    "NodeKeys": {
        "certificate": _Rule(_bytes_upto(CERTIFICATE_BYTES_MAX)),
        "hpke_key": _Rule(_length(_HPKE_KEY_BYTES)),
    },
    "Recovered": {
        "from_size": _Rule(_upto(INTEGER_MAX)),
        "upto_size": _Rule(_upto(INTEGER_MAX)),
        "lost": _Rule(_flag),
        "numbers": _Rule(_flag),
    },
    "Erasure": {"ranges": _required(_flag), "reason": _Rule(_text), "origin": _Rule(_name)},
    "ErasureReceipt": {"erasures": _required(_flag)},
    "Disclosure": {
        "ranges": _required(_flag),
        "readers": _required(_flag),
        "purpose": _required(_text),
        "expires_micros": _Rule(_micros),
        "authority": _Rule(_text),
        "origin": _Rule(_name),
    },
    "Call": {
        "sequencer": _required(_above),
        "category": _required(_name),
        "title": _Rule(_masked),
        "description": _Rule(_masked),
        "grid": _Rule(_grid),
        "village": _Rule(_here_or_below),
        "event": _Rule(_record_id),
        "raised_micros": _Rule(_micros),
        "actor": _Rule(_name),
        "contact_name": _Rule(_name),
        "contact_phone": _Rule(_phone),
    },
    "CallStep": {
        "call": _required(_record_id),
        "caller": _required(_here_or_below),
        "actor": _Rule(_name),
        "took": _Rule(_message),
        "dispatch": _Rule(_message),
        "answer": _Rule(_message),
        "confirm": _Rule(_message),
        "internal_note": _Rule(_text),
    },
    "Took": {
        "ref": _required(_message),
        "accepted": _Rule(_flag),
        "reason": _Rule(_flag),
        "raise": _Rule(_message),
        "confirm": _Rule(_message),
    },
    "EntryRef": {"origin": _required(_name), "index": _Rule(_upto(INTEGER_MAX))},
    "Raise": {"village": _Rule(_here_or_below)},
    "Confirm": {
        "resolved": _Rule(_flag),
        "satisfaction": _Rule(_upto(SATISFACTION_STARS_MAX)),
        "comment": _Rule(_text),
    },
    "Dispatch": {
        "department": _required(_name),
        "co_handlers": _Rule(_departments),
        "deadline_micros": _Rule(_micros),
    },
    "Answer": {"department": _required(_name), "text": _required(_text)},
}


def check_fields(message: Message, code: str) -> None:
    """Let a record pass that the node `code` may write as it stands.

    Raises HuyingError(INVALID_ARGUMENT) naming the first field that is missing or wrong, the limit,
    and what to do.
    """
    _check_message(message, code, "")


def _check_message(message: Message, code: str, prefix: str) -> None:
    descriptor = message.DESCRIPTOR
    given = {field.name: value for field, value in message.ListFields()}
    for name, rule in _RULES[descriptor.name].items():
        value = given.get(name)
        if value is not None:
            rule.check(prefix + name, value, code)
        elif rule.required:
            raise _refuse(prefix + name, "missing; it is required")
    for field, value in message.ListFields():
        if field.enum_type is not None and value not in field.enum_type.values_by_number:
            known = ", ".join(one.name for one in field.enum_type.values if one.number)
            raise _refuse(prefix + field.name, f"{value} is unknown here; one of {known}")
