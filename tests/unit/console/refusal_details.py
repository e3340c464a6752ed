"""Every detail of a refusal that can reach a page, read from the program's own text.

A detail is what is handed to `HuyingError` or to one of the functions that make one. Its
placeholders are filled with `FILLED`, or, where a placeholder is itself a sentence, with those of
`SENTENCES`. A detail that is no text of its own stands in `PASSED_ON`, which says why.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.places import ROOT

__all__ = ["FILLED", "Detail", "details", "reaching"]

FILLED: Final = "7"
# What pages run themselves, what they ask the node for, and what of the core that calls.
_FROM: Final = (
    *("node/huying/node/web", "hub/huying/hub/web", "node/huying/node/store"),
    *("node/huying/node/api", "node/huying/node/media", "common/huying/common/calls"),
    *(f"node/huying/node/desk/{name}.py" for name in ("__init__", "events", "hotline")),
    *("node/huying/node/desk/provisions.py", "node/huying/node/events/event_ends.py"),
    *(f"hub/huying/hub/desk/{name}.py" for name in ("duty", "hotline", "measures", "order_plan")),
    *(f"node/huying/node/admin/{name}.py" for name in ("__init__", "figures")),
    *("hub/huying/hub/sequencer.py", "hub/huying/hub/hotline_mapping.py"),
    "node/huying/node/runtime.py",
    *(
        f"common/huying/common/{name}.py"
        for name in (
            *("appends", "codes", "integrity/quarantine", "membership/trust", "months", "orders"),
            *("own_feed", "provisions/asker", "provisions/home", "provisions/places"),
            *("provisions/terms", "records/desk_field_rules", "records/evidence_field_rules"),
            *("records/evidence_parts",),
            *("records/field_checks", "records/record_rules", "records/registry", "writer"),
        )
    ),
)
# Read before the console serves a page, or by commands alone.
_NOT_SHOWN: Final = (
    *("web/certificate.py", "web/launcher.py", "api/server.py", "store/bundle_ledger.py"),
)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
# Functions that make a refusal, and which of their arguments is its detail.
_MAKERS: Final = {"HuyingError": (1,), "Refusal": (1,), "OutOfScopeError": (1,), "_refused": (0,)}
# Modules whose functions return what is wrong, and what such a function's name holds.
_SAYING: Final = {"call_needs.py": "", "call_rules.py": "_wrong_department"}
_WRONG_STAGE: Final = (
    "not allowed while the call is HANDLING; allowed now: centre: note, urge; department: nothing; "
    "caller: withdraw"
)
# Placeholders that are sentences, or a word out of a few: (module, source) -> what it may be.
SENTENCES: Final[dict[tuple[str, str], Sequence[str]]] = {
    ("call_judge.py", "wrong_stage(state)"): (_WRONG_STAGE,),
    ("call_rules.py", "wrong_stage(state)"): (_WRONG_STAGE,),
    ("call_rules.py", "field"): ("answer.department",),
    ("call_needs.py", "', '.join(known)"): ("CARD_COLOUR_YELLOW, CARD_COLOUR_RED",),
    ("call_judge.py", "_IN_VAIN[reason]"): (
        "its window is closed",
        "as often as the call's terms allow, already",
    ),
    ("calls.py", "_told(*moved[-1])"): ("accept by 水务局 p-07 at 2026-10-08T01:12:03Z (step 4)",),
    ("calls.py", "error.detail"): (f"accept: {_WRONG_STAGE}",),
    ("calls.py", "allowed or 'nothing more'"): (
        "the centre of 370830000000: note; its department 水务局: answer; the caller 7: urge",
        "nothing more",
    ),
    ("own_feed.py", "where + error.detail"): ("draft 3: name: missing; it is required",),
    ("account_rows.py", "field"): ("login", "actor", "subject"),
    ("codes.py", "field"): ("area", "handler"),
    ("people.py", "field"): ("name", "department", "actor"),
    ("provisions.py", "what"): ("decide", "read the answer to"),
    ("orders.py", "step.value"): ("take", "settle", "return"),
    ("asker.py", "said.get(stage, 'the home has not decided yet')"): (
        "the home denied it; disclosure show has the reason",
        "the home has withdrawn it",
        "its time is over; ask again",
        "the home has not decided yet",
    ),
    ("writer.py", "error.detail"): ("`to` names a selector twice",),
    ("call_raising.py", "said"): ("was approved", "was refused"),
    ("hotline_mapping.py", "suggestion(key, known)"): ("; is it 'dates'?", "; there are a, b"),
    ("hotline_mapping.py", "detail"): ("a division code has 12 digits",),
    ("forms.py", "error.detail"): ("Too many files. Maximum number of files is 8.",),
}


class Detail(NamedTuple):
    """One text, and where it is made."""

    module: str
    line: int
    text: str


def reaching() -> list[Path]:
    """The modules whose refusals a page may show."""
    found: list[Path] = []
    for name in _FROM:
        path = ROOT / name
        assert path.exists(), f"{name} has moved"
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in found if not path.as_posix().endswith(_NOT_SHOWN)]


@cache
def details() -> tuple[list[Detail], list[Detail]]:
    """All of them, and the sources of those that are no text of their own."""
    texts: list[Detail] = []
    unread: list[Detail] = []
    for path in reaching():
        tree = ast.parse(path.read_text("utf-8"))
        meanings = _meanings(tree)
        for node in (*_refusals(tree), *_returns(tree, path.name)):
            read = list(_read(node, path.name, meanings))
            texts += [Detail(path.name, node.lineno, text) for text in read]
            if not read:
                unread.append(Detail(path.name, node.lineno, ast.unparse(node)))
    return texts, unread


def _refusals(tree: ast.Module) -> Iterator[ast.expr]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            yield from _detail_of(call)


def _returns(tree: ast.Module, module: str) -> Iterator[ast.expr]:
    """What the functions of `_SAYING` say is wrong, for others to refuse with."""
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or module not in _SAYING:
            continue
        if ast.unparse(function.returns or ast.Constant("")) != "str" or (
            _SAYING[module] not in function.name
        ):
            continue
        begin = "answer: " if function.name.startswith(("may_", "has_")) else ""
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                for one in _branches(node.value):
                    if ast.unparse(one) != "''" and not isinstance(one, ast.Call):
                        yield _joined(ast.Constant(begin), one)


def _branches(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.IfExp):
        yield from _branches(node.body)
        yield from _branches(node.orelse)
    else:
        yield node


def _joined(*parts: ast.expr) -> ast.expr:
    """The texts one behind the other."""
    values = [v for one in parts for v in (one.values if isinstance(one, ast.JoinedStr) else [one])]
    texts: list[ast.expr] = [
        one if isinstance(one, ast.Constant | ast.FormattedValue) else ast.FormattedValue(one, -1)
        for one in values
    ]
    return ast.copy_location(ast.JoinedStr(texts), parts[-1])


def _meanings(tree: ast.Module) -> dict[int, ast.expr]:
    """What each use of a name stands for: by the module's constants, or the text put in it last."""
    found: dict[int, ast.expr] = {}
    for within in (tree, *(node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS))):
        body = tree.body if within is tree else ast.walk(within)
        given: list[tuple[str, int, ast.expr]] = []
        for node in body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) else target
            if isinstance(target, ast.Name) and node.value is not None:  # type: ignore[attr-defined]
                given.append((target.id, node.lineno, node.value))  # type: ignore[attr-defined]
        for node in ast.walk(within):
            if isinstance(node, ast.Name):
                values = [v for name, line, v in given if name == node.id and line < node.lineno]
                if values:
                    found[id(node)] = values[-1]
    return found


