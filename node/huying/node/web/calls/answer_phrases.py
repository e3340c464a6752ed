"""常用语: phrases that responders put into an answer, by what they say.

A phrase has blanks, as （日期）, for a person to fill; nothing of a call is put in by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANSWER_PHRASES", "Phrase"]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase; both names are of the menu, the text is Chinese as the answer is."""

    zh: str
    en: str
    text: str


ANSWER_PHRASES: Final = (
    Phrase(
        "已现场核实",
        "seen on the spot",
        "收到呼叫后,我单位于(日期)派(岗位)到现场核实,情况为:(核实情况)。",
    ),
    Phrase(
        "已办结",
        "done",
        "该事项已于(日期)处置完毕:(采取的措施)。请贵镇组织回访,如仍有问题可要求重办。",
    ),
    Phrase(
        "已列入计划",
        "in the plan",
        "该事项需列入计划实施。已列入(计划名称),预计(日期)前完成;其间采取的临时措施为:(措施)。",
    ),
    Phrase(
        "政策解释",
        "the rules explained",
        "经核,依据(文件名称和条款),(结论)。已请贵镇向反映人说明,需要当面解释的,可联系(岗位)。",
    ),
    Phrase(
        "部分解决",
        "settled in part",
        "已解决的部分:(内容)。尚未解决的部分:(内容),原因是(原因),下一步由(岗位)于(日期)前完成。",
    ),
    Phrase(
        "多部门协同",
        "with others",
        "本件由我单位主办,(协办部门)协办。协办意见:(内容)。综合处理结果:(内容)。",
    ),
)
