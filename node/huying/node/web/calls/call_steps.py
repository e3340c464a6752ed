"""The steps that a person can take, as buttons: what each is called, its key, and its form.

The order is that of need: what the call waits for stands first. A step is offered only where the
rules allow it (`huying.node.web.calls.call_access.offered`); nothing here decides that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from huying.common.calls.call_rules import Role
from huying.node.web.calls.call_access import INTERNAL_NOTE, Part

__all__ = ["STEP_FORMS", "StepForm", "forms_for", "leading"]


@dataclass(frozen=True, slots=True)
class StepForm:
    """One step's button and form."""

    kind: str
    zh: str
    en: str
    key: str = ""  # opens it, from the keyboard
    tone: str = "primary"  # of its own button: primary, danger or plain
    hint_zh: str = ""
    hint_en: str = ""

    @property
    def template(self) -> str:
        """The template of its fields."""
        return f"steps/{self.kind}.html"


_FORMS: Final = (
    StepForm("admit", "受理", "Admit", "i"),
    StepForm("dispatch", "派单", "Dispatch", "d"),
    StepForm("accept", "签收", "Accept", "r"),
    StepForm("ruling", "裁决异议", "Rule on the objection", "u"),
    StepForm("extension_decision", "审批延期", "Decide the extension", "t"),
    StepForm("review", "审核答复", "Review the answer", "v"),
    StepForm(
        "confirm",
        "回访确认",
        "Confirm or reject",
        "c",
        hint_zh="问过反映人再填;逾期不填视为已答复办结。",
        hint_en="Ask whoever reported it first; silence past the window closes the call.",
    ),
    StepForm("supplement", "补充材料", "Give the supplement", "s"),
    StepForm("answer", "答复", "Answer", "a"),
    StepForm("reply", "协办回复", "Reply to the lead", "p"),
    StepForm(
        "supplement_request",
        "请乡镇补充",
        "Ask for a supplement",
        "s",
        hint_zh="答复时限暂停,补充到达或点“继续办理”后恢复。",
        hint_en="The answer clock stops until the supplement comes, or you go on without it.",
    ),
    StepForm("resume", "不等补充,继续办理", "Go on without it", "w"),
    StepForm(
        "note", "办理记录", "Note", "n", "plain", "各方可见,不改变环节。", "All parties see it."
    ),
    StepForm(
        "extension_request",
        "申请延期",
        "Ask for an extension",
        "t",
        "plain",
        "由县中心审批;期限到达前申请才有效。",
        "The centre decides; ask before the clock runs out.",
    ),
    StepForm(
        "objection",
        "提出异议",
        "Object",
        "o",
        "danger",
        "只有一次,且只在明显不属本部门职责时;裁决前仍由本部门负责。",
        "Once, and only where it is clearly not your duty; until the ruling it stays with you.",
    ),
    StepForm("off_list", "清单外准入审批", "Let through off the list", "f", "plain"),
    StepForm("closure", "办结", "Close", "l"),
    StepForm("reopen", "要求重办", "Reopen", "e"),
    StepForm("rate", "评价", "Rate", "w"),
    StepForm("urge", "催办", "Urge", "b", "plain"),
    StepForm("supervise", "督办", "Supervise", "h", "plain"),
    StepForm("card", "亮牌", "Show a card", "y", "danger"),
    StepForm(
        "party",
        "请镇村加入",
        "Let a node join",
        "z",
        "plain",
        "加入的一方能看到此前的步骤。",
        "Whoever joins reads the earlier steps.",
    ),
    StepForm(
        "merge",
        "并案",
        "Merge",
        "m",
        "plain",
        "本件作为重复件结束,时限停止;对方继续办理。",
        "This call ends as a duplicate; the other one goes on.",
    ),
    StepForm("decline", "不予受理", "Decline", "q", "danger"),
    StepForm("withdraw", "撤回呼叫", "Withdraw", "", "danger"),
    StepForm(
        INTERNAL_NOTE,
        "内部备注",
        "Internal note",
        "",
        "plain",
        "只留在本单位,不送任何一方。",
        "Stays with this office; nobody else gets it.",
    ),
)
STEP_FORMS: Final[Mapping[str, StepForm]] = {form.kind: form for form in _FORMS}


def forms_for(offered: Mapping[str, Part]) -> list[tuple[StepForm, Part]]:
    """The offered steps in the order of need.

    A centre that also waits for a department may note and urge, but not answer in its stead.
    """
    return [(form, offered[form.kind]) for form in _FORMS if form.kind in offered]


def leading(offered: Mapping[str, Part], turn_role: Role | None) -> str:
    """The step that the call waits for, of those offered; empty where others have their turn."""
    for form in _FORMS:
        part = offered.get(form.kind)
        if part is not None and part.role == turn_role and form.tone == "primary":
            return form.kind
    return ""
