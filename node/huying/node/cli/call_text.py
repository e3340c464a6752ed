"""Calls in words for people: stages, clocks, whose turn it is, and what each step says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = [
    "CARDS",
    "CLOCKS",
    "CLOCK_EVENTS",
    "CLOSED",
    "DECLINED",
    "DRAFT_STATES",
    "PARTY_ROLES",
    "ROLES",
    "STAGES",
    "STEPS",
    "SUPERVISION",
    "URGENCIES",
    "VOID_REASONS",
    "command_text",
    "rest_text",
    "said",
    "span_text",
    "stage_text",
    "step_name",
    "step_text",
    "transit_text",
]

STAGES: Final[Mapping[str, str]] = {
    "raised": "已呼叫",
    "received": "已收到",
    "dispatched": "已派单",
    "answered": "已答复",
    "confirmed": "已确认",
    "unresolved": "未解决",
    "admitted": "已受理",
    "objected": "已异议",
    "handling": "办理中",
    "review": "待审核",
    "closed": "已办结",
    "declined": "不予受理",
    "withdrawn": "已撤回",
    "merged": "已并案",
}
STEPS: Final[Mapping[str, str]] = {
    "raise": "呼叫",
    "took": "收到",
    "admit": "受理",
    "decline": "不予受理",
    "off_list": "准入审批",
    "dispatch": "派单",
    "accept": "签收",
    "objection": "异议",
    "ruling": "裁决",
    "note": "办理记录",
    "supplement_request": "请求补充",
    "supplement": "补充",
    "resume": "继续办理",
    "reply": "协办回复",
    "extension_request": "申请延期",
    "extension_decision": "延期审批",
    "answer": "答复",
    "review": "审核",
    "confirm": "回访",
    "rate": "评价",
    "reopen": "重办",
    "withdraw": "撤回",
    "urge": "催办",
    "supervise": "督办",
    "card": "亮牌",
    "closure": "办结",
    "merge": "并案",
    "party": "加入",
    "timeout": "到时",
    "outage": "停机顺延",
    "internal_note": "内部备注",
}
CLOCKS: Final[Mapping[str, str]] = {
    "admit": "受理",
    "accept": "签收",
    "answer": "答复",
    "supplement": "补充",
    "confirm": "回访",
    "reopen": "重办",
    "yellow": "黄牌",
    "red": "红牌",
}
ROLES: Final[Mapping[str, str]] = {
    "centre": "县中心",
    "department": "部门",
    "caller": "呼叫方",
    "sequencer": "在途",
}
VOID_REASONS: Final[Mapping[str, str]] = {
    "wrong_stage": "环节不符",
    "not_a_party": "不是当事方",
    "duplicate": "重复",
    "malformed": "格式不合规",
    "too_late": "已过期限",
    "not_approved": "未经审签",
    "too_often": "超过次数",
}
URGENCIES: Final[Mapping[str, str]] = {"routine": "一般", "urgent": "紧急", "critical": "特急"}
SUPERVISION: Final[Mapping[str, str]] = {
    "routine": "日常督办",
    "listed": "挂牌督办",
    "interview": "约谈",
}
DRAFT_STATES: Final[Mapping[str, str]] = {
    "waiting": "待审签",
    "approved": "已审签",
    "refused": "已退回",
}
CARDS: Final[Mapping[str, str]] = {"yellow": "黄牌", "red": "红牌"}
DECLINED: Final[Mapping[str, str]] = {
    "legal_route": "应通过法定途径",
    "emergency": "紧急警务、医疗、消防",
    "duplicate": "重复",
    "secret": "涉密或涉隐私",
    "beyond_duty": "超出职责",
    "unlawful": "违法",
}
CLOSED: Final[Mapping[str, str]] = {
    "confirmed": "已确认解决",
    "silence": "逾期未回访",
    "exhausted": "已办到位",
}
PARTY_ROLES: Final[Mapping[str, str]] = {"co_handler": "协办方", "merged_caller": "并案呼叫方"}
CLOCK_EVENTS: Final[Mapping[str, str]] = {
    "started": "开始",
    "paused": "暂停",
    "resumed": "恢复",
    "extended": "延长",
    "stopped": "停止",
}
# The commands that take a step, where they go by another name than the step.
_COMMANDS: Final[Mapping[str, str]] = {
    "off_list": "off-list",
    "objection": "object",
    "ruling": "rule",
    "supplement_request": "ask-supplement",
    "extension_request": "extend",
    "extension_decision": "grant/refuse-extension",
    "confirm": "confirm/reject",
    "closure": "close",
}
_UNITS: Final = ((86_400, "天", "d"), (3600, "小时", "h"), (60, "分", "min"), (1, "秒", "s"))


def said(words: Mapping[str, str], name: str | int | None) -> str:
    """A word in both languages; one that this program does not know as it is."""
    if name is None:
        return "—"
    known = words.get(str(name), "")
    return f"{known} {str(name).replace('_', ' ')}".strip()


def stage_text(stage: str) -> str:
    """A stage as the JSON document names it, in both languages."""
    return said(STAGES, stage)


def step_name(step: str) -> str:
    """A step as the JSON document names it, in both languages."""
    return said(STEPS, step)


def command_text(step: str) -> str:
    """A step that may be taken: its name, and the commands of `huying call` that take it."""
    return f"{STEPS.get(step, '')} {_COMMANDS.get(step, step)}".strip()


def rest_text(micros: int) -> str:
    """What is left of a clock that stands still, in hours: of working time no 24 are a day."""
    minutes = micros // 60_000_000
    hours, minutes = divmod(minutes, 60)
    zh, en = f"{hours:,} 小时", f"{hours:,} h"
    return f"{zh} {minutes} 分 · {en} {minutes} min" if minutes else f"{zh} · {en}"


def span_text(micros: int) -> str:
    """A length of time in its two largest units, e.g. `3 天 2 小时 · 3 d 2 h`."""
    seconds = abs(micros) // 1_000_000
    parts = []
    for size, zh, en in _UNITS:
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append((amount, zh, en))
    parts = parts[:2] or [(0, "秒", "s")]
    zh_text = " ".join(f"{amount} {zh}" for amount, zh, _ in parts)
    return f"{zh_text} · {' '.join(f'{amount} {en}' for amount, _, en in parts)}"


def transit_text(micros: int | None) -> str:
    """From raised by one clock to received by another, and what a negative time means."""
    if micros is None:
        return "尚未收到 · not received yet"
    if micros < 0:
        return f"−({span_text(micros)}) 两地时钟不一致 · the two clocks differ"
    return span_text(micros)


def step_text(step: dict[str, Any]) -> str:
    """What one step of a call document says: the answer, the verdict, the note; not who says it.

    A step that is void or has not arrived says so first.
    """
    parts: list[str] = []
    if step["void"]:
        parts.append(f"无效 void: {said(VOID_REASONS, step['void_reason'])}")
    if step["pending"]:
        parts.append("已发出,对方尚未收到 · sent, not yet received")
    content = step["content"]
    kind = step["step"]
    tell = _TELLING.get(kind)
    if tell is not None:
        parts += tell(content.get(kind, {}))
    if kind == "answer" and not content.get("answer", {}).get("text"):
        parts.append(content.get("unreviewed_text") or "待县中心审核 · the centre reviews it first")
    parts.append(content.get("internal_note", ""))
    parts += [_mark_text(mark) for mark in content.get("clocks", ())]
    return "\n".join(filter(None, parts))


def _mark_text(mark: dict[str, Any]) -> str:
    from huying.node.cli.output import when

    clock = said(CLOCKS, mark.get("clock", ""))
    told = f"时限 clock: {clock} {said(CLOCK_EVENTS, mark.get('event', ''))}"
    if due := mark.get("due_micros"):
        told += f", 至 until {when(due)}"
    if left := mark.get("remaining_micros"):
        told += f", 剩余 left {rest_text(left)}"
    return told


# --- what each kind says -----------------------------------------------------------------------

_Content = dict[str, Any]


def _plain(*names: str) -> Callable[[_Content], list[str]]:
    return lambda content: [str(content.get(name, "")) for name in names]


def _took(content: _Content) -> list[str]:
    names = ("raise", "confirm", "supplement", "rate", "reopen", "withdraw", "urge")
    kind = next((name for name in names if name in content), "")
    if content.get("accepted"):
        return [f"{step_name(kind)}: 有效 counts"]
    return [step_name(kind)]


def _dispatch(content: _Content) -> list[str]:
    from huying.node.cli.output import when

    helpers = " ".join(content.get("co_handlers", ()))
    told = [f"协办 co-handlers {helpers}" if helpers else ""]
    if urgency := content.get("urgency"):
        told.append(said(URGENCIES, urgency))
    if item := content.get("duty_item"):
        told.append(f"职责清单 duty item {item} (v{content.get('duty_version', 0)})")
    if deadline := content.get("deadline_micros"):
        told.append(f"期限 deadline {when(deadline)}")
    return [" · ".join(filter(None, told))]


def _stars(content: _Content) -> list[str]:
    rated = (("satisfaction", "满意度"), ("response", "响应"), ("manner", "态度"))
    return [f"{zh} {name} {content[name]}/5" for name, zh in rated if content.get(name)]


def _confirm(content: _Content) -> list[str]:
    verdict = "已解决 resolved" if content.get("resolved") else "未解决 not resolved"
    return [" · ".join([verdict, *_stars(content)]), content.get("comment", "")]


def _rate(content: _Content) -> list[str]:
    return [" · ".join(_stars(content)), content.get("comment", "")]


def _ruling(content: _Content) -> list[str]:
    if content.get("upheld"):
        said_first = "异议成立,重新派单 upheld: to be dispatched anew"
    else:
        said_first = (
            f"指定 {content.get('department', '')} 办理,不得退回 assigned, not to be returned"
        )
    return [said_first, content.get("reason", "")]


def _extension(content: _Content) -> list[str]:
    granted = "同意延期 granted" if content.get("granted") else "不同意延期 refused"
    return [granted, content.get("reason", "")]


def _review(content: _Content) -> list[str]:
    sent = "审核通过,发出 sent" if content.get("sent") else "退回重办 returned for rework"
    return [sent, content.get("reason", ""), content.get("text", "")]


def _with_word(field: str, words: Mapping[str, str], *more: str) -> Callable[[_Content], list[str]]:
    def tell(content: _Content) -> list[str]:
        return [said(words, content.get(field)), *(str(content.get(name, "")) for name in more)]

    return tell


def _merge(content: _Content) -> list[str]:
    return [f"并入 into {content.get('into', '')}", content.get("reason", "")]


def _party(content: _Content) -> list[str]:
    return [f"{content.get('code', '')} {said(PARTY_ROLES, content.get('role'))}"]


def _off_list(content: _Content) -> list[str]:
    return [f"批准 approved by {content.get('approved_by', '')}", content.get("reason", "")]


def _outage(content: _Content) -> list[str]:
    from huying.node.cli.output import when

    away = when(content.get("from_micros", 0)), when(content.get("until_micros", 0))
    return [f"{away[0]} – {away[1]}"]


def _answer(content: _Content) -> list[str]:
    attached = [f"附件 attached {each.get('name', '')}" for each in content.get("attachments", ())]
    return [content.get("text", ""), *attached]


_TELLING: Final[Mapping[str, Callable[[_Content], list[str]]]] = {
    "took": _took,
    "admit": _plain("note"),
    "decline": _with_word("reason", DECLINED, "text"),
    "off_list": _off_list,
    "dispatch": _dispatch,
    "accept": _plain(),
    "objection": _plain("reason"),
    "ruling": _ruling,
    "note": _plain("text"),
    "supplement_request": _plain("text"),
    "supplement": _answer,
    "resume": _plain(),
    "reply": _plain("text"),
    "extension_request": _plain("reason"),
    "extension_decision": _extension,
    "answer": _answer,
    "review": _review,
    "confirm": _confirm,
    "rate": _rate,
    "reopen": _plain("reason"),
    "withdraw": _plain("reason"),
    "urge": _plain("reason"),
    "supervise": _with_word("supervision_level", SUPERVISION, "reason"),
    "card": _with_word("colour", CARDS, "reason"),
    "closure": _with_word("reason", CLOSED, "text"),
    "merge": _merge,
    "party": _party,
    "timeout": _with_word("clock", CLOCKS),
    "outage": _outage,
}
