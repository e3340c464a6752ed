"""An event's history in turns: what each version says that the one before did not, and what became.

Of a field that is withheld in one of two versions nobody can say whether it changed, and nothing is
said: what is not here is named once, for the whole history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from huying.node.api.call_views import slot_views
from huying.node.store.evidence_queries import EvidenceRow
from huying.node.web.calling.calling_reads import EventCall
from huying.node.web.events.event_parts import FIELD_NAMES
from huying.node.web.events.event_versions import Version
from huying.node.web.events.handling_versions import TownWord
from huying.node.web.words import key_of
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

__all__ = ["Change", "Turn", "turns_of"]

_TOGETHER_MICROS: Final = 5_000_000  # pictures written so soon after a version came with it
_FORMS: Final[Mapping[str, str]] = {
    "status": "status",
    "reported_micros": "time",
    "settled_micros": "time",
    "grid": "mono",
}
# What the turn's own name and time say already.
_SAID: Final[Mapping[str, frozenset[str]]] = {
    "reported": frozenset({"status"}),
    "settled": frozenset({"status", "settled_micros"}),
    "reopened": frozenset({"status", "settled_micros"}),
}
_SETTLED: Final = records_pb2.EVENT_STATUS_SETTLED


@dataclass(frozen=True, slots=True)
class Change:
    """One field: what it said before, and what it says now; of a text that grew what was added."""

    zh: str
    en: str
    form: str  # text, mono, time or status
    before: str | int
    after: str | int
    is_added: bool = False  # `after` was added to the end of what stood there


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing that happened, with who did it as far as this node knows."""

    # reported, settled, reopened, changed, ended, version, photos or called; of the town's words
    # town-taken, town-settled or town-assigned.
    kind: str
    time_micros: int
    home: str  # the node that wrote it
    person: str = ""
    changes: tuple[Change, ...] = ()
    is_unseen: bool = False  # the version is of a grid that the person does not see
    place: tuple[str, int, bool] = ("", 0, False)  # origin, index, whether it is signed
    pictures: tuple[str, ...] = ()  # their names
    call: EventCall | None = field(default=None)
    text: str = ""  # in the town's words


def turns_of(
    home: str,
    versions: Sequence[Version],
    pictures: Iterable[EvidenceRow],
    calls: Iterable[tuple[str, EventCall]],
    words: Iterable[TownWord] = (),
    *,
    is_whole: bool,
    sees: Callable[[str], bool],
) -> list[Turn]:
    """What happened, oldest first.

    `versions` go from the newest; `is_whole`: they go back to the first one. `calls` are with the
    town that raised them. `sees`: whether the person sees a version of that grid.
    """
    turns = []
    before: Version | None = None
    for version in reversed(versions):
        turns.append(_turn(home, before, version, is_first=is_whole and before is None, sees=sees))
        before = version
    turns = _with_pictures(turns, pictures)
    turns += [Turn("called", one.time_micros, town, call=one) for town, one in calls]
    turns += [_said(one) for one in words]
    return sorted(turns, key=lambda one: (one.time_micros, one.place[1]))


def _said(word: TownWord) -> Turn:
    handling = word.handling
    return Turn(
        f"town-{key_of('handling', handling.status)}",
        word.time_micros,
        word.home,
        handling.actor,
        place=(word.origin, word.index, word.is_signed),
        text=handling.text,
    )


def _turn(
    home: str,
    before: Version | None,
    now: Version,
    *,
    is_first: bool,
    sees: Callable[[str], bool],
) -> Turn:
    place = now.origin, now.index, now.is_signed
    if not now.is_end and not sees(now.event.grid):
        return Turn("version", now.time_micros, home, is_unseen=True, place=place)
    if before is not None and not sees(before.event.grid):
        before = None  # nothing of it is told, not even by what changed
    kind = _kind(before, now, is_first=is_first)
    changes = () if now.is_end or (before is None and not is_first) else _changes(home, before, now)
    said = _SAID.get(kind, frozenset())
    told = tuple(
        change
        for name, change in changes
        if name not in said
        and not (kind == "reported" and name == "reported_micros" and _is_at(change, now))
    )
    return Turn(kind, now.time_micros, home, changes=told, place=place)


def _kind(before: Version | None, now: Version, *, is_first: bool) -> str:
    if now.is_end:
        return "ended"
    if is_first:
        return "reported"
    if before is None:
        return "version"
    was, is_now = before.event.status, now.event.status
    if is_now == _SETTLED and was != _SETTLED:
        return "settled"
    return "reopened" if was == _SETTLED and is_now != _SETTLED else "changed"


def _is_at(change: Change, now: Version) -> bool:
    """Whether a time is that of the version itself, to the minute."""
    return abs(int(change.after) - now.time_micros) < 60_000_000


def _changes(home: str, before: Version | None, now: Version) -> list[tuple[str, Change]]:
    hidden = _absent(home, now) | (_absent(home, before) if before is not None else frozenset())
    old = before.event if before is not None else records_pb2.Event()
    found = []
    for name, (zh, en) in FIELD_NAMES.items():
        was, is_now = getattr(old, name), getattr(now.event, name)
        if name in hidden or was == is_now:
            continue
        form = _FORMS.get(name, "text")
        change = Change(zh, en, form, was, is_now)
        if form == "text" and was and str(is_now).startswith(f"{was}\n"):
            change = replace(change, after=str(is_now)[len(was) + 1 :], is_added=True)
        found.append((name, change))
    return found


def _absent(home: str, version: Version) -> frozenset[str]:
    """The fields of a version that are not here."""
    views = slot_views(feed_pb2.RECORD_TYPE_EVENT, home, version.slots)
    gone = (one for one in views if one.state != api_pb2.SLOT_STATE_PRESENT)
    return frozenset(name for one in gone for name in one.fields)


def _with_pictures(turns: list[Turn], pictures: Iterable[EvidenceRow]) -> list[Turn]:
    """The turns, each with the pictures that came with it; others are turns of their own."""
    found = list(turns)
    loose: dict[tuple[str, str, int], list[str]] = {}
    for one in pictures:
        for place, turn in enumerate(found):
            apart = abs(one.time_micros - turn.time_micros)
            if turn.home == one.home and apart <= _TOGETHER_MICROS and not turn.is_unseen:
                found[place] = replace(turn, pictures=(*turn.pictures, one.name))
                break
        else:
            key = one.home, one.actor, one.time_micros // _TOGETHER_MICROS
            loose.setdefault(key, []).append(one.name)
    for (home, actor, at), names in loose.items():
        found.append(Turn("photos", at * _TOGETHER_MICROS, home, actor, pictures=tuple(names)))
    return found
