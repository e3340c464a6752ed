"""The templates that come with the program, and which of them this node answers."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Final

from huying.common.census.template import Template, parse_template
from huying.common.errors import Code, HuyingError
from huying.node.settings import ALL_TEMPLATES, NO_TEMPLATES, AskSection

__all__ = ["answered_names", "shipped", "template"]

_ENDING: Final = ".toml"


@lru_cache(maxsize=1)
def shipped() -> dict[str, Template]:
    """Every reviewed template, by name. Two never count the same thing of one universe.

    By two such cuts a reader could tell more than either tells, so a program that ships them
    answers none. Raises HuyingError(INVALID_ARGUMENT) for a template that is none.
    """
    folder = resources.files("huying.node") / "templates"
    found: dict[str, Template] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(_ENDING):
            made = parse_template(file.read_text(encoding="utf-8"))
            assert file.name == made.name + _ENDING, "a template's file has its name"
            found[made.name] = made
    counted = [(made.universe, made.counts) for made in found.values()]
    assert len(set(counted)) == len(counted), "two templates count the same thing"
    return found


def template(name: str) -> Template:
    """One template. Raises HuyingError(INVALID_ARGUMENT), naming those there are."""
    made = shipped().get(name)
    if made is None:
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"TEMPLATE: no such template; one of {', '.join(shipped())}"
        )
    return made


def answered_names(section: AskSection) -> frozenset[str]:
    """The templates that a node with these settings answers."""
    if section.answers == ALL_TEMPLATES:
        return frozenset(shipped())
    if section.answers == NO_TEMPLATES:
        return frozenset()
    return frozenset(section.answers.split(",")) & frozenset(shipped())
