"""A person who may sign in, and what is checked before one is entered or changed."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from huying.common import codes, limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access import roles as roles_of
from huying.node.web.access.roles import Permission, Role

__all__ = [
    "LANGUAGES",
    "Language",
    "Person",
    "check_area",
    "check_person",
    "must_have_factor",
    "parse_login",
]

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")

# Chinese names and Latin letters; nothing that looks like another character of the set.
_LOGIN: Final = re.compile(r"[a-z0-9\u3400-\u9fff](?:[a-z0-9._@\u3400-\u9fff-]*)")


@dataclass(frozen=True, slots=True)
class Person:
    """One account, as the pages know it."""

    id: str  # 32 hex digits
    login: str
    name: str
    actor: str  # the pseudonym that is written into the feed, e.g. 县-民政局-11
    roles: tuple[Role, ...]
    department: str
    area: str  # "": the whole node; else the division or grid that the person is limited to
    language: Language
    disabled: bool
    must_change: bool  # the password was given by somebody else
    has_second_factor: bool
    has_password: bool = True  # False: signs in through OpenID alone

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the person's roles allow."""
        return roles_of.permissions(self.roles)


def must_have_factor(policy: str, person: Person) -> bool:
    """Whether the setting `console.second_factor` asks a second factor of a person.

    Not of one without a password here: how they sign in is their provider's business.
    """
    if not person.has_password or policy == "optional":
        return False
    powers = {Permission.PEOPLE, Permission.OPERATIONS}
    return policy == "everyone" or bool(powers & person.permissions)


def parse_login(text: str) -> str:
    """A login in the one spelling that is stored: NFKC, small letters.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    login = unicodedata.normalize("NFKC", text).strip().casefold()
    fits = limits.LOGIN_CHARACTERS_MIN <= len(login) <= limits.LOGIN_CHARACTERS_MAX
    if not fits or not _LOGIN.fullmatch(login):
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"login: {limits.LOGIN_CHARACTERS_MIN} to {limits.LOGIN_CHARACTERS_MAX} characters:"
            " letters a-z, digits, Chinese characters, and . _ - @ after the first",
        )
    return login


def check_person(
    name: str, actor: str, roles: tuple[Role, ...], department: str, language: str
) -> None:
    """Refuse what an account can't be. Raises HuyingError(INVALID_ARGUMENT), naming the field."""
    for field, value, needed in (
        ("name", name, True),
        ("actor", actor, True),
        ("department", department, Role.DEPARTMENT in roles),
    ):
        if (needed and not value.strip()) or len(value) > limits.NAME_CHARACTERS_MAX:
            least = 1 if needed else 0
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"{field}: {least} to {limits.NAME_CHARACTERS_MAX} characters",
            )
        if not value.isprintable():
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: printable characters, one line")
    if not roles:
        raise HuyingError(Code.INVALID_ARGUMENT, "roles: at least one")
    if language not in LANGUAGES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"language: {' or '.join(LANGUAGES)}")


def check_area(area: str, node_code: str) -> str:
    """`area` itself: empty, or a division or a grid inside the node's own.

    Raises HuyingError(INVALID_ARGUMENT).
    """
    if not area:
        return area
    if len(area) == 15:
        division = codes.grid_village(codes.parse_grid(area, "area"))
    else:
        division = codes.parse_code(area, "area")
    if not codes.is_within(division, node_code):
        raise HuyingError(Code.INVALID_ARGUMENT, f"area: must lie within {node_code}")
    return area
