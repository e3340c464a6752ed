"""The disclosure rule: who may read a compartment, and who counts an entry.

One rule serves every path (live, catch-up, relay, late answers). For reader P and a compartment of
an entry from origin O, P may read it when

- P is O; or
- P is an ancestor of O whose level number is at least the slot's; or
- the slot is addressed, and `to` selects P, or P lies on the path from O to a node selected.

The *reach* of an entry is the set of nodes that may read its head. It is closed along the tree:
whoever lies between the origin and a reader may read too, so a relay never carries blindly what it
must filter. The reach without the origin is cut into *classes*, each of which has its own running
number in the feed (`seen` in the head); a reader falls in exactly one class of an entry and must
see no gap in it. That is how withholding becomes visible. docs/FEED.md, "Reach" and "seen".

Everything here is a pure function of codes, slots and selectors, and is cached, since a feed of
many entries has few distinct (slots, to) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from huying.common.codes import ancestors, is_within, level, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import ADDRESSED, HEAD_SLOT, slot_level
from huying.common.limits import CLASSES_MAX, SELECTORS_MAX

__all__ = ["View", "check_selectors", "classes", "in_reach", "may_read", "view"]


@lru_cache(maxsize=4096)
def check_selectors(origin: str, to: tuple[str, ...]) -> None:
    """Refuse selectors that `origin` (a division code) may not use.

    At most four; each "=CODE" or "CODE/*" with CODE strictly below the origin, or the origin's own
    region "ORIGIN/*". Raises HuyingError(BAD_HEAD).
    """
    if len(to) > SELECTORS_MAX:
        raise HuyingError(Code.BAD_HEAD, f"`to` has {len(to)} selectors, {SELECTORS_MAX} at most")
    if len(set(to)) != len(to):
        raise HuyingError(Code.BAD_HEAD, "`to` names a selector twice")
    for selector in to:
        code, whole = _parse_selector(selector)
        if code != origin and not is_within(code, origin):
            raise HuyingError(Code.BAD_HEAD, f"`to` names {code}, which is not below {origin}")
        if code == origin and not whole:
            raise HuyingError(Code.BAD_HEAD, f"`to` names the origin {origin} itself")


def _parse_selector(selector: str) -> tuple[str, bool]:
    """(code, True for the subtree). Raises HuyingError(BAD_HEAD)."""
    if selector.startswith("="):
        code, whole = selector[1:], False
    elif selector.endswith("/*"):
        code, whole = selector[:-2], True
    else:
        raise HuyingError(Code.BAD_HEAD, "a selector is =CODE or CODE/*")
    try:
        return parse_code(code), whole
    except HuyingError:
        raise HuyingError(Code.BAD_HEAD, "a selector's code is not a division code") from None


def _selects(selector: str, code: str) -> bool:
    """Whether the selector names the node `code`."""
    target, whole = _parse_selector(selector)
    return is_within(code, target) if whole else code == target


def _on_path(selector: str, origin: str, code: str) -> bool:
    """Whether `code` lies strictly between the origin and what the selector names."""
    target, _ = _parse_selector(selector)
    return code not in (origin, target) and is_within(code, origin) and is_within(target, code)


def may_read(reader: str, origin: str, slot: int, to: tuple[str, ...]) -> bool:
    """The rule for every slot but the head's, whose readers are `in_reach`.

    `reader` and `origin` are division codes.
    """
    assert slot != HEAD_SLOT
    if reader == origin:
        return True
    if reader in ancestors(origin):
        return level(reader) >= slot_level(slot)
    if not slot & ADDRESSED:
        return False
    return any(_selects(s, reader) or _on_path(s, origin, reader) for s in to)


def in_reach(reader: str, origin: str, slots: bytes, to: tuple[str, ...]) -> bool:
    """Whether `reader` may read the head of an entry with these slots."""
    if reader == origin:
        return True
    if reader in ancestors(origin):
        return any(level(reader) >= slot_level(slot) for slot in slots if slot != HEAD_SLOT)
    return any(_selects(s, reader) or _on_path(s, origin, reader) for s in to)


@lru_cache(maxsize=16384)
def classes(origin: str, slots: bytes, to: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of an entry's readers, in the order of `seen`.

    S are the maximal subtree selectors; N the ancestors in the reach, the nodes on the way to a
    selector and the single nodes selected, less what lies inside S. Sorted N, then sorted S.
    Raises HuyingError(BAD_HEAD) for selectors that the origin may not use.
    """
    check_selectors(origin, to)
    parsed = [_parse_selector(selector) for selector in to]
    regions = {code for code, whole in parsed if whole}
    maximal = {
        code
        for code in regions
        if not any(other != code and is_within(code, other) for other in regions)
    }
    nodes = {code for code in ancestors(origin) if in_reach(code, origin, slots, to)}
    for code, whole in parsed:
        if not whole:
            nodes.add(code)
        nodes.update(
            between
            for between in ancestors(code)
            if between != origin and is_within(between, origin)
        )
    outside = {code for code in nodes if not any(is_within(code, region) for region in maximal)}
    names = (*sorted(outside), *sorted(f"{code}/*" for code in maximal))
    if len(names) > CLASSES_MAX:
        raise HuyingError(Code.BAD_HEAD, f"{len(names)} classes of readers, {CLASSES_MAX} at most")
    return names


@dataclass(frozen=True, slots=True)
class View:
    """What one reader may see of the entries of one origin with the same slots and `to`."""

    readable: bytes  # slots, ascending, the head's first; empty: the entry is withheld whole
    classes: tuple[str, ...]
    class_position: int  # of the reader's class, -1 for the origin itself and outside the reach

    @property
    def class_name(self) -> str:
        """The class that the reader falls in, or empty."""
        return self.classes[self.class_position] if self.class_position >= 0 else ""


@lru_cache(maxsize=65536)
def view(reader: str, origin: str, slots: bytes, to: tuple[str, ...]) -> View:
    """The rule for a whole entry. Raises HuyingError(BAD_HEAD) as `classes` does."""
    names = classes(origin, slots, to)
    if not in_reach(reader, origin, slots, to):
        return View(b"", names, -1)
    readable = bytes(
        slot for slot in slots if slot == HEAD_SLOT or may_read(reader, origin, slot, to)
    )
    position = -1
    if reader != origin:
        position = next(
            i
            for i, name in enumerate(names)
            if name == reader or (name.endswith("/*") and is_within(reader, name[:-2]))
        )
    return View(readable, names, position)
