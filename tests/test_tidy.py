"""The rules of the house that no linter holds."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from huying.common import limits
from huying.common.errors import ADVICE, Code

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "common/huying/common"
WIRE = ROOT / "common/huying/wire"

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 80

# Time, chance and threads reach the core through its ports alone, or a seed would not repeat a run.
WORLDLY_MODULES = {
    "_thread", "asyncio", "concurrent", "multiprocessing", "os", "pathlib", "queue", "random",
    "sched", "secrets", "select", "signal", "socket", "sqlite3", "subprocess", "tempfile",
    "threading", "time",
}  # fmt: skip
WORLDLY_ATTRIBUTES = {"generate", "now", "today", "urandom", "utcnow", "uuid1", "uuid4"}
WORLDLY_FUNCTIONS = {"input", "open", "print"}
PORTS = {"clock", "_clock", "entropy", "_entropy"}


def product_modules() -> list[Path]:
    """Every module that people wrote, tests apart."""
    found = [path for top in ("common", "node", "hub") for path in (ROOT / top).rglob("*.py")]
    return sorted(path for path in found if not path.is_relative_to(WIRE))


def core_modules() -> list[Path]:
    """The modules of the sans-I/O core."""
    return sorted(CORE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The path from the root: what a failure should say."""
    return str(path.relative_to(ROOT))


def worldly(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a module reaches for time, chance, threads or files: (line, what)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in WORLDLY_MODULES:
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.module is not None and node.module.partition(".")[0] in WORLDLY_MODULES:
                yield node.lineno, node.module
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in WORLDLY_FUNCTIONS:
                yield node.lineno, called.id
            elif isinstance(called, ast.Attribute) and called.attr in WORLDLY_ATTRIBUTES:
                owner = called.value
                owner_name = getattr(owner, "attr", getattr(owner, "id", ""))
                if owner_name not in PORTS:
                    yield node.lineno, ast.unparse(called)


@pytest.mark.parametrize("path", core_modules(), ids=name_of)
def test_core_reaches_for_no_clock_chance_thread_or_file(path: Path) -> None:
    """The simulator and production run the same core: what it did must follow from its inputs."""
    tree = ast.parse(path.read_text("utf-8"))
    assert list(worldly(tree)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import random",
        "import datetime\ndatetime.datetime.now()",
        "import uuid\nuuid.uuid4()",
        "Ed25519PrivateKey.generate()",
        "open('x')",
        "import concurrent.futures",
    ],
)
def test_worldly_code_is_noticed(source: str) -> None:
    """A check that sees nothing would pass for ever."""
    assert list(worldly(ast.parse(source)))
    assert not list(worldly(ast.parse("self._clock.now()\nclock.now()\n")))


