"""What one step of a call says, in lines: a label, a value, and how the value is to be shown.

`form` is "text" for what somebody wrote, "plain" for one line, "word:KIND" for a value of
`huying.node.web.words`, "time" for unix microseconds, "rest" for microseconds that are left,
"place" for a division's code, "stars" for 1 to 5, "call" for a call's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from huying.wire.v1 import calls_pb2

__all__ = ["PROPOSED", "Line", "clock_lines", "told"]

# What a `took` can repeat.
PROPOSED: Final = tuple(field.name for field in calls_pb2.Took.DESCRIPTOR.oneofs[0].fields)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a step says."""

    zh: str
    en: str
    value: Any
    form: str = "plain"
    more_zh: str = ""  # said in place of a value
    more_en: str = ""


_Tell = Callable[[Any], list[Line]]


def told(step: calls_pb2.CallStep) -> list[Line]:
    """The lines of one step, without who took it."""
    kind = step.WhichOneof("step") or ""
    lines = _TELL[kind](getattr(step, kind)) if kind in _TELL else []
    if kind == "answer" and not step.answer.text:
        if step.unreviewed_text:
            lines.insert(0, _text(step.unreviewed_text))
        lines.insert(0, _said("待县中心审核后发出", "the centre reviews it before it is sent"))
    if step.internal_note:
        lines.append(
            Line(
                "内部备注(只在本单位)",
                "internal note (this office only)",
                step.internal_note,
                "text",
            )
        )
    return [line for line in lines if line.value or line.more_zh]


def clock_lines(step: calls_pb2.CallStep) -> list[Line]:
    """What the step does to the call's clocks."""
    lines = []
    for mark in step.clocks:
        zh, en = _CLOCK_EVENTS.get(mark.event, ("时限", "clock"))
        name = Line(zh, en, mark.clock, "word:clock")
        lines.append(name)
        if mark.due_micros and mark.event != calls_pb2.CLOCK_EVENT_STOPPED:
            lines.append(Line("至", "until", mark.due_micros, "time"))
        elif mark.remaining_micros:
            lines.append(Line("剩余", "left", mark.remaining_micros, "rest"))
    return lines


_CLOCK_EVENTS: Final[Mapping[int, tuple[str, str]]] = {
    calls_pb2.CLOCK_EVENT_STARTED: ("时限开始", "clock starts"),
    calls_pb2.CLOCK_EVENT_PAUSED: ("时限暂停", "clock paused"),
    calls_pb2.CLOCK_EVENT_RESUMED: ("时限恢复", "clock resumes"),
    calls_pb2.CLOCK_EVENT_EXTENDED: ("时限延长", "clock extended"),
    calls_pb2.CLOCK_EVENT_STOPPED: ("时限停止", "clock stops"),
}


def _text(value: str) -> Line:
    return Line("", "", value, "text")


def _said(zh: str, en: str) -> Line:
    return Line("", "", "", more_zh=zh, more_en=en)


def _field(name: str) -> _Tell:
    return lambda content: [_text(getattr(content, name))]


def _word(name: str, kind: str, *texts: str) -> _Tell:
    def tell(content: Any) -> list[Line]:
        return [
            Line("", "", getattr(content, name), f"word:{kind}"),
            *(_text(getattr(content, text)) for text in texts),
        ]

    return tell


def _dispatch(content: calls_pb2.Dispatch) -> list[Line]:
    return [
        Line("主办", "lead", content.department),
        Line("协办", "helpers", "、".join(content.co_handlers)),
        Line("紧急程度", "urgency", content.urgency, "word:urgency"),
        Line("职责清单", "duty item", content.duty_item),
        Line("答复期限", "answer by", content.deadline_micros, "time"),
    ]


def _stars(content: Any) -> list[Line]:
    return [
        Line("结果", "result", content.satisfaction, "stars"),
        Line("响应", "response", content.response, "stars"),
        Line("态度", "manner", content.manner, "stars"),
    ]


def _confirm(content: calls_pb2.Confirm) -> list[Line]:
    verdict = ("已解决", "resolved") if content.resolved else ("未解决", "not resolved")
    return [_said(*verdict), *_stars(content), _text(content.comment)]


def _rate(content: calls_pb2.Rate) -> list[Line]:
    return [*_stars(content), _text(content.comment)]


def _ruling(content: calls_pb2.Ruling) -> list[Line]:
    if content.upheld:
        first = _said("异议成立,重新派单", "upheld: to be dispatched anew")
    else:
        first = Line("指定办理,不得退回", "assigned, not to be returned", content.department)
    return [first, _text(content.reason)]


def _extension(content: calls_pb2.ExtensionDecision) -> list[Line]:
    verdict = ("同意延期", "granted") if content.granted else ("不同意延期", "refused")
    return [_said(*verdict), _text(content.reason)]


def _review(content: calls_pb2.Review) -> list[Line]:
    verdict = ("审核通过,发出", "sent") if content.sent else ("退回重办", "returned for rework")
    return [_said(*verdict), _text(content.reason), _text(content.text)]


def _off_list(content: calls_pb2.OffList) -> list[Line]:
    return [Line("批准人", "approved by", content.approved_by), _text(content.reason)]


def _merge(content: calls_pb2.Merge) -> list[Line]:
    return [Line("并入", "into", content.into.hex(), "call"), _text(content.reason)]


def _party(content: calls_pb2.Party) -> list[Line]:
    return [
        Line("加入", "joins", content.code, "place"),
        Line("身份", "as", content.role, "word:party"),
    ]


def _card(content: calls_pb2.Card) -> list[Line]:
    return [
        Line("", "", content.colour, "word:card"),
        Line("部门", "department", content.department),
        _text(content.reason),
    ]


def _outage(content: calls_pb2.Outage) -> list[Line]:
    return [
        Line("自", "from", content.from_micros, "time"),
        Line("至", "until", content.until_micros, "time"),
    ]


def _took(content: calls_pb2.Took) -> list[Line]:
    """A proposal that is not here itself, as the sequencer repeated it."""
    kind = content.WhichOneof("proposal") or ""
    lines = [Line("", "", kind, "word:step")]
    if content.accepted and kind in _TELL:
        lines += _TELL[kind](getattr(content, kind))
    if not content.accepted:
        lines.append(Line("无效", "void", content.reason, "word:void"))
    return lines


_TELL: Final[Mapping[str, _Tell]] = {
    "took": _took,
    "admit": _field("note"),
    "decline": _word("reason", "decline", "text"),
    "off_list": _off_list,
    "dispatch": _dispatch,
    "objection": _field("reason"),
    "ruling": _ruling,
    "note": _field("text"),
    "supplement_request": _field("text"),
    "supplement": _field("text"),
    "reply": _field("text"),
    "extension_request": _field("reason"),
    "extension_decision": _extension,
    "answer": _field("text"),
    "review": _review,
    "confirm": _confirm,
    "rate": _rate,
    "reopen": _field("reason"),
    "withdraw": _field("reason"),
    "urge": _field("reason"),
    "supervise": _word("supervision_level", "supervision", "reason"),
    "card": _card,
    "closure": _word("reason", "closure", "text"),
    "merge": _merge,
    "party": _party,
    "timeout": _word("clock", "clock"),
    "outage": _outage,
}
