"""Scripts and styles hold to what the oldest browser that docs/CONSOLE.md names can read.

One newer operator is enough, and a browser throws the whole script away: no page keeps itself
fresh, no draft is kept, and nobody at a desk with a new browser ever sees it. Versions are those of
MDN's compatibility tables.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from huying.hub.web.site import STATIC as HUB_STATIC
from huying.node.web.app import STATIC
from tests.support.places import ROOT

# What is written, and the first Chromium that reads it.
NEWER_SCRIPT = {
    r"(?:\|\||&&|\?\?)=": 85,
    r"\.replaceAll\(": 85,
    r"\bPromise\.any\(": 85,
    r"\.replaceChildren\(": 86,
    r"\bcookieStore\b": 87,
    r"\bstatic\s*\{": 94,
    r"^(?:const .*= )?await ": 89,
    r"\.at\(": 92,
    r"\brandomUUID\(": 92,
    r"\bObject\.hasOwn\(": 93,
    r"\.findLast(?:Index)?\(": 97,
    r"\bstructuredClone\(": 98,
    r"\.showPicker\(": 99,
    r"\.inert\b": 102,
    r"\bAbortSignal\.(?:timeout|any)\(": 103,
    r"\.checkVisibility\(": 105,
    r"\.to(?:Sorted|Reversed|Spliced)\(": 110,
    r"\.(?:showPopover|hidePopover|togglePopover)\(": 114,
    r"\b(?:Object|Map)\.groupBy\(": 117,
    r"\bPromise\.withResolvers\(": 119,
    r"\bURL\.(?:canParse|parse)\(": 120,
    r"\.set(?:HTML|HTMLUnsafe)\(": 124,
}
# A rule is thrown away with a selector in it that is not known; a property alone is not missed.
NEWER_STYLE = {
    r"(?<![-\w])inset(?:-(?:block|inline))?\s*:": 87,
    r":is\(|:where\(": 88,
    r"(?<![-\w])aspect-ratio\s*:": 88,
    r"overflow(?:-[xy])?\s*:\s*clip": 90,
    r"@layer\b": 99,
    r"@container\b|:has\(": 105,
    r"\d(?:d|s|l)v[hw]\b": 108,
    r"color-mix\(": 111,
    r"&": 112,
    r":user-(?:in)?valid": 119,
}
RULE = re.compile(r"([^{}]+)\{")


def oldest() -> int:
    """The version that the documentation promises."""
    text = (ROOT / "docs/CONSOLE.md").read_text("utf-8")
    (found,) = re.findall(r"to what Chromium (\d+) knows", text)
    return int(found)


def files(suffix: str) -> list[Path]:
    return sorted(path for folder in (STATIC, HUB_STATIC) for path in folder.glob(f"*{suffix}"))


def written(path: Path) -> str:
    """The file without its comments, which may name anything."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
    return text if path.suffix == ".css" else re.sub(r"(?m)(?:^|\s)//.*$", "", text)


def too_new(text: str, known: dict[str, int], version: int) -> list[str]:
    return [
        f"{found.group(0).strip()}: Chromium {needs}"
        for pattern, needs in known.items()
        if needs > version
        for found in re.finditer(pattern, text, re.MULTILINE)
    ]


@pytest.mark.parametrize("path", files(".js"), ids=lambda path: path.name)
def test_a_script_needs_no_newer_browser(path: Path) -> None:
    assert too_new(written(path), NEWER_SCRIPT, oldest()) == []


@pytest.mark.parametrize("path", files(".css"), ids=lambda path: path.name)
def test_a_style_needs_no_newer_browser(path: Path) -> None:
    text = written(path)
    assert too_new(text, NEWER_STYLE, oldest()) == []
    # Alone, a rule for it is passed over; in a list, it takes its neighbours with it.
    shared = [one for one in RULE.findall(text) if ":focus-visible" in one and "," in one]
    assert shared == []


@pytest.mark.parametrize(
    ("text", "is_new"),
    [
        ("const a = b?.c ?? 1;", False),
        ("a ??= 1;", True),
        ("if (a !== b && c === d) e += 1;", False),
        ('name.replaceAll("-", "_")', True),
        ("list.at(-1)", True),
        ("crypto.randomUUID()", True),
        ("  const page = await fetch(path);", False),
        ("const page = await fetch(path);", True),
    ],
)
def test_the_table_tells_new_from_old(text: str, is_new: bool) -> None:
    assert bool(too_new(text, NEWER_SCRIPT, oldest())) is is_new
