"""Of the console's connections one address has no more than are left for the others."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from huying.hub.web.listener import SharedListener, place_of
from huying.node import logs

MOST = 8


class Door:
    """A listening socket, and connections to it from several addresses of this machine."""

    def __init__(self) -> None:
        self.listener = SharedListener(socket.create_server(("127.0.0.1", 0)), MOST)
        self.listener.setblocking(False)
        self._sockets: list[socket.socket] = [self.listener]
        self._came, self._heard = 0, 0
        judge = self.listener._shares.take

        def take(place: str) -> bool:
            self._heard += 1
            return judge(place)

        self.listener._shares.take = take  # type: ignore[method-assign]

    def come(self, address: str, count: int) -> list[socket.socket]:
        """So many from that address, of which none says anything yet."""
        place = self.listener.getsockname()
        made = [socket.create_connection(place, 5, (address, 0)) for _ in range(count)]
        self._sockets += made
        self._came += count
        return made

    def take(self) -> list[socket.socket]:
        """What is let in, as an event loop takes it."""
        taken = []
        while self._heard < self._came:
            ready, _, _ = select.select([self.listener], [], [], 10)
            assert ready, "a connection did not come"
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                taken.append(self.listener.accept()[0])
        self._sockets += taken
        return taken

    def close(self) -> None:
        for one in self._sockets:
            one.close()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "say", lambda _event, **more: told.append(more))
    return told


def test_one_machine_leaves_half_of_the_connections_to_the_others(
    door: Door, said: list[dict[str, Any]]
) -> None:
    """Else a single handset with a script keeps a county's desk out, before any TLS or request."""
    silent = door.come("127.0.0.1", MOST + 4)
    assert len(door.take()) == MOST // 2
    assert silent[-1].recv(1) == b"", "it was closed, and need not wait"
    door.come("127.0.0.2", MOST)
    assert len(door.take()) == MOST // 4
    door.come("127.0.0.3", 1)
    assert len(door.take()) == 1
    assert said == [
        {"address": "127.0.0.1", "count": 1},
    ], "the first is said, and no flood of lines"


def test_who_comes_behind_a_flood_is_served(door: Door) -> None:
    """What is beyond a share is passed over at once, and not one in each turn of the loop."""
    door.come("127.0.0.1", 90)  # more than are closed in one turn
    (late,) = door.come("127.0.0.2", 1)
    assert late.getsockname() in [one.getpeername() for one in door.take()]


def test_a_place_is_free_again_when_a_connection_ends(door: Door) -> None:
    """A share that leaked would keep an office out after a morning."""
    for _ in range(3):
        door.come("127.0.0.1", MOST)
        taken = door.take()
        assert len(taken) == MOST // 2
        for one in taken:
            one.close()
            one.close()  # an event loop may do it twice


def test_a_server_of_the_event_loop_gives_back_what_it_took() -> None:
    """The server that answers pages takes and closes its connections in ways of its own."""

    async def play() -> list[bytes]:
        ended = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()
            ended.set()

        shared = SharedListener(socket.create_server(("127.0.0.1", 0)), 2)
        port = shared.getsockname()[1]
        server = await asyncio.start_server(answer, sock=shared)
        answers = []
        for _ in range(5):  # one at once is the share, of two
            ended.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x\n")
            answers.append(await asyncio.wait_for(reader.read(), 10))
            writer.close()
            await writer.wait_closed()
            await asyncio.wait_for(ended.wait(), 10)
        server.close()
        await server.wait_closed()
        return answers

    assert asyncio.run(play()) == [b"x\n"] * 5


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_machine_that_has_a_whole_network_counts_once(address: str, place: str) -> None:
    """Under IPv6 each machine may draw a new address for each connection."""
    assert place_of(address) == place
