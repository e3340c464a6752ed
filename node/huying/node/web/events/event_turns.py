"""An event's history in turns: what each version says that the one before did not.

Beside the versions it tells the pictures, the town's words, and the calls that the event led to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from huying.node.store.evidence_queries import EvidenceRow
from huying.node.web.calling.calling_reads import EventCall
from huying.node.web.events.event_parts import FIELD_NAMES
from huying.node.web.events.event_versions import EventVersion
from huying.node.web.events.handling_versions import TownWord
from huying.node.web.history.record_turns import Change, Told, Turn, changes_of
from huying.node.web.words import key_of
from huying.wire.v1 import feed_pb2, records_pb2

__all__ = ["turns_of"]

_TOGETHER_MICROS: Final = 5_000_000  # pictures written so soon after a version came with it
_TOLD: Final = Told(
    type=feed_pb2.RECORD_TYPE_EVENT,
    names=FIELD_NAMES,
    forms={
        "status": "status",
        "reported_micros": "time",
        "settled_micros": "time",
        "grid": "mono",
    },
)
# What the turn's own name and time say already.
_SAID: Final[Mapping[str, frozenset[str]]] = {
    "reported": frozenset({"status"}),
    "settled": frozenset({"status", "settled_micros"}),
    "reopened": frozenset({"status", "settled_micros"}),
}
_SETTLED: Final = records_pb2.EVENT_STATUS_SETTLED


def turns_of(
    home: str,
    versions: Sequence[EventVersion],
    pictures: Iterable[EvidenceRow],
    calls: Iterable[tuple[str, EventCall]],
    words: Iterable[TownWord] = (),
    *,
    is_whole: bool,
    sees: Callable[[str], bool],
) -> list[Turn]:
    """What happened, oldest first.

    Kinds: reported, settled, reopened, changed, ended, version, photos or called; of the town's
    words town-taken, town-settled or town-assigned.

    `versions` go from the newest; `is_whole`: they go back to the first one. `calls` are with the
    town that raised them. `sees`: whether the person sees a version of that grid.
    """
    turns = []
    before: EventVersion | None = None
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
    before: EventVersion | None,
    now: EventVersion,
    *,
    is_first: bool,
    sees: Callable[[str], bool],
) -> Turn:
    place = now.origin, now.index, now.is_signed
    if not now.is_end and not sees(now.message.grid):
        return Turn("version", now.time_micros, home, is_unseen=True, place=place)
    if before is not None and not sees(before.message.grid):
        before = None  # nothing of it is told, not even by what changed
    kind = _kind(before, now, is_first=is_first)
    has_other = before is not None or is_first
    changes = changes_of(_TOLD, home, before, now) if has_other and not now.is_end else []
    said = _SAID.get(kind, frozenset())
    told = tuple(
        change
        for name, change in changes
        if name not in said
        and not (kind == "reported" and name == "reported_micros" and _is_at(change, now))
    )
    return Turn(kind, now.time_micros, home, changes=told, place=place)


def _kind(before: EventVersion | None, now: EventVersion, *, is_first: bool) -> str:
    if now.is_end:
        return "ended"
    if is_first:
        return "reported"
    if before is None:
        return "version"
    was, is_now = before.message.status, now.message.status
    if is_now == _SETTLED and was != _SETTLED:
        return "settled"
    return "reopened" if was == _SETTLED and is_now != _SETTLED else "changed"


def _is_at(change: Change, now: EventVersion) -> bool:
    """Whether a time is that of the version itself, to the minute."""
    return abs(int(change.after) - now.time_micros) < 60_000_000


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
