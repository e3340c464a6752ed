"""What the documentation states as a fact of the code, held beside the code."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from huying.common import limits
from huying.common.errors import ADVICE, Code
from huying.hub import cli
from tests.support.places import ROOT

DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_UNITS = {"KiB": 1024, "MiB": 1024**2, "s": 1}


# --- limits ----------------------------------------------------------------------------------


def rows(path: Path, header: str) -> Iterator[list[str]]:
    """The cells of every row of the page's tables whose header begins with these columns."""
    within = False
    for line in path.read_text("utf-8").split("\n"):
        if not line.startswith("|"):
            within = False
        elif within and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]
        within = within or line.startswith(header)


def number(text: str) -> float:
    """The value of `16 KiB`, `1,024`, `0.5 s`, `2^48` or `2^31 − 1`."""
    value, _, unit = text.partition(" ")
    if power := re.fullmatch(r"2\^(\d+)( − 1)?", text):
        return 2 ** int(power[1]) - (1 if power[2] else 0)
    return float(value.replace(",", "")) * _UNITS.get(unit, 1 if not unit else float("nan"))


def stated_limits() -> dict[str, tuple[str, float]]:
    """Name of a constant -> (page, value) of every row that names one."""
    found: dict[str, tuple[str, float]] = {}
    for path in sorted(DOCS.glob("*.md")):
        for cells in rows(path, "| constant | value |"):
            found[cells[0].strip("`")] = (path.name, number(cells[1]))
    return found


def constant(name: str) -> Any:
    """The constant of that name, in the limits or in the module of the core that is named."""
    module, _, attribute = name.rpartition(".")
    holder = importlib.import_module(f"huying.common.{module}") if module else limits
    return getattr(holder, attribute)


@pytest.mark.parametrize("name", sorted(stated_limits()))
def test_a_limit_that_is_stated_is_the_codes(name: str) -> None:
    """An implementer sizes buffers by these numbers."""
    page, value = stated_limits()[name]
    assert constant(name) == value, page


def test_every_limit_is_stated_somewhere() -> None:
    """A limit that nobody can look up is a surprise."""
    names = {name for name in vars(limits) if name.isupper()} - {"KIB", "MIB"}
    assert sorted(names - set(stated_limits())) == []


# --- codes -----------------------------------------------------------------------------------


def test_the_refusals_that_are_listed_are_those_of_the_wire() -> None:
    """A second implementation takes the numbers from this table."""
    listed = {
        int(cells[0]): cells[1].strip("`") for cells in rows(DOCS / "SYNC.md", "| no. | code |")
    }
    assert listed == {int(code): code.name for code in Code if code < 40}


def test_the_exit_codes_that_are_listed_are_those_in_use() -> None:
    """Supervisors and scripts branch on them."""
    listed = {int(cells[0]) for cells in rows(DOCS / "OPERATIONS.md", "| exit code |")}
    assert listed == {0, *(advice.exit_code for advice in ADVICE.values())}


# --- modules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("design", "package"),
    [
        ("common/DESIGN.md", "common/huying/common"),
        ("node/DESIGN.md", "node/huying/node"),
        ("hub/DESIGN.md", "hub/huying/hub"),
    ],
)
def test_the_table_of_modules_is_whole(design: str, package: str) -> None:
    """A newcomer looks for the room in this table, and must find every one and no ghost."""
    folder = ROOT / package
    there = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if path.name != "__init__.py" and "migrations" not in path.parts
    }
    listed = {
        name
        for cells in rows(ROOT / design, "| module |")
        for name in re.findall(r"`([\w.]+)`", cells[0])
    }
    assert listed == there


# --- commands --------------------------------------------------------------------------------


def shown_commands(path: Path) -> list[list[str]]:
    """Every command line of a page's blocks, without comments, split into words."""
    found = []
    for language, block in _BLOCK.findall(path.read_text("utf-8")):
        if language not in ("", "sh"):
            continue
        found += [
            shlex.split(line, comments=True)
            for line in block.replace("\\\n", " ").split("\n")
            if line.startswith(("make ", "huying "))
        ]
    return found


