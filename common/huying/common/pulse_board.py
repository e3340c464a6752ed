"""The pulses a node makes, passes on and keeps: the newest for each origin and reader.

A pulse goes to a link only after every entry it speaks of went there, so at an honest relay it
never runs ahead of its feed, and one that does is a sign of withholding. One that still waits is
not replaced by a newer one, or a busy feed would never get any through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from huying.common.session import Session
from huying.wire.v1 import feed_pb2, sync_pb2

__all__ = ["PulseBoard"]

_Key = tuple[str, str]  # origin, reader


class PulseBoard:
    """Pulses on their way, by origin and reader."""

    def __init__(self) -> None:
        self._newest: dict[_Key, tuple[int, feed_pb2.Pulse]] = {}
        self._waiting: dict[_Key, tuple[int, feed_pb2.Pulse]] = {}

    def post(self, origin: str, reader: str, size: int, pulse: feed_pb2.Pulse) -> None:
        """Have a pulse passed on towards its reader."""
        key = (origin, reader)
        self._newest[key] = (size, pulse)
        self._waiting.setdefault(key, (size, pulse))

    def link_opened(self, readers: Iterable[str]) -> None:
        """Pass the newest on again to those behind a link that just opened."""
        behind = set(readers)
        for key, pulse in self._newest.items():
            if key[1] in behind:
                self._waiting[key] = pulse

    def readers(self) -> set[str]:
        """Those for whom a pulse waits."""
        return {reader for _, reader in self._waiting}

    def due(self, routes: Mapping[str, Session]) -> Iterator[tuple[Session, sync_pb2.Frame]]:
        """What may go out now. `routes` gives the greeted session towards each reader."""
        for key, (size, pulse) in list(self._waiting.items()):
            origin, reader = key
            session = routes.get(reader)
            if session is None or session.cursor(origin) < size:
                continue
            del self._waiting[key]
            newest = self._newest[key]
            if newest[1] is not pulse:
                self._waiting[key] = newest
            yield session, sync_pb2.Frame(pulse=pulse)
