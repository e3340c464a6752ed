"""The disclosure rule, said a second time.

Written from the rule's text, over a tree given as a plain table of parents, and sharing nothing
with `huying.common.disclosure`: where the two disagree, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Tree = Mapping[str, str | None]  # code -> parent
Levels = Mapping[str, int]  # code -> 1 province … 5 village


def above(tree: Tree, code: str) -> list[str]:
    """Every ancestor, nearest first."""
    found = []
    upper = tree[code]
    while upper is not None:
        found.append(upper)
        upper = tree[upper]
    return found


def between(tree: Tree, top: str, bottom: str) -> list[str]:
    """The nodes strictly between an ancestor and one of its descendants."""
    line = above(tree, bottom)
    return line[: line.index(top)] if top in line else []


def addressed(tree: Tree, origin: str, to: Sequence[str]) -> set[str]:
    """Everybody whom `to` selects, and everybody on the way to them."""
    found: set[str] = set()
    for selector in to:
        target = selector[1:] if selector.startswith("=") else selector[:-2]
        found.update(between(tree, origin, target))
        if target != origin:
            found.add(target)
        if selector.endswith("/*"):
            found.update(code for code in tree if target in above(tree, code))
    return found


def readers(
    tree: Tree, levels: Levels, origin: str, slots: bytes, to: Sequence[str]
) -> dict[str, bytes]:
    """For every node, the slots of an entry that it may read, the head's included, ascending."""
    chosen = addressed(tree, origin, to)
    result: dict[str, bytes] = {}
    for code in tree:
        upward = code in above(tree, origin)
        bodies = bytes(
            slot
            for slot in slots[1:]
            if code == origin
            or (upward and levels[code] >= slot % 8)
            or (slot >= 128 and code in chosen)
        )
        in_reach = code == origin or code in chosen or (upward and bool(bodies))
        result[code] = slots[:1] + bodies if in_reach else b""
    return result
