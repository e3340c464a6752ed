"""The rules of what a desk writes: policies, duty lists, provisions, questions, hotline orders.

See `huying.common.records.record_rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from huying.common.limits import (
    CENSUS_RECORDS_MAX,
    ENTRY_BYTES_MAX,
    INTEGER_MAX,
    PERIOD_UNITS_MAX,
)
from huying.common.records.field_checks import (
    NESTED,
    REQUIRED_NESTED,
    Rule,
    anything,
    below,
    bytes_upto,
    departments,
    free_text,
    here_or_below,
    masked_text,
    micros,
    of_bytes,
    one_line,
    own_code,
    phone,
    record_id,
    refuse,
    required,
    short_text,
    upto,
)
from huying.wire.v1 import events_pb2

__all__ = ["DESK_RULES", "check_event_handling"]

_SHA256_BYTES: Final = 32
_HPKE_KEY_BYTES: Final = 32
_VERSION_MAX: Final = 2**31 - 1
_version: Final = upto(_VERSION_MAX)
_digest: Final = of_bytes(_SHA256_BYTES)

DESK_RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "CallDraft": {
        "category": required(short_text),
        "title": Rule(masked_text),
        "description": Rule(masked_text),
        "grid": Rule(short_text),
        "village": Rule(here_or_below),
        "event": Rule(record_id),
        "actor": Rule(short_text),
        "contact_name": Rule(short_text),
        "contact_phone": Rule(phone),
        "urgency": Rule(anything),
        "sequencer": Rule(short_text),
        "attachments": NESTED,
        "state": required(anything),
        "decided_by": Rule(short_text),
        "reason": Rule(free_text),
    },
    "Policy": {
        "version": required(_version),
        "title": Rule(short_text),
        "limits": REQUIRED_NESTED,
        "supplement": NESTED,
        "confirm": NESTED,
        "reopen": NESTED,
        "extension": NESTED,
        "yellow": NESTED,
        "red": NESTED,
        "objections_max": Rule(upto(100)),
        "extensions_max": Rule(upto(100)),
        "reopens_max": Rule(upto(100)),
        "approval_required": Rule(anything),
        "review_required": Rule(anything),
        "item_required": Rule(anything),
        "satisfied_stars_min": Rule(upto(5)),
        "rating_weight_percent": Rule(upto(100)),
    },
    "UrgencyLimits": {
        "urgency": required(anything),
        "admit": NESTED,
        "accept": NESTED,
        "answer": REQUIRED_NESTED,
    },
    "Period": {"amount": required(upto(PERIOD_UNITS_MAX)), "unit": required(anything)},
    "Calendar": {
        "version": required(_version),
        "title": Rule(short_text),
        "holidays": Rule(anything),
        "workdays": Rule(anything),
        "hours": NESTED,
        "utc_offset_minutes": Rule(anything),
    },
    "DayPart": {"start_minute": Rule(upto(1440)), "stop_minute": required(upto(1440))},
    "Department": {
        "name": required(one_line),
        "hpke_key": Rule(of_bytes(_HPKE_KEY_BYTES)),
        "duty_phone": Rule(phone),
        "generated": Rule(anything),
        "closed": Rule(anything),
    },
    "DutyItem": {
        "version": required(_version),
        "number": required(short_text),
        "kind": required(anything),
        "title": required(short_text),
        "categories": Rule(departments),
        "keywords": Rule(departments),
        "lead": Rule(short_text),
        "co_handlers": Rule(departments),
        "town_part": Rule(free_text),
        "basis": Rule(free_text),
        "generated": Rule(anything),
    },
    "DutyList": {
        "version": required(_version),
        "title": Rule(short_text),
        "item_count": required(_version),
        "source_sha256": Rule(_digest),
        "generated": Rule(anything),
    },
    "ProvisionRequest": {
        "home": required(below),
        "entry": REQUIRED_NESTED,
        "leaf_hash": required(_digest),
        "record": required(record_id),
        "record_type": required(_version),
        "fields": required(departments),
        "slots": required(bytes_upto(16)),
        "purpose": required(masked_text),
        "department": required(short_text),
        "actor": required(short_text),
        "recipient_key": required(of_bytes(_HPKE_KEY_BYTES)),
        "expires_micros": required(micros),
        "call": Rule(record_id),
        "caller": Rule(here_or_below),
    },
    "ProvisionDecision": {
        "request": REQUIRED_NESTED,
        "request_hash": required(_digest),
        "verdict": required(anything),
        "reason": Rule(anything),
        "text": Rule(masked_text),
        "decided_by": required(short_text),
        "expires_micros": Rule(micros),
        "request_record": required(record_id),
        "approval": NESTED,
        "sealed": NESTED,
    },
    "SealedOpening": {"slot": required(upto(255)), "sealed": required(bytes_upto(ENTRY_BYTES_MAX))},
    "ProvisionReceipt": {
        "request": REQUIRED_NESTED,
        "use": required(anything),
        "actor": required(short_text),
        "used_micros": required(micros),
        "request_record": required(record_id),
    },
    "Question": {
        "template": required(short_text),
        "template_version": required(_version),
        "template_sha256": required(_digest),
        "area": required(here_or_below),
        "month": required(short_text),
        "actor": Rule(short_text),
        "purpose": Rule(masked_text),
    },
    "Tally": {
        "template": required(short_text),
        "template_version": required(_version),
        "month": required(short_text),
        "area": required(own_code),
        "verdict": required(anything),
        "cells": NESTED,
        "rounding_base": Rule(upto(1000)),
        "small_count": Rule(upto(1000)),
        "template_sha256": Rule(_digest),
        "universe": Rule(upto(CENSUS_RECORDS_MAX)),
        "counted_origin": Rule(short_text),
        "counted_size": Rule(upto(INTEGER_MAX)),
        "repeats": Rule(short_text),
    },
    "TallyCell": {
        "key": required(short_text),
        "count": Rule(upto(CENSUS_RECORDS_MAX)),
        "word": required(anything),
    },
    "Order": {
        "source": required(short_text),
        "source_id": required(short_text),
        "handler": required(below),
        "category": Rule(short_text),
        "descriptor": Rule(masked_text),
        "description": Rule(masked_text),
        "agency": Rule(short_text),
        "created_micros": Rule(micros),
        "due_micros": Rule(micros),
        "source_status": Rule(short_text),
        "source_closed_micros": Rule(micros),
        "near_duplicate_of": Rule(record_id),
        "sealed_contact": Rule(bytes_upto(ENTRY_BYTES_MAX)),
        "contact_name": Rule(short_text),
        "contact_phone": Rule(phone),
        "contact_address": Rule(short_text),
        "imported_handler": Rule(below),
        "contact_erased": Rule(anything),
    },
    "OrderResult": {
        "order": required(record_id),
        "order_home": required(short_text),
        "status": required(anything),
        "text": Rule(masked_text),
        "actor": Rule(short_text),
        "event": Rule(record_id),
    },
    "EventHandling": {
        "event": required(record_id),
        "event_home": required(below),
        "status": required(anything),
        "text": Rule(masked_text),
        "actor": Rule(short_text),
        "number": required(_version),
        "version_origin": required(short_text),
        "version_index": Rule(upto(INTEGER_MAX)),
    },
}


def check_event_handling(handling: events_pb2.EventHandling) -> None:
    """What a town asks of a village, and what it says was done, is said in words.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    if handling.status != events_pb2.EVENT_HANDLING_STATUS_TAKEN and not handling.text.strip():
        raise refuse("text", "say what was done, or what the village is to do")