def _detail_of(call: ast.Call) -> Iterator[ast.expr]:
    function = call.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if name == "refuse" and len(call.args) == 2:  # field, why
        yield _joined(call.args[0], ast.Constant(": "), call.args[1])
    if name == "_error" and len(call.args) == 3:  # of a mapping file
        for begin in ("dates.timezone: ", "--mapping: own.toml line 7: dates.timezone: "):
            yield _joined(ast.Constant(begin), call.args[2])
    for at in _MAKERS.get(name, ()):
        if len(call.args) > at:
            yield call.args[at]


def _read(node: ast.expr, module: str, meanings: dict[int, ast.expr]) -> Iterator[str]:
    """The texts that an expression may be; none where it is no text."""
    given = SENTENCES.get((module, ast.unparse(node)))
    if given is not None:
        yield from given
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _read(node.body, module, meanings)
        yield from _read(node.orelse, module, meanings)
    elif id(node) in meanings:
        yield from _read(meanings[id(node)], module, meanings)
    elif isinstance(node, ast.JoinedStr):
        parts = [_part(value, module, meanings) for value in node.values]
        yield from map("".join, itertools.product(*parts))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = (list(_read(one, module, meanings)) for one in (node.left, node.right))
        yield from map("".join, itertools.product(left, right))


def _part(node: ast.expr, module: str, meanings: dict[int, ast.expr]) -> list[str]:
    if not isinstance(node, ast.FormattedValue):
        return list(_read(node, module, meanings))
    if (module, ast.unparse(node.value)) in SENTENCES:
        return list(SENTENCES[module, ast.unparse(node.value)])
    if isinstance(node.value, ast.IfExp | ast.Name):
        return list(_read(node.value, module, meanings)) or [FILLED]
    return [FILLED]
