"""Rules by which a home gives without asking a person, as its configuration states them.

    [[disclosure.rule]]
    name = "reporter-call-back"
    fields = ["reporter_phone"]
    departments = ["县交通局"]
    when = "open_call_lead"

A rule gives just the fields that it names, to the departments that it names, and only where its
condition holds by what *this* node knows. `open_call_lead`: the request names an open call to which
this village is party, which the asking node answers and that department leads, about the very
event that is asked for; and the key it is sealed to is the one that the asking node publishes for
the department. Nothing matches by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from huying.common.calls.call_state import ENDED_STAGES
from huying.common.limits import NAME_CHARACTERS_MAX
from huying.wire.v1 import feed_pb2

if TYPE_CHECKING:
    from huying.wire.v1.calls_pb2 import Call
    from huying.wire.v1.provision_pb2 import ProvisionRequest

__all__ = ["CONDITIONS", "CallFacts", "ProvisionRule", "first_match", "parse_rules"]

CONDITIONS: Final = ("open_call_lead",)
_KEYS: Final = ("name", "fields", "departments", "when")


@dataclass(frozen=True, slots=True)
class ProvisionRule:
    """One rule; every condition of it must hold."""

    name: str
    fields: tuple[str, ...]
    departments: tuple[str, ...]
    when: str  # one of CONDITIONS


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A call, as far as this node knows it."""

    sequencer: str
    department: str  # that leads it now
    stage: int  # huying.common.calls.call_state.CallStage
    content: Call


def parse_rules(value: object) -> tuple[ProvisionRule, ...]:
    """The rules of `[[disclosure.rule]]`. Raises ValueError with what to do."""
    if not isinstance(value, list) or not value:
        raise ValueError("must be written as [[disclosure.rule]], in the file")
    rules = tuple(_parse_rule(number, one) for number, one in enumerate(value, 1))
    if len({rule.name for rule in rules}) < len(rules):
        raise ValueError("two rules have one name; the name is what the ledger shows")
    return rules


def _parse_rule(number: int, value: object) -> ProvisionRule:
    if not isinstance(value, dict) or sorted(value) != sorted(_KEYS):
        raise ValueError(f"rule {number}: just {', '.join(_KEYS)}, and each of them")
    return ProvisionRule(
        name=_word(number, "name", value["name"]),
        fields=_words(number, "fields", value["fields"]),
        departments=_words(number, "departments", value["departments"]),
        when=_condition(number, value["when"]),
    )


def _word(number: int, key: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError(f"rule {number}: {key}: printable text, and not empty")
    if len(value) > NAME_CHARACTERS_MAX // 2:
        raise ValueError(f"rule {number}: {key}: {NAME_CHARACTERS_MAX // 2} characters at most")
    return value


def _words(number: int, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"rule {number}: {key}: a list of names, and not empty")
    return tuple(_word(number, key, one) for one in value)


def _condition(number: int, value: Any) -> str:
    if value not in CONDITIONS:
        raise ValueError(f"rule {number}: when: one of {', '.join(CONDITIONS)}")
    return str(value)


def first_match(
    rules: Iterable[ProvisionRule],
    request: ProvisionRequest,
    *,
    asker: str,
    own: str,
    call: CallFacts | None,
    published_keys: Sequence[bytes],
) -> str:
    """The name of the first rule that allows the request; empty where none does.

    `call` is the one that the request names, None where this node does not know it;
    `published_keys` are those of the department of that name, by the asking node's own records.
    """
    for rule in rules:
        if (
            set(request.fields) <= set(rule.fields)
            and request.department in rule.departments
            and request.recipient_key in published_keys
            and call is not None
            and _leads(request, asker, own, call)
        ):
            return rule.name
    return ""


def _leads(request: ProvisionRequest, asker: str, own: str, call: CallFacts) -> bool:
    """The condition `open_call_lead`, as the module says it."""
    return (
        call.stage not in ENDED_STAGES
        and call.sequencer == asker
        and call.department == request.department
        and call.content.village == own
        and bool(request.record)
        and request.record_type == feed_pb2.RECORD_TYPE_EVENT
        and call.content.event == request.record
    )
