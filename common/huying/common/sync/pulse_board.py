"""The pulses a node makes, passes on and keeps: the newest for each origin and reader.

A pulse goes to a link only after every entry it speaks of went there, so at an honest relay it
never runs ahead of its feed, and one that does is a sign of withholding. One that still waits is
not replaced by a newer one, or a busy feed would never get any through. A pulse says nothing of its
age that its reader could check, so one of which no newer came for a while is not passed on at all:
an origin that fell silent must not look alive because a link behind it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from huying.common.sync.session import Session
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = ["PulseBoard"]

_Key = tuple[str, str]  # origin, reader
_Posted = tuple[int, feed_pb2.Pulse, float]  # size, pulse, monotonic seconds when it came


class PulseBoard:
    """Pulses on their way, by origin and reader."""

    def __init__(self) -> None:
        self._newest: dict[_Key, _Posted] = {}
        self._waiting: dict[_Key, _Posted] = {}

    def post(self, origin: str, reader: str, size: int, pulse: feed_pb2.Pulse, now: float) -> None:
        """Have a pulse that came at `now` (monotonic seconds) passed on towards its reader.

        One that was here already grows no younger by coming again, and one of fewer entries than
        the newest is old: neither is passed on as if it were news.
        """
        key = (origin, reader)
        newest = self._newest.get(key)
        if newest is not None and (size < newest[0] or pulse == newest[1]):
            return
        self._newest[key] = (size, pulse, now)
        self._waiting.setdefault(key, (size, pulse, now))

    def forget_silent(self, before: float) -> None:
        """Drop the pulses of whoever sent none since then; monotonic seconds."""
        for key in [key for key, posted in self._newest.items() if posted[2] < before]:
            del self._newest[key]
            self._waiting.pop(key, None)

    def link_opened(self, readers: Iterable[str]) -> None:
        """Pass the newest on again to those behind a link that just opened."""
        behind = set(readers)
        for key, pulse in self._newest.items():
            if key[1] in behind:
                self._waiting[key] = pulse

    def readers(self) -> set[str]:
        """Those for whom a pulse waits."""
        return {reader for _, reader in self._waiting}

    def kept_for(self, readers: Iterable[str]) -> Iterator[tuple[str, int, feed_pb2.Pulse]]:
        """(origin, size, pulse): the newest of each origin for these readers."""
        behind = set(readers)
        for (origin, reader), (size, pulse, _) in self._newest.items():
            if reader in behind:
                yield origin, size, pulse

    def due(self, routes: Mapping[str, Session]) -> Iterator[tuple[Session, sync_pb2.Frame]]:
        """What may go out now. `routes` gives the greeted session towards each reader."""
        for key, (size, pulse, _) in list(self._waiting.items()):
            origin, reader = key
            session = routes.get(reader)
            if session is None or session.cursor(origin) < size:
                continue
            del self._waiting[key]
            newest = self._newest[key]
            if newest[1] is not pulse:
                self._waiting[key] = newest
            yield session, sync_pb2.Frame(pulse=pulse)
