"""Words of the field on the screen, Chinese and English, by the names that the wire gives them.

The Chinese is that of the command line (`huying.node.cli.call_text`), so a clerk and a technician
speak of one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from huying.node.cli import call_text, feed_text
from huying.wire.v1 import (
    api_pb2,
    calls_pb2,
    events_pb2,
    hotline_pb2,
    policy_pb2,
    provision_pb2,
    records_pb2,
)

__all__ = ["WORDS", "key_of", "name_in_words", "word"]

# The enum, the prefix of its names, and the Chinese words; the stubs take an enum for a class.
_ENUMS: Final[Mapping[str, tuple[Any, str, Mapping[str, str]]]] = {
    "stage": (api_pb2.CallStage, "CALL_STAGE_", call_text.STAGES),
    "clock": (calls_pb2.Clock, "CLOCK_", call_text.CLOCKS),
    "role": (api_pb2.CallRole, "CALL_ROLE_", call_text.ROLES),
    "urgency": (policy_pb2.Urgency, "URGENCY_", call_text.URGENCIES),
    "supervision": (calls_pb2.SupervisionLevel, "SUPERVISION_LEVEL_", call_text.SUPERVISION),
    "card": (calls_pb2.CardColour, "CARD_COLOUR_", call_text.CARDS),
    "decline": (calls_pb2.DeclineReason, "DECLINE_REASON_", call_text.DECLINED),
    "closure": (calls_pb2.ClosureReason, "CLOSURE_REASON_", call_text.CLOSED),
    "draft": (calls_pb2.DraftState, "DRAFT_STATE_", call_text.DRAFT_STATES),
    "void": (calls_pb2.VoidReason, "VOID_REASON_", call_text.VOID_REASONS),
    "party": (calls_pb2.PartyRole, "PARTY_ROLE_", call_text.PARTY_ROLES),
    "event": (
        records_pb2.EventStatus,
        "EVENT_STATUS_",
        {"reported": "已上报", "settled": "已办结", "called": "已呼叫"},
    ),
    "handling": (
        events_pb2.EventHandlingStatus,
        "EVENT_HANDLING_STATUS_",
        {"taken": "接办", "settled": "办结", "assigned": "交办"},
    ),
    "order": (
        hotline_pb2.OrderStatus,
        "ORDER_STATUS_",
        {"sent": "已下派", "taken": "已接收", "settled": "已办结", "returned": "已退回"},
    ),
    "provision": (
        provision_pb2.ProvisionStage,
        "PROVISION_STAGE_",
        {
            "waiting": "待决定",
            "approved": "已同意",
            "denied": "已拒绝",
            "withdrawn": "已撤回",
            "expired": "已到期",
        },
    ),
    "denial": (
        provision_pb2.DenialReason,
        "DENIAL_REASON_",
        {
            "not_needed": "非必要",
            "wrong_person": "对象有误",
            "consent_refused": "本人不同意",
            "not_held": "本级不掌握",
            "expired": "逾期",
            "not_entitled": "申请人无权限",
            "other": "其他",
        },
    ),
}
# What is no enum of the wire: the steps of a call, by their field names.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "step": call_text.STEPS,
    "feed": feed_text.STATES,
    **{name: words for name, (_, _, words) in _ENUMS.items()},
}


def key_of(kind: str, value: Any) -> str:
    """The lower-case name of a value, e.g. `handling` of a stage; that itself where it is one."""
    if isinstance(value, str) or kind not in _ENUMS:
        return str(value)
    enum, prefix, _ = _ENUMS[kind]
    try:
        number: Any = int(value)
        name: str = enum.Name(number)
        return name.removeprefix(prefix).lower()
    except ValueError:
        return str(value)


def word(kind: str, value: Any, language: str = "zh") -> str:
    """A value in words; one that this program does not know as it is."""
    key = key_of(kind, value)
    if key in ("", "unspecified"):
        return "—"
    english = key.replace("_", " ")
    return english if language == "en" else WORDS.get(kind, {}).get(key, english)


def name_in_words(name: str, language: str = "zh") -> str:
    """The name that the wire gives a value, such as CARD_COLOUR_RED, in words; another as it is."""
    for kind, (_, prefix, _) in _ENUMS.items():
        if name.startswith(prefix):
            return word(kind, name.removeprefix(prefix).lower(), language)
    return name
