"""What of this node a person may see: the one place that decides it.

A person is bound to an area (a town, a village, a grid; empty: all that the node holds) and, with
no other role than a department's, to the calls of that department. What lies beyond is refused as
NOT_FOUND, so that the refusal tells nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from huying.common.codes import Level, level
from huying.common.errors import Code, HuyingError
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role

__all__ = ["OutOfScopeError", "Scope", "covers"]

_DIGITS: Final = {
    Level.PROVINCE: 2,
    Level.PREFECTURE: 4,
    Level.COUNTY: 6,
    Level.TOWN: 9,
    Level.VILLAGE: 12,
}
_DIVISION_DIGITS: Final = 12


def covers(area: str, code: str) -> bool:
    """Whether a division's or a grid's code lies within an area; the empty area holds all."""
    if not area:
        return True
    if len(area) > _DIVISION_DIGITS:
        return code == area
    return code.startswith(area[: _DIGITS[level(area)]])


class OutOfScopeError(HuyingError):
    """NOT_FOUND to whoever asked; the audit trail knows it from what is not there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of one signed-in person. The methods raise HuyingError(NOT_FOUND)."""

    person: Person

    @property
    def area(self) -> str:
        """The division or grid the person is bound to; empty: all that the node holds."""
        return self.person.area

    @property
    def department(self) -> str:
        """The department whose calls alone the person sees; empty: everybody's."""
        bound = set(self.person.roles) & {Role.CENTRE, Role.DIRECTOR}
        return "" if bound else self.person.department

    def sees_call(
        self,
        *,
        caller: str,
        village: str,
        grid: str,
        department: str,
        helpers: Collection[str] = (),
    ) -> bool:
        """Whether a call is the person's to see; `helpers` are its co-handling departments."""
        if self.department and self.department not in (department, *helpers):
            return False
        return any(covers(self.area, code) for code in (grid, village, caller) if code)

    def call(
        self,
        *,
        caller: str,
        village: str,
        grid: str,
        department: str,
        helpers: Collection[str] = (),
    ) -> None:
        """Refuse a call that is not the person's to see."""
        if not self.sees_call(
            caller=caller, village=village, grid=grid, department=department, helpers=helpers
        ):
            raise _nothing()

    def sees_record(self, home: str, grid: str = "") -> bool:
        """Whether a record of `home`, in `grid` where it has one, is the person's to see."""
        return covers(self.area, grid or home)

    def record(self, home: str, grid: str = "") -> None:
        """Refuse a record that is not the person's to see."""
        if not self.sees_record(home, grid):
            raise _nothing()


def _nothing() -> OutOfScopeError:
    return OutOfScopeError(Code.NOT_FOUND, "there is no such thing here, or it is not yours to see")
