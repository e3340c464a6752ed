"""What is wrong with the fields of a form: all of them at once, each said at its own field.

A form that comes back has one summary on top, with a link to each field at fault, and the sentence
once, at the field (the GOV.UK design system's error summary). A refusal that names no field of the
form is said on top alone. `macros.html` has both: `ui.problems`, and the fields themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from huying.common.errors import Code, HuyingError
from huying.node.web.refusals import in_chinese, of_one_field, plain

if TYPE_CHECKING:
    from huying.node.web.page import Ask

__all__ = ["Faults", "FieldFault", "FieldsError", "field_faults"]


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field at fault, in the person's language."""

    label: str  # as the form calls it
    what: str  # what is wrong, and what to do


class FieldsError(HuyingError):
    """Several fields at fault; `fields` has each one's own refusal."""

    def __init__(self, fields: Mapping[str, HuyingError]) -> None:
        first = next(iter(fields.values()))
        super().__init__(Code.INVALID_ARGUMENT, first.detail)
        self.fields = dict(fields)


class Faults:
    """Collects what is wrong with a form while it is read."""

    def __init__(self) -> None:
        self._fields: dict[str, HuyingError] = {}

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """What is refused within is this field's, and reading goes on with the next one."""
        try:
            yield
        except HuyingError as error:
            if error.code is not Code.INVALID_ARGUMENT:
                raise
            self._fields.setdefault(field, error)

    def refuse(self) -> None:
        """Raise FieldsError where anything is wrong."""
        if self._fields:
            raise FieldsError(self._fields)


def field_faults(
    ask: Ask, error: HuyingError | None, labels: Mapping[str, tuple[str, str]]
) -> dict[str, FieldFault]:
    """The fields of a form that a refusal is about; none, where it is about something else.

    `labels`: what the form calls its fields, Chinese and English, in its order. A refusal by
    the node names the field first, as `number: too long`.
    """
    if error is None or error.code is not Code.INVALID_ARGUMENT:
        return {}
    if isinstance(error, FieldsError):
        fields: Mapping[str, HuyingError] = error.fields
    else:
        fields = {error.detail.partition(":")[0].rpartition(".")[2].rpartition(" ")[2]: error}
    return {
        name: FieldFault(ask.t(*label), _sentence(fields[name], ask.language))
        for name, label in labels.items()
        if name in fields
    }


def _sentence(error: HuyingError, language: str) -> str:
    """What is wrong, without the field's name before it."""
    why = error.detail.partition(": ")[2]
    zh, _, en = why.partition(" · ")
    if not why or hasattr(error, "zh"):  # a table brings its own words
        return plain(error, language)
    if language == "en":
        return en or why
    if en:
        return zh
    return of_one_field(why) or in_chinese(error.detail) or plain(error, language)
