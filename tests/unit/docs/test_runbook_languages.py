"""The runbook in both languages: what a technician types is the same, whatever they read."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from huying.node.web.operations import runbook
from huying.node.web.operations.runbook import Block
from tests.support.places import ROOT

FOLDER = ROOT / "docs" / "runbook"
NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
LINK = re.compile(r"\]\(([^)\s#]*)(?:#[^)\s]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^\s*(?:\d+\. )?```.*?^\s*```$", re.DOTALL | re.MULTILINE)


def both(name: str) -> tuple[str, str]:
    return tuple((FOLDER / place / f"{name}.md").read_text("utf-8") for place in ("", "zh"))  # type: ignore[return-value]


def fences(text: str) -> list[str]:
    """Commands and outputs, without what a list writes before them."""
    return [re.sub(r"^\s*(?:\d+\. )?", "", found) for found in FENCE.findall(text)]


def links(text: str) -> list[str]:
    """Where links lead, from the runbook's folder; headings of another language are others."""
    return sorted(target.removeprefix("../") for target in LINK.findall(FENCE.sub("", text)))


def shape(blocks: tuple[Block, ...]) -> list[tuple[str, int]]:
    """Kinds of blocks, with the length of lists and the width and height of tables."""
    return [
        (block.kind, len(block.items) or len(block.rows) * 100 + len(block.rows[:1] or ()))
        for block in blocks
        if block.kind not in ("p", "pre")
    ]


def test_every_page_is_there_in_both_languages() -> None:
    """A page that one reader lacks is a page that nobody keeps true."""
    assert sorted(path.stem for path in (FOLDER / "zh").glob("*.md")) == NAMES
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_both_say_the_same_commands_in_the_same_order(name: str) -> None:
    """A command that was put right on one page alone is typed wrong from the other."""
    english, chinese = both(name)
    assert fences(chinese) == fences(english)
    plain = [set(CODE.findall(FENCE.sub("", text))) for text in (english, chinese)]
    assert plain[1] == plain[0]
    typed = [
        Counter(one for one in CODE.findall(FENCE.sub("", text)) if one.startswith("huying "))
        for text in (english, chinese)
    ]
    assert typed[1] == typed[0]


@pytest.mark.parametrize("name", NAMES)
def test_both_have_the_same_headings_lists_tables_and_links(name: str) -> None:
    """A step that one of them lacks is a step that is left out at three in the morning."""
    english, chinese = both(name)
    assert shape(runbook.parse(chinese)) == shape(runbook.parse(english))
    ours = {f"{one}.md" for one in NAMES}
    known = [
        sorted(one.split("/")[-1] for one in links(text) if one.split("/")[-1] in ours)
        for text in (english, chinese)
    ]
    assert known[1] == known[0]
    outside = [set(links(text)) - ours - {""} for text in (english, chinese)]
    assert {one.removeprefix("../") for one in outside[1]} == outside[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_chinese_page_is_chinese(name: str) -> None:
    """Whoever reads no English must find nothing in it that a command does not print."""
    _, chinese = both(name)
    text = CODE.sub("", FENCE.sub("", chinese))
    text = re.sub(r"\]\([^)]*\)|\*[^*]+\*|\"[^\"]*\"", "", text)
    for line in text.splitlines()[2:]:
        assert not re.search(r"(?:\b[a-z]{2,}\b[ ,]+){4}", line), line
    assert re.search(r"[\u4e00-\u9fff]", chinese.splitlines()[0])


def test_a_page_without_a_chinese_version_is_shown_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better in the wrong language than not at all."""
    (tmp_path / "only.md").write_text("# Only\nin English\n")
    monkeypatch.setattr(runbook, "_folder", lambda: tmp_path)
    runbook.read.cache_clear()
    assert runbook.title(runbook.read("only", "zh")) == "Only"
    runbook.read.cache_clear()
