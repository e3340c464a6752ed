"""The form of a new call: where its words come from, and the message that becomes of them.

The words come from an event, from a draft that was refused, from what the person typed and has not
sent, or from the form itself; in all four cases they are plain text by the names of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import NAME_CHARACTERS_MAX, PHONE_CHARACTERS_MAX
from huying.common.masking import mask
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.web.forms import Form
from huying.node.web.words import key_of
from huying.wire.v1 import calls_pb2, hotline_pb2, policy_pb2, records_pb2

__all__ = [
    "FIELDS",
    "URGENCIES",
    "Attachable",
    "CallWords",
    "attachables",
    "from_draft",
    "from_event",
    "from_form",
    "from_order",
    "from_saved",
    "order_number",
]

_TITLE_CHARACTERS: Final = 40  # taken from an event's text, where it has no matter
# The fields that are text, and how long each may be.
FIELDS: Final[Mapping[str, int]] = {
    "category": NAME_CHARACTERS_MAX,
    "title": NAME_CHARACTERS_MAX,
    "description": 4000,
    "village": 12,
    "grid": 15,
    "urgency": 20,
    "contact_name": NAME_CHARACTERS_MAX,
    "contact_phone": PHONE_CHARACTERS_MAX,
}
_MASKED: Final = ("title", "description")  # travel, and must hold no number of a person
URGENCIES: Final = {
    key_of("urgency", number): number
    for number in policy_pb2.Urgency.values()
    if number != policy_pb2.URGENCY_UNSPECIFIED
}
_ATTACH: Final = "attach-"


@dataclass(frozen=True, slots=True)
class Attachable:
    """A picture that may go along, as its digest."""

    attachment: calls_pb2.Attachment
    is_upload: bool = False  # handed in with the form, and no evidence yet

    @property
    def field(self) -> str:
        """The name of its box in the form."""
        return _ATTACH + self.attachment.sha256.hex()


@dataclass(frozen=True, slots=True)
class CallWords:
    """What a call would say, as it was typed."""

    texts: Mapping[str, str]  # by the names of FIELDS; an absent one is empty
    event: bytes = b""
    ticked: frozenset[str] = frozenset()  # Attachable.field
    masks: bool = False  # the person agrees to what is masked

    def text(self, name: str) -> str:
        """One field."""
        return self.texts.get(name, "")

    def masked(self) -> dict[str, str]:
        """The fields that would travel with a number in them, as they would travel."""
        return {name: hit.text for name in _MASKED if (hit := mask(self.text(name))).hits}

    def draft(
        self, actor: str, pictures: Sequence[Attachable], files: Sequence[Attachable] = ()
    ) -> calls_pb2.CallDraft:
        """The message, with the pictures that are ticked, and the files.

        Raises HuyingError(INVALID_ARGUMENT), naming the field.
        """
        texts = {**dict.fromkeys(FIELDS, ""), **self.texts, **self.masked()}
        for name in ("category", "title"):
            if not texts[name]:
                raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: empty; fill it in")
        if mask(texts["category"]).hits:
            raise HuyingError(
                Code.INVALID_ARGUMENT, "category: holds a phone or ID number; name the matter"
            )
        urgency = texts.pop("urgency") or "routine"
        if urgency not in URGENCIES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"urgency: one of {', '.join(URGENCIES)}")
        message = calls_pb2.CallDraft(
            urgency=URGENCIES[urgency],
            event=self.event,
            actor=actor,
            attachments=[
                *(one.attachment for one in files),
                *(one.attachment for one in pictures if one.field in self.ticked),
            ],
        )
        for name, text in texts.items():
            setattr(message, name, text)
        return message


def from_event(event: records_pb2.Event, record: bytes, village: str) -> CallWords:
    """What an event suggests: all of it travels, so it is masked from the start."""
    told = mask(event.description_public).text
    title = mask(event.descriptor).text or told.partition("\n")[0][:_TITLE_CHARACTERS]
    texts = {
        "category": mask(event.category).text,
        "title": title,
        "description": told,
        "village": village,
        "grid": event.grid,
        "urgency": "routine",
    }
    return CallWords(texts, record)


def from_order(order: hotline_pb2.Order, own: str) -> CallWords:
    """What a hotline order suggests to the town `own`; its number goes along, to be found by."""
    told = mask(order.description).text or mask(order.descriptor).text
    source = order_number(order)
    told = told if mask(source).hits else f"{told}\n来源:热线工单 {source}".strip()
    texts = {
        "category": mask(order.category).text,
        "title": mask(order.descriptor).text or told.partition("\n")[0][:_TITLE_CHARACTERS],
        "description": told,
        "village": order.handler if order.handler != own else "",
        "urgency": "routine",
    }
    return CallWords(texts)


def order_number(order: hotline_pb2.Order) -> str:
    """An order by where it came from and its number there."""
    return f"{order.source} {order.source_id}".strip()


def from_draft(draft: calls_pb2.CallDraft) -> CallWords:
    """The words of a draft that was refused, to be put right."""
    texts = {name: str(getattr(draft, name)) for name in FIELDS if name != "urgency"}
    texts["urgency"] = key_of("urgency", draft.urgency)
    ticked = frozenset(Attachable(one).field for one in draft.attachments)
    return CallWords(texts, draft.event, ticked)


def from_saved(fields: Mapping[str, str], event: bytes) -> CallWords:
    """What the person typed, and has not sent."""
    texts = {name: fields.get(name, "")[:most] for name, most in FIELDS.items()}
    return CallWords(texts, event, _ticked(fields))


def from_form(form: Form, event: bytes) -> CallWords:
    """What was sent, about an event or about none. Raises HuyingError(INVALID_ARGUMENT)."""
    texts = {name: form.text(name, most) for name, most in FIELDS.items()}
    lines = {k: " ".join(text.split()) for k, text in texts.items() if k != "description"}
    texts.update(lines)
    return CallWords(texts, event, _ticked(form.values()), form.flag("masks"))


def _ticked(fields: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name in fields if name.startswith(_ATTACH))


def attachables(
    pictures: Sequence[EvidenceRow], before: Sequence[calls_pb2.Attachment] = ()
) -> list[Attachable]:
    """An event's pictures, and what a draft had attached, each digest once."""
    found: dict[bytes, calls_pb2.Attachment] = {}
    for number, one in enumerate(pictures, 1):
        name = mask(one.name).text.strip()[:NAME_CHARACTERS_MAX] or f"照片 {number}"
        found[one.sha256] = calls_pb2.Attachment(
            name=name, sha256=one.sha256, size_bytes=one.size_bytes
        )
    for attachment in before:
        found.setdefault(attachment.sha256, attachment)
    return [Attachable(one) for one in found.values()]
