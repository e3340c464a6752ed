"""The steps by which a town handles a village's event: which of them there are now, and as what.

接办: the town sees to it itself. 办结: it was seen to, and the village's node settles the event by
itself. 交办: the village is to see to it, in the town's words. Each says which word of the town's
the person had seen (`seen_number`), so of two clerks one wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from huying.common.codes import Level, ancestors
from huying.common.errors import Code, HuyingError
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.node.store.event_queries import EventHandlingRow, EventRow
from huying.node.web.access.roles import Permission
from huying.node.web.events.handling_words import Standing, standing_of
from huying.node.web.forms import Form
from huying.node.web.page import Ask
from huying.node.web.render import local_time
from huying.wire.v1 import events_pb2

__all__ = [
    "STEPS",
    "WORDS_CHARACTERS_MAX",
    "Handling",
    "HandlingStep",
    "drop_draft",
    "handling_of",
    "may_handle",
    "words_of_form",
]

WORDS_CHARACTERS_MAX: Final = 1000
assert WORDS_CHARACTERS_MAX < TEXT_CHARACTERS_MAX, "the line with the date comes to it"
_SETTLED: Final = events_pb2.EVENT_HANDLING_STATUS_SETTLED
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class HandlingStep:
    """One step as a form."""

    key: str  # in addresses
    status: int  # events_pb2.EventHandlingStatus
    action: str  # in the audit trail
    zh: str
    en: str
    field: str  # of its words; each form has a name of its own, since they stand on one page
    label_zh: str
    label_en: str
    hint_zh: str
    hint_en: str
    shortcut: str
    is_wordless: bool = False  # the words may be left out
    has_date: bool = False  # it may name a day by which

    @property
    def fields(self) -> tuple[str, ...]:
        """What a person fills in."""
        return (self.field, "due") if self.has_date else (self.field,)


STEPS: Final[Mapping[str, HandlingStep]] = {
    one.key: one
    for one in (
        HandlingStep(
            "take", events_pb2.EVENT_HANDLING_STATUS_TAKEN, "event-take", "接办", "Take it on",
            "plan", "打算怎么办", "What is planned",
            "镇里来办,村里看得到。", "The town sees to it; the village sees that it does.",
            "a", is_wordless=True,
        ),
        HandlingStep(
            "close", events_pb2.EVENT_HANDLING_STATUS_SETTLED, "event-close", "办结", "Settle it",
            "result", "怎么办的", "What was done",
            "村里的节点收到后,事件就办结。", "The event is settled once the village's node heard.",
            "s",
        ),
        HandlingStep(
            "assign", events_pb2.EVENT_HANDLING_STATUS_ASSIGNED, "event-assign",
            "交办村里", "Hand it to the village",
            "task", "要村里做什么", "What the village is to do",
            "放在村里今日任务的最前面。", "It stands first among the village's tasks of today.",
            "t", has_date=True,
        ),
    )
}  # fmt: skip
# What the town settled it may put in other words, until the village opens the event again.
_ALLOWED: Final[Mapping[Standing, tuple[str, ...]]] = {
    Standing.NOBODY: ("take", "close", "assign"),
    Standing.TAKEN: ("close", "assign"),
    Standing.ASSIGNED: ("take", "close", "assign"),
    Standing.ON_ITS_WAY: ("close",),
    Standing.REOPENED: ("take", "close", "assign"),
    Standing.SETTLED: ("close",),
}


@dataclass(frozen=True, slots=True)
class Handling:
    """What the event's page shows of the town's side."""

    row: EventRow
    word: EventHandlingRow | None  # the town's newest one
    standing: Standing
    steps: tuple[HandlingStep, ...]  # that may be taken now, by the person
    kept: Mapping[str, str]  # what they typed and have not sent, by the field
    who: Mapping[str, str]  # names of people with an account here, by their pseudonyms
    today: str  # 2026-03-01

    @property
    def seen_number(self) -> int:
        """Of the town's word that the page shows."""
        return self.word.handling.number if self.word is not None else 0

    @property
    def corrects(self) -> bool:
        """Whether the step that is left puts the town's own end in other words."""
        return self.standing in (Standing.ON_ITS_WAY, Standing.SETTLED)

    @property
    def words_max(self) -> int:
        """Characters that a form takes."""
        return WORDS_CHARACTERS_MAX

    def name(self, step: HandlingStep) -> tuple[str, str]:
        """What the form and its button are called, Chinese and English."""
        return ("更正办理结果", "Put the result right") if self.corrects else (step.zh, step.en)

    def hint(self, step: HandlingStep) -> tuple[str, str]:
        """What the step does, Chinese and English."""
        if self.standing is Standing.SETTLED:
            return (
                "事件已办结,里面的文字不再改;更正的话记在镇里,村里和县里都看得到。",
                "The settled event stays; the town's record is put right, read by all three tiers.",
            )
        return step.hint_zh, step.hint_en

    def text(self, step: HandlingStep) -> str:
        """What stands in the form of a step."""
        kept = self.kept.get(step.field, "")
        if kept or not self.corrects or self.word is None:
            return kept
        return self.word.handling.text

    def is_typed(self, step: HandlingStep) -> bool:
        """Whether something was typed into it that is not sent."""
        return any(self.kept.get(name) for name in step.fields)

    def draft_key(self, step: HandlingStep) -> str:
        """Under which the form's text is kept while somebody types it."""
        return _draft_key(self.row, step)


