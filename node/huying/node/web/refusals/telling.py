"""What a refusal says in one language: the advice of its code, and the detail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from huying.common.errors import HuyingError
from huying.node.web.refusals.access_sentences import ACCESS
from huying.node.web.refusals.call_sentences import CALLS
from huying.node.web.refusals.desk_sentences import DESK
from huying.node.web.refusals.field_sentences import OF_FIELDS
from huying.node.web.refusals.fields import label
from huying.node.web.refusals.node_sentences import NODE
from huying.node.web.refusals.page_sentences import PAGES
from huying.node.web.words import WORDS, name_in_words, word

__all__ = [
    "OF_FIELDS",
    "SENTENCES",
    "Said",
    "in_chinese",
    "of_one_field",
    "plain",
    "said",
    "sentence_of",
]

Sentence = tuple[str, str]
# Whole details; the first that fits counts, so what is more particular stands further up.
SENTENCES: Final[Sequence[Sentence]] = (*ACCESS, *PAGES, *CALLS, *DESK, *NODE)
_PLACE: Final = re.compile(r"\{([a-z]+)[0-9]*\}")
_NAMED: Final = re.compile(r"(?P<field>[\w.\[\]#`/-]+): (?P<why>.+)")
# What has no words to translate: a code, the name of an error, an id.
_WORDLESS: Final = re.compile(r"[0-9A-Z_.:/#-]*")
# A sentence of ours is shorter. What is longer has a stranger's words in it, such as an address of
# 30 KiB, and would keep these patterns at work for minutes.
_CHARACTERS_MAX: Final = 600
_COLONS_MAX: Final = 8  # a field within a field, and so on
# A page may be anybody's: where the node's files lie is for logs and the command line.
_FOLDERS: Final = re.compile(r"^/(?:[^\s/:]+/)*(?=[^\s/:]+: )")
_HAN: Final = re.compile("[\u4e00-\u9fff]")
_TURN: Final = re.compile(
    r"(?:the |its )?(?P<who>[a-z]+|centre of \d+|department \S+|caller \d+): (?P<steps>.+)"
)
_TOLD: Final = re.compile(r"(?P<step>\w+) by (?P<who>.+) at (?P<at>\S+) \(step (?P<number>\d+)\)")
_DEEDS: Final = {"take": "接收", "settle": "办结", "return": "退回"}


@dataclass(frozen=True, slots=True)
class Said:
    """A refusal as a page shows it."""

    lead: str  # what to do about such refusals in general
    detail: str  # what it is about this time; may be empty
    is_foreign: bool = False  # the detail is English on a Chinese page


def said(error: HuyingError, language: str) -> Said:
    """The refusal in "zh" or "en"."""
    advice = error.advice
    found = _FOLDERS.sub("", error.detail)
    if language == "en":
        detail = _english(found)
        return Said(advice.en, "" if detail == advice.en else detail)
    # Files and tables bring their own Chinese; their detail says the same again.
    if hasattr(error, "zh") or not found:
        return Said(advice.zh, "")
    chinese = in_chinese(found)
    if chinese is None:
        return Said(advice.zh, found, is_foreign=True)
    return Said(advice.zh, chinese)


def plain(error: HuyingError, language: str) -> str:
    """The same in one line: the detail where it has words of its own, else with the advice."""
    told = said(error, language)
    if told.is_foreign:
        return f"{told.lead}({told.detail})"
    return told.detail or told.lead


def in_chinese(detail: str) -> str | None:
    """A detail in Chinese; None where no sentence fits."""
    if len(detail) > _CHARACTERS_MAX or detail.count(": ") > _COLONS_MAX:
        return None
    if _WORDLESS.fullmatch(detail):
        return detail
    zh, _, en = detail.partition(" · ")
    if en and _HAN.search(zh):  # it is in both languages
        return zh.rpartition(": ")[2]
    for english, chinese in SENTENCES:
        if (found := _fitted(english, chinese, detail)) is not None:
            return found
    return _of_field(detail)


def sentence_of(detail: str) -> Sentence | None:
    """The sentence that a detail is translated by."""
    for english, chinese in SENTENCES:
        if _fitted(english, chinese, detail) is not None:
            return english, chinese
    named = _NAMED.fullmatch(detail)
    for english, chinese in OF_FIELDS if named else ():
        if named and _fitted(english, chinese, named["why"]) is not None:
            return english, chinese
    return None


def of_one_field(why: str) -> str | None:
    """What is wrong with a field, in Chinese: `why` of `field: why`. None where no sentence fits.

    For where the field is named already, as the column of a table is.
    """
    if len(why) > _CHARACTERS_MAX:
        return None
    if _WORDLESS.fullmatch(why):
        return why
    for english, chinese in OF_FIELDS:
        if (found := _fitted(english, chinese, why)) is not None:
            return found
    return in_chinese(why) if _NAMED.fullmatch(why) else None


def _of_field(detail: str) -> str | None:
    named = _NAMED.fullmatch(detail)
    why = of_one_field(named["why"]) if named else None
    return f"{label(named['field'])}:{why}" if named and why is not None else None


def _english(detail: str) -> str:
    zh, _, en = detail.partition(" · ")
    return en if en and _HAN.search(zh) else detail


def _fitted(english: str, chinese: str, detail: str) -> str | None:
    """The Chinese with what stands in the detail's places; None where it is another sentence."""
    if not detail.startswith(english.partition("{")[0]):
        return None
    match = _pattern(english).fullmatch(detail)
    if match is None:
        return None
    words: dict[str, str] = {}
    for name, value in match.groupdict().items():
        found = _KINDS.get(name.rstrip("0123456789"), str)(value)
        if found is None:
            return None
        words[name] = found
    return chinese.format_map(words)


