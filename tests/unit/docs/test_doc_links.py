"""Documentation that points at nothing misleads; every pointer is followed here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from tests.support.places import ROOT

FOLDERS = ("common", "node", "hub", "proto", "tests", "deploy", "docs", ".ci")
SUFFIXES = {".py", ".proto", ".yml", ".toml", ".md"}

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# docs/NAME.md, "Heading" and "Heading"
_REFERENCE = re.compile(r'(docs/[\w/-]+\.md)(, "[^"]+"(?: and "[^"]+")*)?')
_CITED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def files() -> list[Path]:
    """Every text of ours that may point at documentation, this module apart."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    return sorted(
        path
        for path in found
        if (path.suffix in SUFFIXES or path.name == "Makefile")
        and not path.stem.endswith(("_pb2", "_pb2_grpc"))
        and path != Path(__file__)
    )


def pages() -> list[Path]:
    """Every page of documentation."""
    return [path for path in files() if path.suffix == ".md"]


def name_of(path: Path) -> str:
    """The path from the root: what a failure should say."""
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """A page without its fenced blocks, in which nothing is a heading or a link."""
    return _FENCE.sub("", path.read_text("utf-8"))


@lru_cache(maxsize=256)
def headings(path: Path) -> tuple[str, ...]:
    """The headings of a page as they read, without the marks of code."""
    return tuple(text.replace("`", "").strip() for _, text in _HEADING.findall(prose(path)))


def anchor(heading: str) -> str:
    """The fragment under which a heading is found on the web."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def references(text: str) -> Iterator[tuple[str, list[str]]]:
    """(page, headings named) of every reference in a source file, also across wrapped lines."""
    flat = re.sub(r"\s*\n\s*(?:#|//)?\s*", " ", text)
    for page, named in _REFERENCE.findall(flat):
        yield page, re.findall(r'"([^"]+)"', named)


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_every_page_and_heading_that_is_named_is_there(path: Path) -> None:
    """A module that leaves the reason to a page must not leave it to nobody."""
    for page, named in references(path.read_text("utf-8")):
        assert (ROOT / page).is_file(), page
        for heading in named:
            assert heading in headings(ROOT / page), f'{page} has no heading "{heading}"'


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    """A reader follows links in the order of doubt."""
    for link in _LINK.findall(prose(path)):
        if "://" in link:
            continue
        target, _, fragment = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        if fragment:
            assert fragment in {anchor(heading) for heading in headings(file)}, link


@lru_cache(maxsize=256)
def functions_of(path: Path) -> frozenset[str]:
    """The names of the tests in a module."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions))


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_every_test_that_is_cited_exists(path: Path) -> None:
    """A promise whose test was renamed away is a promise without a test."""
    for module, name in _CITED_TEST.findall(path.read_text("utf-8")):
        assert (ROOT / module).is_file(), module
        assert name in functions_of(ROOT / module), f"{module} has no {name}"


def test_a_pointer_at_nothing_is_noticed() -> None:
    """A check that sees nothing would pass for ever."""
    wrapped = '# docs/FEED.md, "Restore,\n# clone, fork" and "Entry". docs/SYNC.md has more.'
    assert list(references(wrapped)) == [
        ("docs/FEED.md", ["Restore, clone, fork", "Entry"]),
        ("docs/SYNC.md", []),
    ]
    assert anchor("What happens when …") == "what-happens-when-"
    assert anchor("`seen`".replace("`", "")) == "seen"
    cited = _CITED_TEST.findall("`tests/unit/test_x.py::test_y`")
    assert cited == [("tests/unit/test_x.py", "test_y")]