@pytest.mark.parametrize("path", product_modules(), ids=name_of)
def test_module_is_one_idea(path: Path) -> None:
    """A module that grew past the limit asks to be two; so does a function."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= MODULE_LINES_MAX
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    too_long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert too_long == []


@pytest.mark.parametrize("path", product_modules(), ids=name_of)
def test_module_says_what_it_is_for(path: Path) -> None:
    """A reader finds the room from the name, and its purpose on the door."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "folder", ["common/huying", "common/huying/wire", "node/huying", "hub/huying"]
)
def test_namespace_package_has_no_init(folder: str) -> None:
    """One `__init__.py` here would hide the two other parts of the namespace (PEP 420)."""
    assert (ROOT / folder).is_dir()
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize(
    "path",
    [path for path in core_modules() if path.name not in ("__init__.py", "limits.py")],
    ids=name_of,
)
def test_all_names_what_the_core_module_offers(path: Path) -> None:
    """`__all__` is the module's contract; ruff keeps it sorted, this keeps it true."""
    parts = path.relative_to(CORE.parent.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts))
    offered = set(module.__all__)
    assert len(offered) == len(module.__all__)
    assert {name for name in offered if not hasattr(module, name)} == set()
    defined = {
        node.name
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    assert defined - offered == set()


@pytest.fixture(scope="module")
def tracked_texts(require: Callable[[str], str]) -> dict[str, str]:
    """Every text file that git holds, this one apart, by path."""
    listing = subprocess.run(
        [require("git"), "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout.decode("utf-8")
    texts = {}
    for name in filter(None, listing.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or not path.is_file():
            continue
        try:
            texts[name] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    assert texts
    return texts


# The bracket keeps each pattern from finding itself in other checks of this kind.
@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<![\w.])/work/",
        r"(?<![\w.])/tmp/w(?=[/\s\"'`]|$)",
        r"(?<![\w.])/home/",
        r"(?<![\w.])/root/",
        r"\.\./shared\b",
        r"\bpypi\.org\b",
        r"\bpythonhosted\.org\b",
        r"\bnpmjs\.org\b",
        r"\bdeb\.debian\.org\b",
        r"\bproxy\.golang\.org\b",
        r"--(extra-)?index-url|--find-links",
    ],
)
def test_repository_speaks_of_no_machine_and_no_registry(
    pattern: str, tracked_texts: dict[str, str]
) -> None:
    """A path or a registry of one machine in the repository fails on every other machine."""
    hits = [
        f"{name}:{number}"
        for name, text in tracked_texts.items()
        for number, line in enumerate(text.split("\n"), 1)
        if re.search(pattern, line)
    ]
    assert hits == []


def test_nothing_is_left_for_later(tracked_texts: dict[str, str]) -> None:
    """What is not done is not in the code; a plan belongs where plans are kept."""
    # In capitals and as a word of its own, as people write it; lock files are hashes.
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b")
    hits = [
        f"{name}:{number}"
        for name, text in tracked_texts.items()
        if not name.startswith(("requirements", "tests/data/", "LICENSE"))
        for number, line in enumerate(text.split("\n"), 1)
        if pattern.search(line)
    ]
    assert hits == []


def test_every_line_that_is_logged_has_its_words() -> None:
    """An event without words ends the node at the very moment that it has something to say."""
    from huying.node.logs import MESSAGES

    said = {
        name
        for root in ("node", "hub")
        for path in (ROOT / root).rglob("*.py")
        for name in re.findall(r"logs\.say\(\s*\"([a-z_]+)\"", path.read_text(encoding="utf-8"))
    }
    assert said
    assert said <= set(MESSAGES)


def test_every_code_says_what_to_do_in_both_languages() -> None:
    """An operator reads Chinese, a developer English; neither should meet a bare number."""
    assert set(ADVICE) == set(Code)
    statuses = {status.name for status in grpc.StatusCode}
    for code, advice in ADVICE.items():
        assert re.search(r"[\u4e00-\u9fff]", advice.zh), code
        assert advice.en, code
        assert advice.en.isascii(), code
        assert advice.grpc_status in statuses - {"OK"}, code
        assert 1 <= advice.exit_code < 126, code  # the shell takes the rest


def limit_items() -> list[tuple[str, float]]:
    """The public names of the limits module that hold a number."""
    return [
        (name, value)
        for name, value in vars(limits).items()
        if name.isupper() and isinstance(value, int | float)
    ]


# How far a limit reaches, which follows the unit: WANT_RETRY_SECONDS_MAX.
QUALIFIERS = {"DEFAULT", "IN", "FLIGHT", "MAX", "MIN", "MISSED", "WARN"}
# KIB and MIB are units; a jitter is a ratio; a size counts entries, as in RFC 6962; an epoch is a
# number of its own kind; children need no S.
UNITS_BY_CUSTOM = {"CHILDREN", "EPOCH", "INTEGER", "JITTER", "KIB", "MIB", "QUEUE", "SIZE"}


@pytest.mark.parametrize(("name", "value"), limit_items())
def test_limit_says_its_unit_and_is_positive(name: str, value: float) -> None:
    """A number without a unit is read wrongly once; the unit, or what is counted, ends the name."""
    words = [word for word in name.split("_") if word not in QUALIFIERS]
    assert words[-1].endswith("S") or words[-1] in UNITS_BY_CUSTOM
    assert value > 0
    if name.endswith("_MAX"):
        least = getattr(limits, name.removesuffix("_MAX") + "_MIN", 0)
        assert least <= value


def test_every_ignored_lint_has_its_reason() -> None:
    """A rule that is switched off without a word is switched off for ever."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    section = text[text.index("\nignore = [") : text.index("[tool.ruff.lint.flake8-type-checking]")]
    unexplained = [
        line
        for line in section.split("\n")
        if re.match(r'\s*"[A-Z]+\d*"', line) and "#" not in line
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-test.txt"])
def test_lock_agrees_with_the_lock_for_development(name: str) -> None:
    """Tests and demo run on the versions that were linted and typed."""

    def pins(file: str) -> dict[str, str]:
        found = re.findall(r"(?m)^([a-z0-9._-]+)==([^ ;]+)", (ROOT / file).read_text("utf-8"))
        return dict(found)

    everything = pins("requirements-dev.txt")
    assert pins(name).items() <= everything.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[^a-z0-9._-]", line)[0] for line in project["dependencies"]}
    assert wanted <= set(pins(name))
