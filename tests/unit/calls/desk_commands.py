"""What a town types to raise a call or to draft one, and what is asked of a call all the time."""

from __future__ import annotations

from tests.support.commands import Run
from tests.support.tiny_network import COUNTY, VILLAGE

__all__ = ["DRAFT", "RAISE", "kinds", "stage"]

RAISE = ("raise", "--category", "道路", "--title", "村口积水", "--village", VILLAGE, "--json")
DRAFT = ("draft", "--category", "道路", "--title", "桥栏破损", "--village", VILLAGE, "--json")


def stage(desk: Run, call: str, code: str = COUNTY) -> str:
    found: str = desk(code, "show", call, "--json").json["stage"]
    return found


def kinds(desk: Run, call: str, code: str = COUNTY) -> list[str]:
    return [step["step"] for step in desk(code, "show", call, "--json").json["steps"]]
