"""Templates: how they are found, and the filters that every one of them may use.

Everything is escaped; a template that marks something safe does not exist, and a test sees to it.
Times are unix microseconds, shown in the local time of the county's calendar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from huying.common.errors import HuyingError
from huying.node.web.refusals import Said, said
from huying.node.web.static_files import add_versions
from huying.node.web.words import key_of, word

__all__ = ["TEMPLATES", "environment", "local_time", "span"]

TEMPLATES: Final = Path(__file__).with_name("templates")
# Characters that turn others around, or that nobody sees: with them a name on a page of decisions
# reads as another's. No word of ours has any; what joins emoji is left.
_HIDDEN: Final = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\U000e0000-\U000e007f]|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d"
)
_UNITS: Final = ((86_400, "天", "d"), (3600, "小时", "h"), (60, "分", "min"), (1, "秒", "s"))


def environment(folders: Sequence[Path]) -> Environment:
    """The templates of these folders, the first one first."""
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_finalized,
    )
    made.filters.update(
        when=_when, ago=_ago, left=_left, word=_word, key=_key, thousands=_thousands, size=_size
    )
    # Beside .../node/web/templates lie the files of /static/node.
    add_versions(made, {one.parent.parent.name: one.with_name("static") for one in folders})
    made.filters["span"] = _span
    made.filters["rest"] = _rest
    made.filters["said"] = _said
    made.filters["hex"] = lambda value: bytes(value).hex()
    made.filters["twice"] = lambda value: (value, value)  # a choice whose text is its value
    return made


def _finalized(value: object) -> object:
    """What an expression of a template becomes: text, with what hides in it to be seen."""
    if type(value) is not str or value.isascii():
        return value
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", value)


def local_time(micros: int, offset_minutes: int) -> datetime:
    """A local time. Raises OverflowError or ValueError for what no calendar has."""
    zone = timezone(timedelta(minutes=offset_minutes))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).astimezone(zone)


def span(seconds: float, language: str) -> str:
    """A length of time in its two largest units."""
    left = int(abs(seconds))
    parts = []
    for size, zh, en in _UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {en if language == 'en' else zh}")
    return " ".join(parts[:2]) or ("0 s" if language == "en" else "0 秒")


@pass_context
def _when(context: Context, micros: int, form: str = "%m-%d %H:%M") -> str:
    """A local time, e.g. `10-08 09:12`; with its year where that is not this one."""
    if not micros:
        return "—"
    try:
        at = local_time(int(micros), context["offset_minutes"])
        now = local_time(int(context["now"] * 1e6), context["offset_minutes"])
    except (OverflowError, ValueError):
        return "?"
    return at.strftime(form if at.year == now.year else f"%Y-{form}")


@pass_context
def _ago(context: Context, micros: int) -> str:
    """How long ago something was."""
    if not micros:
        return "从未" if context["lang"] == "zh" else "never"
    seconds = context["now"] - micros / 1e6
    text = span(seconds, context["lang"])
    if context["lang"] == "en":
        return f"{text} ago" if seconds >= 0 else f"in {text}"
    return f"{text}前" if seconds >= 0 else f"{text}后"


@pass_context
def _left(context: Context, due_micros: int) -> str:
    """What is left until an instant, or how long it is past."""
    seconds = due_micros / 1e6 - context["now"]
    text = span(seconds, context["lang"])
    if context["lang"] == "en":
        return f"{text} left" if seconds >= 0 else f"{text} overdue"
    return f"剩 {text}" if seconds >= 0 else f"超期 {text}"


@pass_context
def _span(context: Context, seconds: float) -> str:
    """A length of time."""
    return span(seconds, context["lang"])


@pass_context
def _rest(context: Context, micros: int) -> str:
    """What is left of a clock that stands still, in hours of its own time: a day of it is no 24."""
    hours, minutes = divmod(int(micros) // 60_000_000, 60)
    is_english = context["lang"] == "en"
    parts = [f"{hours:,} {'h' if is_english else '小时'}"] if hours else []
    if minutes or not hours:
        parts.append(f"{minutes} {'min' if is_english else '分'}")
    return " ".join(parts)


@pass_context
def _said(context: Context, error: HuyingError) -> Said:
    """A refusal in the person's language."""
    return said(error, context["lang"])


@pass_context
def _word(context: Context, value: Any, kind: str) -> str:
    return word(kind, value, context["lang"])


def _key(value: Any, kind: str) -> str:
    return key_of(kind, value)


def _thousands(value: float) -> str:
    return f"{value:,}"


def _size(count_bytes: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count_bytes < 1000 or unit == "GB":
            return f"{count_bytes:,.0f} {unit}" if unit == "B" else f"{count_bytes:,.1f} {unit}"
        count_bytes /= 1000
    raise AssertionError("the last unit returns")