def application() -> Any:
    """The console command, as typer hands it to whichever click it carries."""
    return typer.main.get_command(cli.app())


def options(command: Any) -> dict[str, bool]:
    """Every spelling of every option of a command -> whether a value follows it."""
    return {
        name: not option.is_flag
        for option in command.params
        if option.param_type_name == "option"
        for name in (*option.opts, *option.secondary_opts)
    }


def split_words(command: Any, words: list[str]) -> tuple[list[str], list[str]]:
    """The words that are arguments, and for a group what follows its options."""
    known = options(command)
    plain: list[str] = []
    rest = list(words)
    while rest:
        if hasattr(command, "commands") and not rest[0].startswith("-"):
            break
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            plain.append(word)
        elif command.name not in ("demo", "bench"):  # these two read their options themselves
            assert word in known, f"{command.name} has no {word}"
            if known[word]:
                rest.pop(0)
    return plain, rest


def check_huying(words: list[str]) -> None:
    """Let a command line pass whose commands, options and count of arguments exist."""
    command = application()
    plain, rest = split_words(command, words)
    while hasattr(command, "commands"):
        assert rest, f"{command.name} needs a command"
        assert rest[0] in command.commands, f"{command.name} has no command {rest[0]}"
        command = command.commands[rest[0]]
        plain, rest = split_words(command, rest[1:])
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    needed = sum(one.required for one in arguments)
    assert needed <= len(plain) <= len(arguments), f"{command.name}: arguments {plain}"


@pytest.mark.parametrize(
    "path", [*READMES, DOCS / "OPERATIONS.md"], ids=lambda path: str(path.name)
)
def test_every_command_that_is_shown_exists(path: Path) -> None:
    """The first thing that a stranger copies must work."""
    commands = shown_commands(path)
    assert commands
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for words in commands:
        if words[0] == "make":
            assert words[1] in targets, words
        else:
            check_huying(words[1:])


def test_the_table_of_commands_is_whole() -> None:
    """An operator takes the table for all there is."""
    listed = {
        name.removeprefix("huying ")
        for cells in rows(DOCS / "OPERATIONS.md", "| command |")
        for name in re.findall(r"`(huying [a-z -]+)`", cells[0])
    }
    there = set()
    for name, command in application().commands.items():
        if hasattr(command, "commands"):
            there |= {f"{name} {inner}" for inner in command.commands}
        else:
            there.add(name)
    assert listed == there


# --- the two READMEs -------------------------------------------------------------------------


def outline(path: Path) -> list[str]:
    """The levels of the headings, in order."""
    text = _BLOCK.sub("", path.read_text("utf-8"))
    return re.findall(r"^(#{1,6}) ", text, re.MULTILINE)


def test_the_readmes_are_in_step() -> None:
    """Whoever reads one language is promised and shown the same as who reads the other."""
    english, chinese = READMES
    assert outline(english) == outline(chinese)
    assert shown_commands(english) == shown_commands(chinese)
    marks = re.compile(r"<!-- [\w /:-]+ -->")
    assert marks.findall(english.read_text("utf-8")) == marks.findall(chinese.read_text("utf-8"))
    cited = re.compile(r"`(tests/[\w/]+\.py)(?:::\w+)?`")
    assert cited.findall(english.read_text("utf-8")) == cited.findall(chinese.read_text("utf-8"))
    linked = re.compile(r"\]\((docs/[\w./#-]+)\)")
    pages = [set(linked.findall(path.read_text("utf-8"))) for path in READMES]
    assert pages[0] ^ pages[1] <= {"docs/runbook"}  # the Chinese one names it as written in Chinese


# --- the glossary ----------------------------------------------------------------------------


def test_the_glossary_has_each_term_once() -> None:
    """A term with two rows has two meanings, or two words in Chinese, and nobody knows which."""
    rows = re.findall(r"^\| ([^|]+) \|", (DOCS / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
    terms = [row for row in rows if row not in {"---", "中文", "English"}]
    assert sorted(terms) == sorted(set(terms))
