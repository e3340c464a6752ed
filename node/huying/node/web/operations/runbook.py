"""The runbook as pages, without a network: its Markdown, as far as it uses it, as plain blocks.

Headings, paragraphs, lists, code and tables; within them code, bold, emphasis and links. Templates
make tags of it and escape everything, so nothing here is markup. The files come with the program,
each page in English and, in the folder `zh`, in Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError

__all__ = ["Block", "Span", "names", "parse", "read", "title"]

# Beside this package where it is installed, in the documentation where it is a checkout.
_FOLDERS: Final = (
    Path(__file__).parents[1] / "runbook",
    Path(__file__).parents[5] / "docs" / "runbook",
)
_CHINESE: Final = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
_NAME: Final = re.compile(r"[A-Za-z]{1,64}")
_INLINE: Final = re.compile(
    r"`([^`]+)`|\*\*([^*]+)\*\*|(?<!\w)\*([^\s*][^*]*)\*|\[([^\]]+)\]\(([^)\s]+)\)"
)
_ITEM: Final = re.compile(r"( *)(?:[-*]|\d+\.) +(.*)")
_PAGE: Final = re.compile(r"([A-Za-z]+)\.md(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line. `page` is the runbook page that a link leads to; empty: elsewhere."""

    kind: str  # text, code, strong, em, link
    text: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a page. `rows` are a table's, its header first; `items` a list's."""

    kind: str  # h1, h2, h3, p, ul, ol, pre, table
    spans: tuple[Span, ...] = ()
    items: tuple[tuple[Block, ...], ...] = ()
    rows: tuple[tuple[tuple[Span, ...], ...], ...] = ()
    text: str = ""  # of pre


@lru_cache
def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[0])


def names() -> list[str]:
    """The pages there are, the alerts' first."""
    found = [path.stem for path in _folder().glob("*.md")]
    return sorted(found, key=lambda name: (not name.startswith("Huying"), name.lower()))


@lru_cache(maxsize=96)
def read(name: str, language: str = "en") -> tuple[Block, ...]:
    """A page, in English where there is no Chinese one. Raises HuyingError(NOT_FOUND)."""
    if not _NAME.fullmatch(name):
        raise HuyingError(Code.NOT_FOUND, "no such page in the runbook")
    english = _folder() / f"{name}.md"
    chinese = _folder() / "zh" / english.name
    try:
        return parse(
            (chinese if language == "zh" and chinese.exists() else english).read_text("utf-8")
        )
    except OSError:
        raise HuyingError(Code.NOT_FOUND, "no such page in the runbook") from None


def title(blocks: tuple[Block, ...]) -> str:
    """The heading of a page."""
    return "".join(span.text for block in blocks[:1] for span in block.spans)


def parse(text: str) -> tuple[Block, ...]:
    """The blocks of a text."""
    return tuple(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith("```"):
            stop = next((n for n in range(at + 1, len(lines)) if lines[n].startswith("```")), -1)
            stop = len(lines) if stop < 0 else stop
            yield Block("pre", text="\n".join(lines[at + 1 : stop]))
            at = stop + 1
        elif line.startswith("#"):
            level = min(len(line) - len(line.lstrip("#")), 3)
            yield Block(f"h{level}", _spans(line.lstrip("#").strip()))
            at += 1
        elif line.startswith("|"):
            stop = _while(lines, at, lambda one: one.startswith("|"))
            yield Block("table", rows=tuple(_rows(lines[at:stop])))
            at = stop
        elif _ITEM.fullmatch(line):
            stop = _while(lines, at, _belongs_to_list)
            yield _list(lines[at:stop])
            at = stop
        else:
            stop = _while(lines, at, _is_plain)
            yield Block("p", _spans(_joined([one.strip() for one in lines[at:stop]])))
            at = stop


def _joined(lines: list[str]) -> str:
    """Lines as one; Chinese has no blank where a line ends."""
    text = lines[0]
    for line in lines[1:]:
        is_chinese = _CHINESE.fullmatch(text[-1]) or _CHINESE.fullmatch(line[0])
        text += ("" if is_chinese else " ") + line
    return text


def _while(lines: list[str], at: int, fits: object) -> int:
    assert callable(fits)
    stop = at + 1
    while stop < len(lines) and fits(lines[stop]):
        stop += 1
    return stop


def _is_plain(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "|", "```")) and not _ITEM.match(line)


def _belongs_to_list(line: str) -> bool:
    return bool(_ITEM.fullmatch(line)) or (line.startswith("  ") and bool(line.strip()))


def _list(lines: list[str]) -> Block:
    """A list; what is indented below an item is the item's."""
    first = _ITEM.fullmatch(lines[0])
    assert first is not None, "the caller saw an item"
    items: list[list[str]] = []
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found is not None and not found[1]:
            items.append([found[2]])
        else:
            items[-1].append(line.removeprefix("   ") if line.startswith("   ") else line.strip())
    kind = "ol" if lines[0].lstrip()[0].isdigit() else "ul"
    return Block(kind, items=tuple(tuple(_blocks(item)) for item in items))


def _rows(lines: list[str]) -> Iterator[tuple[tuple[Span, ...], ...]]:
    for line in lines:
        if not set(line) <= set("|-: "):
            cells = line.strip().strip("|").split("|")
            yield tuple(_spans(cell.strip()) for cell in cells)


def _spans(text: str) -> tuple[Span, ...]:
    found: list[Span] = []
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            found.append(Span("text", text[at : match.start()]))
        code, strong, stressed, label, target = match.groups()
        if code is not None:
            found.append(Span("code", code))
        elif strong is not None:
            found.append(Span("strong", strong.replace("`", "")))
        elif stressed is not None:
            found.append(Span("em", stressed))
        else:
            page = _PAGE.fullmatch(target)
            found.append(Span("link", label.strip("`"), page[1] if page else ""))
        at = match.end()
    if at < len(text):
        found.append(Span("text", text[at:]))
    return tuple(found)
