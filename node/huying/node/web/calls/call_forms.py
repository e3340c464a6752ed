"""From a form to the step that it stands for.

Whose step it is follows from the person's part, so a form can't say another department's name.
Raises HuyingError(INVALID_ARGUMENT) naming the field; the node judges the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from huying.common.calls.call_rules import Role
from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, SATISFACTION_STARS_MAX
from huying.node.web.calls.call_access import INTERNAL_NOTE, Part
from huying.node.web.forms import Form
from huying.wire.v1 import calls_pb2, policy_pb2

__all__ = ["HELPER_PREFIX", "FormFacts", "step_of"]

# One box for each department: `help.水务局`. Each has a name of its own, so a draft keeps them all.
HELPER_PREFIX: Final = "help."
_CALL_ID: Final = re.compile(r"[0-9a-f]{32}")
_CODE: Final = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class FormFacts:
    """What is known beside the form."""

    call: bytes
    actor: str
    part: Part
    offset_minutes: int  # of the county's calendar
    names: Mapping[str, str]  # of divisions, by code


def step_of(kind: str, form: Form, facts: FormFacts) -> calls_pb2.CallStep:
    """The step. Raises HuyingError(INVALID_ARGUMENT; NOT_FOUND for a step that no form has)."""
    step = calls_pb2.CallStep(call=facts.call, actor=facts.actor)
    if kind == INTERNAL_NOTE:
        step.internal_note = form.required("internal_note")
        return step
    build = _BUILD.get(kind)
    if build is None:
        raise HuyingError(Code.NOT_FOUND, "there is no such step")
    content: Any = build(form, facts)
    getattr(step, kind).CopyFrom(content)
    getattr(step, kind).SetInParent()  # also where all its fields are empty
    if facts.part.role is Role.DEPARTMENT and hasattr(content, "department"):
        getattr(step, kind).department = facts.part.department
    if note := form.text("internal_note"):
        step.internal_note = note
    return step


_Build = Callable[[Form, FormFacts], Any]


def _choose(form: Form, field: str, enum: Any, *, required: bool = True) -> Any:
    """A value of a wire enum by its number. Raises HuyingError(INVALID_ARGUMENT)."""
    text = form.text(field, 20)
    if not text and not required:
        return 0
    if not text.isascii() or not text.isdecimal() or int(text) not in enum.values() or text == "0":
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: choose one")
    return int(text)


def _yes(form: Form, field: str) -> bool:
    value = form.text(field, 8)
    if value not in ("yes", "no"):
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: choose one")
    return value == "yes"


def _stars(form: Form) -> dict[str, int]:
    names = ("satisfaction", "response", "manner")
    return {
        name: form.number(name, 0, SATISFACTION_STARS_MAX) if form.text(name, 8) else 0
        for name in names
    }


def _with(made: Callable[..., Any], *optional: str, required: str = "") -> _Build:
    """A step of plain texts."""

    def build(form: Form, _facts: FormFacts) -> Any:
        fields = {name: form.text(name) for name in optional}
        if required:
            fields[required] = form.required(required)
        return made(**fields)

    return build


def _decline(form: Form, _facts: FormFacts) -> Any:
    reason = _choose(form, "reason", calls_pb2.DeclineReason)
    return calls_pb2.Decline(reason=reason, text=form.required("text"))


def _off_list(form: Form, _facts: FormFacts) -> Any:
    return calls_pb2.OffList(
        approved_by=form.required("approved_by", NAME_CHARACTERS_MAX),
        reason=form.required("reason"),
    )


def _dispatch(form: Form, facts: FormFacts) -> Any:
    if suggested := form.text("suggested", NAME_CHARACTERS_MAX):
        # One press takes a suggestion: the duty list names lead and helpers.
        return calls_pb2.Dispatch(
            duty_item=suggested,
            deadline_micros=_time(form, "deadline", facts.offset_minutes),
            urgency=_choose(form, "urgency", policy_pb2.Urgency, required=False),
        )
    lead = form.text("department", NAME_CHARACTERS_MAX)
    item = form.text("duty_item", NAME_CHARACTERS_MAX)
    if not (lead or item):
        raise HuyingError(Code.INVALID_ARGUMENT, "department: choose the lead, or cite a duty item")
    helpers = [
        name.removeprefix(HELPER_PREFIX)
        for name in form.values()
        if name.startswith(HELPER_PREFIX) and form.flag(name)
    ]
    return calls_pb2.Dispatch(
        department=lead,
        co_handlers=[name for name in helpers if name != lead],
        deadline_micros=_time(form, "deadline", facts.offset_minutes),
        urgency=_choose(form, "urgency", policy_pb2.Urgency, required=False),
        duty_item=item,
    )


def _time(form: Form, field: str, offset_minutes: int) -> int:
    """Unix microseconds of a local time as `2026-10-08T17:00`; 0 for none."""
    text = form.text(field, 40)
    if not text:
        return 0
    zone = timezone(timedelta(minutes=offset_minutes))
    try:
        local = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=zone)
        micros = int(local.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        micros = 0
    if micros <= 0:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: a local time as 2026-10-08T17:00")
    return micros


def _ruling(form: Form, _facts: FormFacts) -> Any:
    upheld = _yes(form, "upheld")
    return calls_pb2.Ruling(
        upheld=upheld,
        department="" if upheld else form.required("department", NAME_CHARACTERS_MAX),
        reason=form.required("reason"),
    )


def _extension(form: Form, _facts: FormFacts) -> Any:
    return calls_pb2.ExtensionDecision(granted=_yes(form, "granted"), reason=form.text("reason"))


def _review(form: Form, _facts: FormFacts) -> Any:
    sent = _yes(form, "sent")
    if not sent:
        return calls_pb2.Review(reason=form.required("reason"))
    return calls_pb2.Review(sent=True, text=form.text("text"), reason=form.text("reason"))


def _confirm(form: Form, _facts: FormFacts) -> Any:
    resolved = _yes(form, "resolved")
    comment = form.text("comment") if resolved else form.required("comment")
    return calls_pb2.Confirm(resolved=resolved, comment=comment, **_stars(form))


def _rate(form: Form, _facts: FormFacts) -> Any:
    stars = _stars(form)
    if not any(stars.values()):
        raise HuyingError(Code.INVALID_ARGUMENT, "satisfaction: give stars for one of the three")
    return calls_pb2.Rate(comment=form.text("comment"), **stars)


def _merge(form: Form, _facts: FormFacts) -> Any:
    into = form.required("into", 64).replace("-", "").lower()
    if not _CALL_ID.fullmatch(into):
        raise HuyingError(Code.INVALID_ARGUMENT, "into: choose a call, or its id of 32 hex digits")
    return calls_pb2.Merge(into=bytes.fromhex(into), reason=form.text("reason"))


def _supervise(form: Form, _facts: FormFacts) -> Any:
    level = _choose(form, "supervision_level", calls_pb2.SupervisionLevel)
    return calls_pb2.Supervise(supervision_level=level, reason=form.text("reason"))


def _card(form: Form, _facts: FormFacts) -> Any:
    return calls_pb2.Card(
        colour=_choose(form, "colour", calls_pb2.CardColour),
        department=form.text("department", NAME_CHARACTERS_MAX),
        reason=form.text("reason"),
    )


def _party(form: Form, facts: FormFacts) -> Any:
    role = _choose(form, "role", calls_pb2.PartyRole)
    return calls_pb2.Party(code=_division(form.required("code", 100), facts.names), role=role)


def _division(text: str, names: Mapping[str, str]) -> str:
    """A code as it is, or that of the one division of that name."""
    if _CODE.fullmatch(text):
        return text
    found = sorted(code for code, name in names.items() if name == text)
    if len(found) == 1:
        return found[0]
    several = "several have that name; type the code of" if found else "nobody has that name; type"
    raise HuyingError(Code.INVALID_ARGUMENT, f"code: {several} 12 digits")


_BUILD: Final[Mapping[str, _Build]] = {
    "admit": _with(calls_pb2.Admit, "note"),
    "decline": _decline,
    "off_list": _off_list,
    "dispatch": _dispatch,
    "accept": _with(calls_pb2.Accept),
    "objection": _with(calls_pb2.Objection, required="reason"),
    "ruling": _ruling,
    "note": _with(calls_pb2.Note, required="text"),
    "supplement_request": _with(calls_pb2.SupplementRequest, required="text"),
    "supplement": _with(calls_pb2.Supplement, required="text"),
    "resume": _with(calls_pb2.Resume),
    "reply": _with(calls_pb2.Reply, required="text"),
    "extension_request": _with(calls_pb2.ExtensionRequest, required="reason"),
    "extension_decision": _extension,
    "answer": _with(calls_pb2.Answer, required="text"),
    "review": _review,
    "confirm": _confirm,
    "rate": _rate,
    "reopen": _with(calls_pb2.Reopen, required="reason"),
    "withdraw": _with(calls_pb2.Withdraw, required="reason"),
    "urge": _with(calls_pb2.Urge, "reason"),
    "supervise": _supervise,
    "card": _card,
    "closure": _with(calls_pb2.Closure, "text"),
    "merge": _merge,
    "party": _party,
}
