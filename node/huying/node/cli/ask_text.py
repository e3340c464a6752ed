"""The answer to a question: as a JSON document, and in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from huying.wire.v1 import census_pb2

if TYPE_CHECKING:
    from huying.common.census.template import Template

__all__ = ["document", "print_answer", "print_templates", "template_document"]

_COUNTED: Final = census_pb2.ANSWER_STATE_COUNTED
_PREFIX: Final = "ANSWER_STATE_"
_WHY: Final = {
    census_pb2.ANSWER_STATE_AWAITED: "尚未作答 not answered yet",
    census_pb2.ANSWER_STATE_OFFLINE: "离线 offline",
    census_pb2.ANSWER_STATE_REVOKED: "密钥已吊销 revoked",
    census_pb2.ANSWER_STATE_UNKNOWN_TEMPLATE: "不认识该模板 does not know the template",
    census_pb2.ANSWER_STATE_REFUSED: "拒答该模板 refuses the template",
    census_pb2.ANSWER_STATE_NOT_OVER: "该月未结束 the month is not over there",
    census_pb2.ANSWER_STATE_OTHER_TEXT: "模板文本不同 has another text of it",
    census_pb2.ANSWER_STATE_OTHER_VERSION: "已按另一版本作答 answered by another version",
    census_pb2.ANSWER_STATE_TOO_OLD: "月份太早 too long ago",
    census_pb2.ANSWER_STATE_TOO_MANY: "记录过多 too many records",
    census_pb2.ANSWER_STATE_IMPLAUSIBLE: "答复不合规 implausible",
}


def document(response: census_pb2.AskResponse) -> dict[str, Any]:
    """The answer with stable keys; a village that gave none is in `missing`, and counts nowhere."""
    counted = [one for one in response.villages if one.state == _COUNTED]
    return {
        "template": response.template,
        "version": response.template_version,
        "sha256": response.template_sha256.hex(),
        "area": response.area,
        "month": response.month,
        "question": {
            "origin": response.question_origin,
            "index": response.question_index,
            "repeated": response.question_repeated,
        },
        "asked": len(response.villages),
        "answered": len(counted),
        "universe": response.universe,
        "rounding_base": response.rounding_base,
        "small_count": response.small_count,
        "cells": [
            {
                "key": cell.key,
                "zh": cell.zh,
                "en": cell.en,
                "count": {"low": cell.low, "high": cell.high, "mid": (cell.low + cell.high) / 2},
                "said": cell.said,
                "not_said": cell.not_said,
            }
            for cell in response.cells
        ],
        "villages": [
            {
                "code": one.code,
                "name": one.name,
                "origin": one.origin,
                "index": one.index,
                "universe": one.universe,
                "repeats": one.repeats or None,
            }
            for one in counted
        ],
        "missing": [
            {
                "code": one.code,
                "name": one.name,
                "why": _state_name(one.state),
                "detail": one.detail,
                "heard_micros": one.heard_micros or None,
            }
            for one in response.villages
            if one.state != _COUNTED
        ],
    }


def _state_name(state: int) -> str:
    return census_pb2.AnswerState.Name(state).removeprefix(_PREFIX).lower()  # type: ignore[arg-type]


def print_answer(response: census_pb2.AskResponse) -> None:
    """A table of the cells, and below it every village that is not in the sums."""
    from huying.node.cli.output import count, division, print_block, print_pairs, print_table, when

    counted = [one for one in response.villages if one.state == _COUNTED]
    missing = [one for one in response.villages if one.state != _COUNTED]
    print_pairs(
        [
            ("模板 · template", f"{response.template} v{response.template_version}"),
            ("范围 · area", response.area),
            ("月份 · month", response.month),
            ("作答 · answered", f"{len(counted)} / {len(response.villages)} 村 villages"),
            ("总数 · universe", count(response.universe)),
        ]
    )
    if counted:
        print_table(
            ("类别 · cell", ">约 · about", ">范围 · between", ">说出 · said", ">未说 · not said"),
            [
                (
                    f"{cell.zh} {cell.en}",
                    # From zero up, a middle would be read as a count of somebody.
                    count(round((cell.low + cell.high) / 2)) if cell.low else "—",
                    f"{count(cell.low)} – {count(cell.high)}",
                    cell.said,
                    cell.not_said,
                )
                for cell in response.cells
            ],
        )
    repeated = [one for one in counted if one.repeats]
    if repeated:
        print_block(
            "变化太少、沿用早先月份 · repeat an earlier month, too little changed",
            [f"{division(one.name, one.code)}: {one.repeats}" for one in repeated],
        )
    if missing:
        print_block(
            "未计入(不作零计)· not in these sums, and not zero",
            [
                f"{division(one.name, one.code)}: {_WHY.get(one.state, '—')}"
                + (f" ({one.detail})" if one.detail else "")
                + (f", 最近联络 heard {when(one.heard_micros)}" if one.heard_micros else "")
                for one in missing
            ],
        )


def template_document(template: Template, answered: Collection[str]) -> dict[str, Any]:
    """One template, with its whole text."""
    return {
        "name": template.name,
        "version": template.version,
        "sha256": template.sha256.hex(),
        "title_zh": template.title_zh,
        "title_en": template.title_en,
        "purpose_zh": template.purpose_zh,
        "purpose_en": template.purpose_en,
        "reviewers": list(template.reviewers),
        "universe": template.universe,
        "counts": template.counts,
        "overlapping": template.overlapping,
        "cells": [cell.key for cell in template.cells],
        "rounding_base": template.rounding_base,
        "small_count": template.small_count,
        "answered_here": template.name in answered,
        "text": template.text,
    }


def print_templates(templates: Sequence[Template], answered: Collection[str]) -> None:
    """The templates, each with what it is for."""
    from huying.node.cli.output import print_block

    for one in templates:
        print_block(
            f"{one.name} v{one.version}",
            [
                f"{one.title_zh} {one.title_en}",
                one.purpose_zh,
                one.purpose_en,
                "本节点作答 answered here"
                if one.name in answered
                else "本节点不作答 not answered here",
            ],
        )