@cache
def _pattern(english: str) -> re.Pattern[str]:
    parts, at = [], 0
    for place in _PLACE.finditer(english):
        what = r"[\w.\[\]#`-]+" if place[1] == "field" else r"\d+" if place[1] == "n" else ".*?"
        parts += [re.escape(english[at : place.start()]), f"(?P<{place[0][1:-1]}>{what})"]
        at = place.end()
    return re.compile("".join([*parts, re.escape(english[at:])]))


def _turns(text: str) -> str:
    """Whose turn it is for what: `centre: note, urge; department: nothing`."""
    shown = []
    for turn in text.split("; "):
        found = _TURN.fullmatch(turn)
        if found is None or found["steps"] == "nothing":
            continue
        role, _, place = found["who"].replace(" of", "").partition(" ")
        who = f"{word('role', role)} {place}".strip()
        shown.append(f"{who}({_steps(found['steps'])})")
    return "、".join(shown) or "无"


def _steps(text: str) -> str:
    return "、".join(word("step", one) for one in text.split(", "))


def _told(text: str) -> str:
    found = _TOLD.fullmatch(text)
    if found is None:
        return text
    step = word("step", found["step"])
    return f"{found['who']} 已于 {_time(found['at'])} {step}(第 {found['number']} 步)"


def _time(text: str) -> str:
    """2026-10-08T01:12:03Z without the signs that programs need."""
    return text.replace("T", " ").replace("Z", " UTC")


def _list(text: str) -> str:
    """Words between commas; the names that the wire gives them, in words."""
    listed = re.split(r", (?:or )?| or ", text)
    kind = next((kind for kind, words in WORDS.items() if set(listed) <= set(words)), "")
    return "、".join(word(kind, one) if kind else name_in_words(one) for one in listed)


# What stands in a place, by the place's name: as it is, unless it has words in Chinese.
_KINDS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "field": label,
    "why": in_chinese,
    "stage": lambda text: word("stage", text.lower()),
    "step": lambda text: word("step", text),
    "steps": _steps,
    "turns": _turns,
    "told": _told,
    "order": lambda text: word("order", text),
    "deed": lambda text: _DEEDS.get(text, text),
    "denial": lambda text: word("denial", text.lower()),
    "list": _list,
    "time": _time,
    "closure": lambda text: word("closure", text.removeprefix("CLOSURE_REASON_").lower()),
}
