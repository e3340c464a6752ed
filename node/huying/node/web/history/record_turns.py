"""What a history tells: turns, the changes that a version made, and who wrote it.

Of a field that is withheld in one of two versions nobody can say whether it changed, and nothing is
said: what is not here is named once, for the whole history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from google.protobuf.message import Message

from huying.node.api.call_views import slot_views
from huying.node.web.access.audit import AuditRow
from huying.node.web.calling.calling_reads import EventCall
from huying.node.web.history.record_versions import Version
from huying.node.web.page import Ask
from huying.wire.v1 import api_pb2

__all__ = ["Change", "Told", "Turn", "changes_of", "with_people"]

_TRAIL_ROWS: Final = 100  # of the audit trail, that speak of one record
_NEAR_MICROS: Final = 120_000_000  # between a version and the trail's row about it


@dataclass(frozen=True, slots=True)
class Change:
    """One field: what it said before, and what it says now; of a text that grew what was added."""

    zh: str
    en: str
    form: str  # text, mono, time, status or place
    before: str | int
    after: str | int
    is_added: bool = False  # `after` was added to the end of what stood there


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that happened, with who did it as far as this node knows."""

    kind: str  # one of those that the page's own template has words for
    time_micros: int
    home: str  # the node that wrote it
    person: str = ""
    changes: tuple[Change, ...] = ()
    is_unseen: bool = False  # the version is beyond what the person sees
    place: tuple[str, int, bool] = ("", 0, False)  # origin, index, whether it is signed
    pictures: tuple[str, ...] = ()  # their names
    call: EventCall | None = field(default=None)
    text: str = ""  # in the writer's words


@dataclass(frozen=True, slots=True)
class Told:
    """Which fields of a type of record are told of, and how."""

    type: int  # feed_pb2.RecordType
    names: Mapping[str, tuple[str, str]]  # Chinese, English
    forms: Mapping[str, str]  # where it is not text: see `Change`


def changes_of(
    told: Told, home: str, before: Version[Any] | None, now: Version[Any]
) -> list[tuple[str, Change]]:
    """(field, change) of a version against the one before it; against nothing where that is None.

    Just of what both have here.
    """
    hidden = _absent(told.type, home, now)
    if before is not None:
        hidden |= _absent(told.type, home, before)
    old: Message = before.message if before is not None else type(now.message)()
    found = []
    for name, (zh, en) in told.names.items():
        was, is_now = getattr(old, name), getattr(now.message, name)
        if name in hidden or was == is_now:
            continue
        form = told.forms.get(name, "text")
        change = Change(zh, en, form, was, is_now)
        if form == "text" and was and str(is_now).startswith(f"{was}\n"):
            change = replace(change, after=str(is_now)[len(was) + 1 :], is_added=True)
        found.append((name, change))
    return found


def _absent(type_: int, home: str, version: Version[Any]) -> frozenset[str]:
    """The fields of a version that are not here."""
    views = slot_views(type_, home, version.slots)
    gone = (one for one in views if one.state != api_pb2.SLOT_STATE_PRESENT)
    return frozenset(name for one in gone for name in one.fields)


# --- who ---------------------------------------------------------------------------------------


async def with_people(
    ask: Ask, turns: Sequence[Turn], record: bytes, deeds: Mapping[str, frozenset[str]]
) -> list[Turn]:
    """The turns of this node with the names of those who took them.

    `deeds`: which kinds of turn an action of the audit trail stands for.
    """
    people = await ask.site.on_thread(ask.site.accounts.list)
    actors = {person.actor: person.name for person in people}
    logins = {person.login: person.name for person in people}
    what = record.hex()
    trail = await ask.site.on_thread(lambda: ask.site.audit.page(object_=what, count=_TRAIL_ROWS))
    found = []
    for turn in turns:
        if turn.home != ask.node.code:
            found.append(turn)
        elif turn.person:
            found.append(replace(turn, person=actors.get(turn.person, turn.person)))
        else:
            login = _who(turn, trail, deeds)
            found.append(replace(turn, person=logins.get(login, login)))
    return found


def _who(turn: Turn, trail: Sequence[AuditRow], deeds: Mapping[str, frozenset[str]]) -> str:
    """The login of whoever wrote a version, by the row of the trail that is nearest to it."""
    near = [
        (abs(row.time_micros - turn.time_micros), row.actor)
        for row in trail
        if turn.kind in deeds.get(row.action, ()) and row.outcome == "done"
    ]
    apart, login = min(near, default=(_NEAR_MICROS, ""))
    return login if apart < _NEAR_MICROS else ""
