"""Which passwords may be chosen: long ones that are not guessed first.

There are no rules of composition, no expiry and no hints (NIST SP 800-63B-4, OWASP ASVS 5.0 V6.2).
Guessers begin with common words, names that they know of the person and the place, runs of the
keyboard, dates and repetitions, so those are taken out, and what is left must still have some
length. That refuses far more than a list of the few thousand commonest passwords, and fits into
a page. Passwords known from breaches are refused by a file that a county may put beside
console.db; see `huying.node.web.access.breached`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Final

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.settings import NodeSection
from huying.node.web.access.breached import is_breached

__all__ = ["check_password_choice", "place_words"]

_RUNS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "!@#$%^&*()_+",
    "`1234567890-=",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "1q2w3e4r5t6y7u8i9o0p",
    "147258369",
    "一二三四五六七八九十",
)
_RUN_CHARACTERS_MIN: Final = 3
_LOOKS: Final = str.maketrans(
    {"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "@": "a", "$": "s"}
)
_REPEATED: Final = re.compile(r"(.{1,6}?)\1{1,}")
_DATE: Final = re.compile(r"(?:19|20)\d{2}(?:\D?[01]?\d(?:\D?[0-3]?\d)?)?")
_KNOWN_CHARACTERS_MIN: Final = 3


def check_password_choice(
    password: str, known: Iterable[str] = (), folder: Path | None = None
) -> None:
    """Refuse a password that is too short, too long, guessed first, or known from a breach.

    `known` are words about the person and the place: login, name, network, division; `folder` is
    where a file of breached passwords may be. Raises HuyingError(INVALID_ARGUMENT), which never
    repeats the password, or CONFIG where that file is none.
    """
    least, most = limits.PASSWORD_CHARACTERS_MIN, limits.PASSWORD_CHARACTERS_MAX
    if not least <= len(password) <= most:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"password: {least} to {most} characters; a sentence is good"
        )
    if _unguessed(password, known) < limits.PASSWORD_UNGUESSED_CHARACTERS_MIN:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            "password: made of common words, runs of keys, dates, repetitions or your own name;"
            " such ones are guessed first: take several words that do not belong together",
        )
    if folder is not None and is_breached(folder, password):
        raise HuyingError(
            Code.INVALID_ARGUMENT, "password: known from a breach elsewhere: take another one"
        )


def place_words(node: NodeSection) -> tuple[str, ...]:
    """The words about a node's place that no password may consist of."""
    return (node.name, node.network, node.code)


def _unguessed(password: str, known: Iterable[str]) -> float:
    """How many characters are left beside what is guessed first: the least of two readings.

    A digit counts half: phone numbers and days are made of them.
    """
    plain = password.casefold()
    words = _common_words() | _parts(known)
    return min(
        _weight(_without(plain, words)),
        _weight(_without(plain.translate(_LOOKS), {word.translate(_LOOKS) for word in words})),
    )


def _weight(text: str) -> float:
    return sum(0.5 if one.isdigit() else 1.0 for one in text)


@cache
def _common_words() -> frozenset[str]:
    lines = Path(__file__).with_name("common_words.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _parts(known: Iterable[str]) -> set[str]:
    """The words that names are made of, and the names."""
    found = set()
    for name in known:
        folded = name.casefold()
        for part in (folded, *re.split(r"[\W_]+", folded)):
            if len(part) >= _KNOWN_CHARACTERS_MIN or (len(part) == 2 and not part.isascii()):
                found.add(part)
    return found


def _without(text: str, words: AbstractSet[str]) -> str:
    """The characters that no word, date, run or repetition accounts for."""
    longest_first = sorted(words, key=len, reverse=True)
    text = re.sub("|".join(map(re.escape, longest_first)), " ", text)
    text = _DATE.sub(" ", text)
    text = _without_runs(text)
    text = _REPEATED.sub(r"\1", text)
    return re.sub(r"[\s\W_]+", "", text)


def _without_runs(text: str) -> str:
    """Runs of the keyboard or the alphabet, forwards and backwards, taken out."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        length = _run_at(text, at)
        if length >= _RUN_CHARACTERS_MIN:
            kept.append(" ")
            at += length
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _run_at(text: str, at: int) -> int:
    """The length of the longest run that begins at a place."""
    best = 0
    for run in _RUNS:
        for line in (run, run[::-1]):
            length = 0
            while at + length < len(text) and text[at : at + length + 1] in line:
                length += 1
            best = max(best, length)
    return best
