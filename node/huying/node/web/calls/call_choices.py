"""What a call's forms offer to choose from: departments, the duty list's suggestions, the lists.

Read just for the steps that are offered, since each costs a query or a question to the node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from huying.common.errors import HuyingError
from huying.node.desk import Topic
from huying.node.store.reader import Reader
from huying.node.web.calls.call_access import LoadedCall
from huying.node.web.calls.call_search import merge_targets
from huying.node.web.page import Ask
from huying.node.web.words import word
from huying.wire.v1 import calls_pb2, duty_pb2, policy_pb2

__all__ = ["Choices", "read_choices"]

# Served by the nodes that answer calls; the console only asks.
_DUTY: Final = Topic("Duty", "duty", "")
_SUGGESTIONS_MAX: Final = 3
_NAMING: Final = frozenset({"dispatch", "ruling"})
_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    duty_pb2.DUTY_REASON_KIND_CATEGORY: ("类别", "category"),
    duty_pb2.DUTY_REASON_KIND_CATEGORY_GROUP: ("类别大类", "category group"),
    duty_pb2.DUTY_REASON_KIND_ITEM_TITLE: ("标题含事项名", "title holds the item"),
    duty_pb2.DUTY_REASON_KIND_TITLE_WORD: ("标题含", "in the title"),
    duty_pb2.DUTY_REASON_KIND_TEXT_WORD: ("事由含", "in the text"),
}
_Pairs = list[tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the forms of one page offer."""

    language: str
    departments: tuple[str, ...]  # of this node, those that are not closed
    handlers: _Pairs  # lead and co-handlers
    suggestions: Sequence[duty_pb2.DutySuggestion]
    list_in_force: bool
    merge_targets: Sequence[tuple[Any, calls_pb2.Call]]
    is_merge_searched: bool
    under_review: str  # the answer's text, where it is

    @property
    def department_pairs(self) -> _Pairs:
        """For a menu."""
        return [(name, name) for name in self.departments]

    @property
    def declines(self) -> _Pairs:
        """Listed reasons."""
        return self._enum(calls_pb2.DeclineReason, "decline")

    @property
    def urgencies(self) -> _Pairs:
        """How urgent."""
        return self._enum(policy_pb2.Urgency, "urgency")

    @property
    def supervisions(self) -> _Pairs:
        """Levels."""
        return self._enum(calls_pb2.SupervisionLevel, "supervision")

    @property
    def cards(self) -> _Pairs:
        """Colours."""
        return self._enum(calls_pb2.CardColour, "card")

    @property
    def party_roles(self) -> _Pairs:
        """What a node joins as; merging lets the merged caller in by itself."""
        return self._enum(calls_pb2.PartyRole, "party")

    def _enum(self, enum: Any, kind: str) -> _Pairs:
        return [(value, word(kind, value, self.language)) for value in enum.values() if value]

    def reason(self, kind: int) -> str:
        """Why an item is suggested."""
        zh, en = _REASONS.get(kind, ("", ""))
        return en if self.language == "en" else zh


async def read_choices(
    ask: Ask, loaded: LoadedCall, steps: Collection[str], merge_words: str | None
) -> Choices:
    """For these steps. What the node does not answer is left out. Raises as `NodeLink.read`.

    `merge_words` looks for a call to merge into, by these words or like it; None does not.
    """
    view = loaded.view
    handlers = [name for name in (view.department, *view.co_handlers) if name]

    def read(reader: Reader) -> tuple[list[str], list[Any]]:
        named: list[str] = []
        if _NAMING & set(steps):
            rows = reader.departments(ask.node.code)
            named = [each.name for _, each in rows if not each.closed]
        targets = []
        if merge_words is not None:
            targets = merge_targets(reader, ask.scope, view, merge_words)
        return named, targets

    if "merge" not in steps:
        merge_words = None
    wanted = bool(_NAMING & set(steps)) or merge_words is not None
    departments, targets = await ask.node.read(read) if wanted else ([], [])
    suggested = duty_pb2.SuggestDutyResponse()
    if "dispatch" in steps and (await ask.node.state()).is_up:
        suggested = await _suggest(ask, view.call)
    return Choices(
        language=ask.language,
        departments=tuple(dict.fromkeys(departments)),
        handlers=[(name, name) for name in handlers],
        suggestions=suggested.suggestions,
        list_in_force=suggested.list.version > 0,
        merge_targets=targets,
        is_merge_searched=merge_words is not None,
        under_review=_under_review(loaded) if "review" in steps else "",
    )


async def _suggest(ask: Ask, call: bytes) -> duty_pb2.SuggestDutyResponse:
    request = duty_pb2.SuggestDutyRequest(call=call, limit=_SUGGESTIONS_MAX)
    try:
        found: duty_pb2.SuggestDutyResponse = await ask.node.desk(_DUTY, "SuggestDuty", request)
    except HuyingError:  # a help, and no more: the form works without it
        return duty_pb2.SuggestDutyResponse()
    return found


def _under_review(loaded: LoadedCall) -> str:
    texts = [
        each.step.unreviewed_text
        for each in sorted(loaded.view.steps, key=lambda one: one.step.number)
        if each.step.HasField("answer")
    ]
    return texts[-1] if texts else ""
