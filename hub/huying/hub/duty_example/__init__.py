"""A generated duty list of the size that a county has.

192 town duties, 132 shared matters, and some admitted tasks, of 60 departments. It is put together
from three tables of words; no county's list says this. Every item is marked as generated, in its
record and on every screen. The categories of the demo's stream of requests are among those that
the shared matters answer.
"""

from __future__ import annotations

import csv
from importlib import resources
from io import StringIO
from typing import Final

from huying.wire.v1 import policy_pb2

__all__ = ["TITLE", "example_items"]

TITLE: Final = "示例数据:乡镇职责清单 · generated example of a duty list"

_BASIS: Final = "示例数据,非真实依据 · generated, no real basis"
# Every matter gives three duties.
_TOWN_PARTS: Final = (
    ("日常排查和台账管理", "定期排查,建立台账,按月更新"),
    ("政策宣传和群众动员", "入户宣传,公示政策,组织群众参与"),
    ("问题先期处置和上报", "能解决的当场解决,不能解决的按程序呼叫县级部门"),
)
_SHARED_PARTS: Final = (
    ("投诉处置", "核实情况,先期劝导,协助现场处置"),
    ("联合整治", "提供线索,参加联合行动,做好群众工作"),
    ("行政处罚线索移送", "发现违法线索,固定证据,移送主管部门"),
)
# Words that point to the second and to the third duty of a shared matter, besides its own.
_SHARED_WORDS: Final = ((), ("联合整治", "专项行动"), ("处罚", "线索移送"))


def example_items() -> list[policy_pb2.DutyItem]:
    """All items, in the order of the list, without a version."""
    return [*_town_items(), *_shared_items(), *_admitted_items()]


def _town_items() -> list[policy_pb2.DutyItem]:
    items: list[policy_pb2.DutyItem] = []
    for row in _rows("town"):
        for part, work in _TOWN_PARTS:
            items.append(
                policy_pb2.DutyItem(
                    number=f"T{len(items) + 1}",
                    kind=policy_pb2.DUTY_KIND_TOWN,
                    title=f"{row['matter']}:{part}",
                    keywords=_names(row["keywords"]),
                    town_part=f"{row['domain']}:{work}",
                    basis=_BASIS,
                    generated=True,
                )
            )
    return items


def _shared_items() -> list[policy_pb2.DutyItem]:
    items: list[policy_pb2.DutyItem] = []
    for row in _rows("shared"):
        words = _names(row["keywords"])
        for place, (part, work) in enumerate(_SHARED_PARTS):
            items.append(
                policy_pb2.DutyItem(
                    number=f"S{len(items) + 1}",
                    kind=policy_pb2.DUTY_KIND_SHARED,
                    title=f"{row['title']}:{part}",
                    # A complaint is what people call for; the two others are found by their words.
                    categories=_names(row["categories"]) if place == 0 else [],
                    keywords=words if place == 0 else [*words[:1], *_SHARED_WORDS[place]],
                    lead=row["lead"],
                    co_handlers=_names(row["co_handlers"]),
                    town_part=work,
                    basis=_BASIS,
                    generated=True,
                )
            )
    return items


def _admitted_items() -> list[policy_pb2.DutyItem]:
    return [
        policy_pb2.DutyItem(
            number=f"A{number}",
            kind=policy_pb2.DUTY_KIND_ADMITTED,
            title=row["title"],
            keywords=_names(row["keywords"]),
            lead=row["lead"],
            co_handlers=_names(row["co_handlers"]),
            town_part=row["town_part"],
            basis=_BASIS,
            generated=True,
        )
        for number, row in enumerate(_rows("admitted"), start=1)
    ]


def _rows(name: str) -> list[dict[str, str]]:
    source = resources.files("huying.hub.duty_example") / f"{name}.csv"
    with StringIO(source.read_text(encoding="utf-8")) as file:
        return list(csv.DictReader(file))


def _names(text: str) -> list[str]:
    return [name for name in text.split("、") if name]
