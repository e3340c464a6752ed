"""Masking phone and ID numbers in free text, before the text leaves the village.

What is found is replaced by a bracketed word, so that a reader sees that something stood there:

- mobile numbers: 1[3-9] and nine digits, wherever they stand, with +86 or without;
- landlines with their area code: 010, 02x or 0[3-9]xx and seven or eight digits;
- resident ID numbers (GB 11643): 18 characters with a date in them, whatever the check digit, and
  the older ones of 15 digits.

People write numbers in many ways, so digits of any script count (full-width too), and up to three
blanks, dashes, dots, slashes, brackets or invisible characters may stand between two digits. The
search prefers to hide too much: a part of a longer number that reads as a mobile or ID number is
hidden too. It is a help to an honest writer, who is shown the result, and no proof against somebody
who spells a number out in words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Hit", "MaskResult", "mask"]

_MOBILE: Final = "手机号"
_LANDLINE: Final = "电话"
_ID: Final = "证件号"

# Blanks; dashes; dots; slash, underscore, tilde, brackets; and the invisible: soft hyphen,
# zero-width and direction marks, variation selectors, byte order mark.
_SEPARATOR: Final = (
    r"[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000"
    r"\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
    r".\u00b7\u2022\u30fb\uff0e\uff61"
    r"/_~()\uff0f\uff3f\uff08\uff09"
    r"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)
# A run of digits, an X perhaps at its end: in it, every number is looked for.
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}{{0,3}}\d)+(?:{_SEPARATOR}{{0,3}}[XxＸｘ])?")


def _spaced(*parts: str) -> str:
    """A pattern of the parts with an optional gap between them."""
    return " ?".join(parts)


def _digits(count: int) -> tuple[str, ...]:
    return ("[0-9]",) * count


# Patterns over a run brought to one spelling: ASCII digits, X, one blank for each gap.
_MONTH_DAY: Final = r"(?:0 ?[1-9]|1 ?[0-2]) ?(?:0 ?[1-9]|[12] ?[0-9]|3 ?[01])"
_ID_18: Final = _spaced(
    "[1-9]", *_digits(5), "(?:1 ?[89]|2 ?0)", *_digits(2), _MONTH_DAY, *_digits(3), "[0-9X]"
)
_ID_15: Final = _spaced("[1-9]", *_digits(7), _MONTH_DAY, *_digits(3))
_MOBILE_11: Final = _spaced("1", "[3-9]", *_digits(9))
# These are searched everywhere in a run. An old ID number of Hebei (13…) that stands by itself is
# not a mobile number with four more digits; inside a longer run the mobile number comes first.
_ANYWHERE: Final = re.compile(
    rf"{_ID_18}|(?<![0-9]){_ID_15}(?![0-9])|(?P<mobile>{_MOBILE_11})|{_ID_15}"
)
# A landline must begin and end at a gap or at the run's ends: too many numbers hold a zero.
_LANDLINE_RUN: Final = re.compile(
    "(?<![0-9])(?:(?:0 ?0 ?)?8 ?6 ?)?"
    + _spaced("0", "(?:1 ?0|2 ?[0-9]|[3-9] ?[0-9] ?[0-9])", *_digits(7))
    + "(?: ?[0-9])?(?![0-9])"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a number stood in the text that was given; never the number."""

    kind: str  # 手机号, 电话 or 证件号
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class MaskResult:
    """The masked text, and what was hidden, in order."""

    text: str
    hits: tuple[Hit, ...]


def mask(text: str) -> MaskResult:
    """Replace every phone and ID number by 〔手机号〕, 〔电话〕 or 〔证件号〕.

    Idempotent; a text without digits is returned as it is.
    """
    hits = [hit for run in _RUN.finditer(text) for hit in _search(run[0], run.start())]
    if not hits:
        return MaskResult(text, ())
    pieces = []
    end = 0
    for hit in hits:
        pieces += [text[end : hit.start], f"〔{hit.kind}〕"]
        end = hit.stop
    return MaskResult("".join([*pieces, text[end:]]), tuple(hits))


def _search(run: str, offset: int) -> list[Hit]:
    """The numbers in one run, in order."""
    plain, places = _normalise(run)

    def hit(kind: str, start: int, stop: int) -> Hit:
        return Hit(kind, offset + places[start], offset + places[stop - 1] + 1)

    hits = []
    rest_start = 0
    for match in _ANYWHERE.finditer(plain):
        hits += _landlines(plain, rest_start, match.start(), hit)
        kind = _MOBILE if match.lastgroup == "mobile" else _ID
        hits.append(hit(kind, match.start(), match.end()))
        rest_start = match.end()
    hits += _landlines(plain, rest_start, len(plain), hit)
    return hits


def _landlines(plain: str, start: int, stop: int, hit: Callable[[str, int, int], Hit]) -> list[Hit]:
    """The landlines in what other numbers left of a run: their places count as its ends."""
    return [
        hit(_LANDLINE, start + match.start(), start + match.end())
        for match in _LANDLINE_RUN.finditer(plain[start:stop])
    ]


def _normalise(run: str) -> tuple[str, list[int]]:
    """The run in one spelling, and for each of its characters the place in the run."""
    plain: list[str] = []
    places: list[int] = []
    for place, character in enumerate(run):
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            plain.append(str(digit))
        elif character in "XxＸｘ":
            plain.append("X")
        elif plain[-1] != " ":
            plain.append(" ")
        else:
            continue
        places.append(place)
    return "".join(plain), places
