"""The tally: how a home answers a question, and how the answers of many homes are put together.

A home writes one count for a template, version and month, under a record id that follows from them,
and never another: it is *frozen*. Of a register the count of an earlier month is repeated while
fewer than `small_count` records changed since: whoever reads the heads knows how many did, and from
one change and two counts could tell whom it was about. docs/ASK.md has the reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from huying.common.census.counting import Counted
from huying.common.census.protection import Bounds, Said, Word, bounds, fault, protect
from huying.common.census.template import Template, is_name
from huying.common.effects import DraftEntry
from huying.common.limits import CENSUS_RECORDS_MAX
from huying.common.months import is_month
from huying.common.records.record_keys import keyed
from huying.wire.v1 import census_pb2, feed_pb2

__all__ = [
    "Asked",
    "Combined",
    "CombinedCell",
    "combine",
    "counted_tally",
    "is_mendable",
    "question_draft",
    "refusal",
    "repeated_tally",
    "tally_draft",
    "tally_fault",
    "tally_record",
    "verdict_on",
]

COUNTED: Final = census_pb2.TALLY_VERDICT_COUNTED
_WORDS: Final = frozenset(int(word) for word in Word)


class Asked(NamedTuple):
    """What a question asks of each home of its area."""

    template: str
    version: int
    sha256: bytes
    month: str


def tally_record(template: str, version: int, month: str) -> bytes:
    """The record id of a home's answer: one for a template, version and month."""
    return keyed("tally", template, version, month)


# --- the home --------------------------------------------------------------------------------


def verdict_on(
    asked: Asked, shipped: Mapping[str, Template], answered: frozenset[str], months: Sequence[str]
) -> int | None:
    """census_pb2.TallyVerdict: COUNTED where the home may count; None for what deserves no answer.

    `shipped` by name; `answered` are the names that this home answers; `months` those it answers
    for, newest first (`template.months_over`).
    """
    if not is_month(asked.month) or not is_name(asked.template) or not 0 < asked.version < 2**31:
        return None
    template = shipped.get(asked.template)
    if template is None or template.version != asked.version:
        return census_pb2.TALLY_VERDICT_UNKNOWN_TEMPLATE
    if template.sha256 != asked.sha256:
        return census_pb2.TALLY_VERDICT_OTHER_TEXT
    if asked.template not in answered:
        return census_pb2.TALLY_VERDICT_REFUSED
    if asked.month in months:
        return COUNTED
    if asked.month > months[0]:
        return census_pb2.TALLY_VERDICT_NOT_OVER
    return census_pb2.TALLY_VERDICT_TOO_OLD


def refusal(asked: Asked, home: str, verdict: int) -> census_pb2.Tally:
    """An answer without a count."""
    return census_pb2.Tally(
        template=asked.template,
        template_version=asked.version,
        month=asked.month,
        area=home,
        verdict=verdict,  # type: ignore[arg-type]  # an open enum: any number is a verdict
    )


def is_mendable(tally: census_pb2.Tally | None) -> bool:
    """Whether another answer may stand in its place: a count stands for ever."""
    return tally is None or tally.verdict != COUNTED


def counted_tally(
    template: Template, month: str, home: str, counted: Counted, origin: str, size: int
) -> census_pb2.Tally:
    """The answer that says the counts of a state: the feed `origin`, `size` entries long."""
    words = protect(
        counted.counts,
        counted.universe,
        template.remainder,
        template.rounding_base,
        template.small_count,
    )
    return census_pb2.Tally(
        template=template.name,
        template_version=template.version,
        month=month,
        area=home,
        verdict=COUNTED,
        cells=[
            census_pb2.TallyCell(
                key=cell.key,
                count=said.value,
                word=int(said.word),  # type: ignore[arg-type]  # the same numbers
            )
            for cell, said in zip(template.cells, words, strict=True)
        ],
        rounding_base=template.rounding_base,
        small_count=template.small_count,
        template_sha256=template.sha256,
        universe=counted.universe,
        counted_origin=origin,
        counted_size=size,
    )


def repeated_tally(before: census_pb2.Tally, month: str) -> census_pb2.Tally:
    """The answer for another month that says an earlier one's counts again."""
    again = census_pb2.Tally()
    again.CopyFrom(before)
    again.month = month
    again.repeats = before.repeats or before.month
    return again


def tally_draft(tally: census_pb2.Tally) -> DraftEntry:
    """The entry of an answer: written once for each verdict, whoever asks how often."""
    key = (tally.template, tally.template_version, tally.month)
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_TALLY,
        message=tally,
        record=tally_record(*key),
        request_id=keyed("tally-answer", *key, tally.verdict),
    )


# --- whoever asks ----------------------------------------------------------------------------


def question_draft(
    template: Template, area: str, month: str, actor: str, purpose: str
) -> DraftEntry:
    """The entry of a question: written once for each asker and purpose."""
    key = (template.name, template.version, template.sha256, area, month, actor, purpose)
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_QUESTION,
        message=census_pb2.Question(
            template=template.name,
            template_version=template.version,
            template_sha256=template.sha256,
            area=area,
            month=month,
            actor=actor,
            purpose=purpose,
        ),
        record=keyed("question", *key),
        request_id=keyed("question-asked", *key),
    )


def tally_fault(template: Template, month: str, home: str, tally: census_pb2.Tally) -> str | None:
    """Why a count is none that a home can have written, or None where it may be right."""
    if (tally.template, tally.template_version) != (template.name, template.version):
        return "another template's"
    if tally.month != month or tally.area != home:
        return "another month's or another home's"
    if tally.template_sha256 != template.sha256:
        return "counted by another text of the template"
    if (tally.rounding_base, tally.small_count) != (template.rounding_base, template.small_count):
        return "another rounding or another small count than the template's"
    if [cell.key for cell in tally.cells] != [cell.key for cell in template.cells]:
        return "other cells than the template's"
    if tally.universe > CENSUS_RECORDS_MAX:
        return f"a universe of over {CENSUS_RECORDS_MAX} records"
    if any(int(cell.word) not in _WORDS for cell in tally.cells):
        return "a cell without a known word"
    return fault(
        _words(tally),
        tally.universe,
        template.remainder,
        template.rounding_base,
        template.small_count,
    )


def _words(tally: census_pb2.Tally) -> list[Said]:
    return [Said(Word(cell.word), cell.count) for cell in tally.cells]


@dataclass(slots=True)
class CombinedCell:
    """One cell over all villages that answered; the true count lies within."""

    low: int = 0
    high: int = 0
    said: int = 0  # villages that said a count
    not_said: int = 0


@dataclass(slots=True)
class Combined:
    """The answers of several villages together."""

    cells: list[CombinedCell]
    universe: int = 0
    villages: list[str] = field(default_factory=list)


def combine(template: Template, tallies: Mapping[str, census_pb2.Tally]) -> Combined:
    """The sums over the counts that `tally_fault` let pass, by village."""
    made = Combined([CombinedCell() for _ in template.cells])
    for home, tally in tallies.items():
        words = _words(tally)
        made.villages.append(home)
        made.universe += tally.universe
        for cell, said, within in zip(made.cells, words, _bounds(template, tally), strict=True):
            cell.low += within.low
            cell.high += within.high
            cell.said += said.word is Word.SAID
            cell.not_said += said.word is not Word.SAID
    return made


def _bounds(template: Template, tally: census_pb2.Tally) -> tuple[Bounds, ...]:
    return bounds(
        _words(tally),
        tally.universe,
        template.remainder,
        template.rounding_base,
        template.small_count,
    )
