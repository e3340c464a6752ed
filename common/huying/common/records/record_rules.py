"""What a record may hold where it is written: one rule per field, one table per message.

These are the strict checks for this node's own writes; what others wrote is judged by
`huying.common.records.registry.decode`, which asks less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message

from huying.common.limits import (
    CERTIFICATE_BYTES_MAX,
    GRID_HOUSEHOLDS_MAX,
    HOUSEHOLD_RESIDENTS_MAX,
    INTEGER_MAX,
)
from huying.common.records.call_field_rules import CALL_RULES
from huying.common.records.desk_field_rules import DESK_RULES, check_event_handling
from huying.common.records.evidence_field_rules import EVIDENCE_RULES, check_evidence
from huying.common.records.field_checks import (
    Rule,
    anything,
    below,
    bytes_upto,
    free_text,
    id_number,
    iso_date,
    masked_text,
    matches,
    micros,
    of_bytes,
    one_of,
    own_code,
    own_grid,
    phone,
    record_id,
    refuse,
    required,
    short_text,
    upto,
)

__all__ = ["check_fields"]

_URBAN_RURAL: Final = re.compile(r"[12][0-9]{2}")
_SHA256_BYTES: Final = 32
_HPKE_KEY_BYTES: Final = 32

# By message name, then by field name. An enum field needs no rule of its own but `required`.
_RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "Division": {
        "code": required(own_code),
        "name": required(short_text),
        "urban_rural_code": Rule(matches(_URBAN_RURAL, "three digits, 1xx or 2xx")),
    },
    "Grid": {
        "code": required(own_grid),
        "name": required(short_text),
        "type": required(anything),
        "grid_level": Rule(upto(4)),
        "household_count": Rule(upto(GRID_HOUSEHOLDS_MAX)),
        "valid_from": Rule(iso_date),
        "valid_to": Rule(iso_date),
    },
    "GridWorker": {
        "grid": required(own_grid),
        "role": required(anything),
        "name": required(short_text),
        "phone": Rule(phone),
        "id_number": Rule(id_number),
    },
    "Household": {
        "grid": required(own_grid),
        "resident_count": Rule(upto(HOUSEHOLD_RESIDENTS_MAX)),
        "number": Rule(short_text),
        "address": Rule(short_text),
        "head_name": Rule(short_text),
        "phone": Rule(phone),
        "generated": Rule(anything),
    },
    "Resident": {
        "grid": required(own_grid),
        "household": Rule(record_id),
        "name": required(short_text),
        "birth_date": Rule(iso_date),
        "sex": Rule(one_of("男", "女")),
        "id_number": Rule(id_number),
        "phone": Rule(phone),
        "key_population": Rule(short_text),
        "health": Rule(free_text),
        "generated": Rule(anything),
    },
    "Visit": {
        "grid": required(own_grid),
        "visited_micros": required(micros),
        "kind": required(anything),
        "household": Rule(record_id),
        "actor": Rule(short_text),
        "text": Rule(free_text),
        "generated": Rule(anything),
    },
    "Event": {
        "category": required(short_text),
        "descriptor": Rule(short_text),
        "grid": Rule(own_grid),
        "status": required(anything),
        "reported_micros": required(micros),
        "settled_micros": Rule(micros),
        "description_public": Rule(masked_text),
        "source": Rule(short_text),
        "address": Rule(short_text),
        "description_full": Rule(free_text),
        "reporter_name": Rule(short_text),
        "reporter_phone": Rule(phone),
    },
    "Member": {
        "code": required(below),
        "name": required(short_text),
        "feed_key": required(short_text),
        "witness_key": required(short_text),
        "certificate_sha256": Rule(of_bytes(_SHA256_BYTES)),
        "certificate": Rule(bytes_upto(CERTIFICATE_BYTES_MAX)),
        "hpke_key": Rule(of_bytes(_HPKE_KEY_BYTES)),
        "succession": Rule(anything),
        "revocation": Rule(anything),
        "address": Rule(short_text),
    },
    "Close": {"succession": required(anything)},
    "Open": {"succession": required(anything), "lost": Rule(anything)},
    "Confirmation": {
        "code": required(below),
        "feed_key": required(short_text),
        "reason": Rule(free_text),
    },
    "NodeKeys": {
        "certificate": Rule(bytes_upto(CERTIFICATE_BYTES_MAX)),
        "hpke_key": Rule(of_bytes(_HPKE_KEY_BYTES)),
    },
    "Recovered": {
        "from_size": Rule(upto(INTEGER_MAX)),
        "upto_size": Rule(upto(INTEGER_MAX)),
        "lost": Rule(anything),
        "numbers": Rule(anything),
    },
    "Erasure": {
        "ranges": required(anything),
        "reason": Rule(free_text),
        "origin": Rule(short_text),
    },
    "ErasureReceipt": {"erasures": required(anything)},
    "Disclosure": {
        "ranges": required(anything),
        "readers": required(anything),
        "purpose": required(free_text),
        "expires_micros": Rule(micros),
        "authority": Rule(free_text),
        "origin": Rule(short_text),
    },
    **CALL_RULES,
    **DESK_RULES,
    **EVIDENCE_RULES,
}

# What the fields of a message must be to each other.
# By the message's name; each takes the message of that name alone.
_WHOLE: Final[Mapping[str, Any]] = {
    "Evidence": check_evidence,
    "EventHandling": check_event_handling,
}


def check_fields(message: Message, code: str) -> None:
    """Let a record pass that the node `code` may write as it stands.

    Raises HuyingError(INVALID_ARGUMENT) naming the first field that is missing or wrong, the limit,
    and what to do.
    """
    _check_message(message, code, "")
    if (check := _WHOLE.get(message.DESCRIPTOR.name)) is not None:
        check(message)


def _check_message(message: Message, code: str, prefix: str) -> None:
    descriptor = message.DESCRIPTOR
    given = {field.name: value for field, value in message.ListFields()}
    for name, rule in _RULES[descriptor.name].items():
        value = given.get(name)
        if value is not None and rule.check is None:
            for one in [value] if isinstance(value, Message) else value:
                _check_message(one, code, f"{prefix}{name}.")
        elif value is not None and rule.check is not None:
            rule.check(prefix + name, value, code)
        elif rule.required:
            raise refuse(prefix + name, "missing; it is required")
    for field, value in message.ListFields():
        if field.enum_type is None or field.is_repeated:
            continue
        if value not in field.enum_type.values_by_number:
            known = ", ".join(one.name for one in field.enum_type.values if one.number)
            raise refuse(prefix + field.name, f"{value} is unknown here; one of {known}")