def may_handle(ask: Ask, row: EventRow) -> bool:
    """Whether the event is one that the person's town handles, and they for it."""
    is_below = ask.node.code in ancestors(row.home)
    return ask.node.level is Level.TOWN and is_below and ask.may(Permission.EVENTS_HANDLE)


async def handling_of(
    ask: Ask, row: EventRow, word: EventHandlingRow | None, typed: Mapping[str, str] | None = None
) -> Handling:
    """The town's side of an event; `typed`: into a form that was just refused, beside the drafts.

    Raises as the console's store.
    """
    standing = standing_of(row, word)
    keys = _ALLOWED[standing] if may_handle(ask, row) else ()
    if standing is Standing.SETTLED and (word is None or word.handling.status != _SETTLED):
        keys = ()  # the village settled it by itself
    kept = await ask.site.on_thread(lambda: _kept(ask, row)) if keys else {}
    people = await ask.site.on_thread(ask.site.accounts.list) if word is not None else ()
    return Handling(
        row,
        word,
        standing,
        tuple(STEPS[key] for key in keys),
        {**kept, **(typed or {})},
        {person.actor: person.name for person in people},
        _today(ask, await ask.node.offset_minutes()),
    )


def words_of_form(form: Form, step: HandlingStep, ask: Ask, offset_minutes: int) -> str:
    """What is written as the town's words. Raises HuyingError(INVALID_ARGUMENT)."""
    text = form.text(step.field, WORDS_CHARACTERS_MAX)
    if not text and not step.is_wordless:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{step.field}: empty; fill it in")
    due = form.text("due", 20) if step.has_date else ""
    if not due:
        return text
    if not _DATE.fullmatch(due) or not _is_day(due):
        raise HuyingError(Code.INVALID_ARGUMENT, "due: a day such as 2026-10-08")
    if due < _today(ask, offset_minutes):
        raise HuyingError(Code.INVALID_ARGUMENT, "due: that day is over; name today or a later one")
    return f"{text}\n时限:{due}"


async def drop_draft(ask: Ask, row: EventRow, step: HandlingStep) -> None:
    """Forget what was typed into the form that was taken."""
    key = _draft_key(row, step)
    await ask.site.on_thread(lambda: ask.site.drafts.drop(ask.person.id, key))


def _draft_key(row: EventRow, step: HandlingStep) -> str:
    return f"event:{row.home}:{row.record.hex()}:{step.key}"


def _kept(ask: Ask, row: EventRow) -> dict[str, str]:
    """What the person typed into any of the forms and has not sent. Blocks."""
    found: dict[str, str] = {}
    for step in STEPS.values():
        draft = ask.site.drafts.find(ask.person.id, _draft_key(row, step))
        if draft is not None:
            found |= {name: draft.fields.get(name, "") for name in step.fields}
    return found


def _today(ask: Ask, offset_minutes: int) -> str:
    return local_time(int(ask.now() * 1e6), offset_minutes).date().isoformat()


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
