"""On a bad line: nothing of a failed attempt stays, and no cut is held against a useful link."""

from __future__ import annotations

import asyncio
import socket
import threading

import grpc
import pytest

from huying.node.clock import SystemClock, SystemEntropy
from huying.node.transport.uplink import Uplink, was_of_use

FAILING_SECONDS = 1.5
LISTENING_SECONDS = 3.0  # a channel that is still alive tries again within about a second


class Nobody:
    """A host that no link ever reaches."""

    def number(self) -> int:
        return 1

    def opened(self, link: object) -> None:
        raise AssertionError("nobody answers")

    def closed(self, link: object) -> None: ...

    async def received(self, link: object, frame: bytes) -> None: ...


class Port:
    """Hangs up on whoever dials; counts those who do once it is `watched`."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.watched = False
        self.dialled = 0
        self.counted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.dialled += 1
            self.counted += self.watched
            near.close()

    def close(self) -> None:
        self._server.close()


def test_a_dial_that_failed_leaves_nothing_behind_that_goes_on_dialling() -> None:
    """After a month offline each attempt would still be there, and all come back with the line."""
    port = Port()

    async def scenario() -> None:
        credentials = grpc.ssl_channel_credentials()
        uplink = Uplink(
            Nobody(),
            code="370830108000",
            address=port.address,
            credentials=lambda: credentials,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            retry_seconds_min=0.05,
            retry_seconds_max=0.1,
            stream_age_seconds=3600.0,
        )
        await uplink.start()
        await asyncio.sleep(FAILING_SECONDS)
        await uplink.stop()
        assert port.dialled >= 3
        port.watched = True
        await asyncio.sleep(LISTENING_SECONDS)

    try:
        asyncio.run(scenario())
    finally:
        port.close()
    assert port.counted == 0, f"{port.counted} dials by nobody"


@pytest.mark.parametrize(
    ("frames", "seconds", "useful"),
    [
        (0, 60.0, False),  # it was up and said nothing
        (2, 0.2, False),  # a greeting and a refusal
        (2, 4.9, False),
        (1, 5.0, True),
        (3, 4.0, True),  # cut after a while, and it brought acknowledgements
        (9, 0.5, False),  # a peer that ends each link at once must not be stormed
    ],
)
def test_a_link_that_was_of_use_is_dialled_again_soon(
    frames: int, seconds: float, useful: bool
) -> None:
    """Else a line that is cut every five seconds would stand idle for half a minute each time."""
    assert was_of_use(frames, seconds) is useful
