"""Disclosure on request in the words of a village clerk.

The Chinese of a field is that of the command line, where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FIELDS", "LASTS", "REASONS", "RECORDS", "field_word", "record_word", "subject_word"]

FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "reporter_phone": ("反映人电话", "the reporter's phone"),
    "reporter_name": ("反映人姓名", "the reporter's name"),
    "phone": ("电话", "the phone"),
    "id_number": ("身份证号", "the ID number"),
    "address": ("地址", "the address"),
    "name": ("姓名", "the name"),
    "head_name": ("户主姓名", "the head's name"),
    "birth_date": ("出生日期", "the date of birth"),
    "sex": ("性别", "the sex"),
    "health": ("健康状况", "health"),
    "key_population": ("重点人群", "the key population"),
    "description_full": ("事件全文", "the full text"),
    "household": ("所在户", "the household"),
    "number": ("户号", "the household number"),
    "contact_name": ("联系人姓名", "the contact's name"),
    "contact_phone": ("联系电话", "the contact's phone"),
    "text": ("内容", "the text"),
    "actor": ("经办人", "who acted"),
    "category": ("类别", "the category"),
    "descriptor": ("事项", "the matter"),
    "grid": ("网格", "the grid"),
    "description_public": ("对外文字", "the public text"),
    "data_home": ("照片本身", "the picture itself"),
}
RECORDS: Final[Mapping[str, tuple[str, str]]] = {
    "event": ("事件", "event"),
    "resident": ("居民", "resident"),
    "household": ("户", "household"),
    "grid_worker": ("网格员", "grid worker"),
    "visit": ("走访", "visit"),
    "evidence": ("照片", "picture"),
    "order": ("热线工单", "hotline order"),
    "order_result": ("工单办理", "order result"),
    "event_handling": ("事件交办", "event handling"),
    "call": ("呼叫", "call"),
    "call_draft": ("呼叫草稿", "call draft"),
}
# The reasons a person may choose; `expired` is the program's own.
REASONS: Final = (
    "not_needed",
    "wrong_person",
    "consent_refused",
    "not_held",
    "not_entitled",
    "other",
)
# How long it may be asked for: hours, Chinese, English. Thirty days at most.
LASTS: Final = (
    (6, "6 小时", "6 hours"),
    (24, "1 天", "1 day"),
    (72, "3 天", "3 days"),
    (168, "7 天", "7 days"),
    (720, "30 天", "30 days"),
)


def field_word(name: str, language: str) -> str:
    """A field in words; its own name where there is none."""
    return _chosen(FIELDS.get(name), name, language)


def subject_word(name: str, language: str) -> str:
    """What stands before a value of the person or thing that is asked about."""
    word = field_word(name, language)
    return word.removeprefix("the ").capitalize() if language == "en" else word


def record_word(name: str, language: str) -> str:
    """A type of record in words."""
    return _chosen(RECORDS.get(name), name, language)


def _chosen(pair: tuple[str, str] | None, name: str, language: str) -> str:
    if pair is None:
        return name
    return pair[1] if language == "en" else pair[0]
