"""The console's listening socket: of its connections one address has no more than are left.

A connection is counted from the moment it is taken, before its TLS handshake, so that whoever opens
thousands and says nothing holds their own share alone. The share follows from what is free: an
address by itself may have half of all, two of them a third each, and the next visitor finds room.
So an office behind one address keeps its browsers, and no number has to be chosen for it.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import socket
import time
from typing import Any, Final

from huying.node import logs

__all__ = ["CONNECTIONS_MAX", "SharedListener", "place_of"]

CONNECTIONS_MAX: Final = 1024
_CLOSED_AT_ONCE: Final = 64
_SAY_SECONDS: Final = 60.0
_IPV6_PREFIX_BITS: Final = 64  # what one network has; a single machine may use all of it


def place_of(address: str) -> str:
    """What a connection is counted by: an IPv4 address, or the network of an IPv6 one.

    An address of another kind, which no such socket has, is itself.
    """
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address):
            if found.ipv4_mapped is not None:
                return str(found.ipv4_mapped)
            return str(ipaddress.ip_network((found, _IPV6_PREFIX_BITS), strict=False))
        return str(found)
    return address


class _Shares:
    """How many connections each place has, for one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: collections.Counter[str] = collections.Counter()
        self._refused = 0
        self._said = float("-inf")

    def take(self, place: str) -> bool:
        """Count one more, if the place may have it."""
        if self._held[place] >= self._most - self._held.total():
            self._refused += 1
            self._say(place)
            return False
        self._held[place] += 1
        return True

    def give_back(self, place: str) -> None:
        """One has ended."""
        self._held[place] -= 1
        if not self._held[place]:
            del self._held[place]

    def _say(self, place: str) -> None:
        """Of many refusals the first is logged, and then each minute how many there were."""
        now = time.monotonic()
        if now - self._said >= _SAY_SECONDS:
            logs.say("console_crowded", address=place, count=self._refused)
            self._said, self._refused = now, 0


class _Held(socket.socket):
    """A connection that gives its place back when it is closed."""

    def __init__(self, taken: socket.socket, shares: _Shares, place: str) -> None:
        super().__init__(taken.family, taken.type, taken.proto, fileno=taken.detach())
        self._shares: _Shares | None = shares
        self._place = place

    def close(self) -> None:
        """Close it, and count it no more."""
        super().close()
        shares, self._shares = self._shares, None
        if shares is not None:
            shares.give_back(self._place)


class SharedListener(socket.socket):
    """Takes the place of a listening socket, whose descriptor it has from then on."""

    def __init__(self, listener: socket.socket, most: int = CONNECTIONS_MAX) -> None:
        """`most`: connections at once, of all addresses together."""
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        self._shares = _Shares(most)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection that is within its share; those beyond theirs are closed.

        Raises ConnectionAbortedError, as for one that its browser gave up before, after many that
        were closed, so that an event loop does something else between them; else as `socket`.
        """
        for _ in range(_CLOSED_AT_ONCE):
            taken, address = super().accept()
            place = place_of(str(address[0]))
            if self._shares.take(place):
                return _Held(taken, self._shares, place), address
            taken.close()
        raise ConnectionAbortedError
