"""Calls in words for people: stages, what each step says, and the order to read steps in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from huying.common.codes import parse_origin

__all__ = ["in_reading_order", "stage_text", "step_name", "step_text"]

_STAGES: Final = {
    "raised": "已呼叫",
    "received": "已受理",
    "dispatched": "已派单",
    "answered": "已答复",
    "confirmed": "已确认",
    "unresolved": "未解决",
}
_STEPS: Final = {
    "raise": "呼叫",
    "took": "收到",
    "dispatch": "派单",
    "answer": "答复",
    "confirm": "回访",
    "note": "内部备注",
}


def stage_text(stage: str) -> str:
    """A stage as the JSON document names it, in both languages."""
    return f"{_STAGES.get(stage, '')} {stage}".strip()


def step_name(step: str) -> str:
    """A step as the JSON document names it, in both languages."""
    return f"{_STEPS.get(step, '')} {step}".strip()


def step_text(step: dict[str, Any]) -> str:
    """What one step of a call document says: the department, the answer, the verdict, the note.

    A step that is void or has not arrived says so first.
    """
    from huying.node.cli.output import when

    said: list[str] = []
    if step["void"]:
        said.append(f"无效 void: {step['void_reason']}")
    if step["pending"]:
        said.append("已发出,对方尚未收到 sent, not yet received")
    content = step["content"]
    dispatch = content.get("dispatch", {})
    if dispatch:
        said.append(" ".join([dispatch.get("department", ""), *dispatch.get("co_handlers", ())]))
        if deadline := dispatch.get("deadline_micros"):
            said.append(f"期限 deadline {when(deadline)}")
    said.append(content.get("answer", {}).get("text", ""))
    if "confirm" in content:
        said.append(_verdict(content["confirm"]))
    said.append(content.get("internal_note", ""))
    return " · ".join(filter(None, said))


def _verdict(confirm: dict[str, Any]) -> str:
    parts = ["已解决 resolved" if confirm.get("resolved") else "未解决 not resolved"]
    if rating := confirm.get("satisfaction"):
        parts.append(f"满意度 satisfaction {rating}/5")
    parts.append(confirm.get("comment", ""))
    return " · ".join(filter(None, parts))


def in_reading_order(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a call document as the answering node ordered them.

    What another node proposed stands before the step that took it, and what was not taken yet
    comes last: the order is that of the sequencer's feed, and no two clocks are compared.
    """
    steps: list[dict[str, Any]] = document["steps"]
    proposals = {
        (step["origin"], step["index"]): step
        for step in steps
        if parse_origin(step["origin"]).code != document["sequencer"]
    }
    ordered: list[dict[str, Any]] = []
    for step in steps:
        if (step["origin"], step["index"]) in proposals:
            continue
        ref = step["content"].get("took", {}).get("ref", {})
        ordered += _taken(proposals, ref)
        ordered.append(step)
    placed = {id(step) for step in ordered}
    return [*ordered, *(step for step in proposals.values() if id(step) not in placed)]


def _taken(
    proposals: dict[tuple[str, int], dict[str, Any]], ref: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    found = proposals.get((ref.get("origin", ""), ref.get("index", 0)))
    return () if found is None else (found,)
