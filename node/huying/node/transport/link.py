"""One stream to one peer: frames in, frames out, both bounded.

A link knows no protocol. Frames pass as bytes between the stream and the host, which hands them to
the engine; so a broken frame is refused by name, there, and not by a transport. Reading stops while
the engine's queue is full, and then gRPC's flow control stops the peer. What is sent waits in a
queue of at most `LINK_QUEUE_BYTES_MAX`; a peer that reads so slowly that it fills is cut off, and
resumes later at the size it durably holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import grpc

from huying.common.effects import Direction
from huying.common.errors import Code
from huying.common.limits import (
    KEEPALIVE_SECONDS,
    KEEPALIVE_TIMEOUT_SECONDS,
    LINK_QUEUE_BYTES_MAX,
    TRANSPORT_BYTES_MAX,
)
from huying.node import logs

__all__ = ["CHANNEL_OPTIONS", "METHOD", "SERVICE", "FrameTap", "Host", "Link", "channel_options"]

SERVICE: Final = "huying.wire.v1.Sync"
METHOD: Final = "Session"
CLOSE_SECONDS: Final = 5.0  # to get the last frames out to a peer that reads

# Peer, where the frame travels (`UP`: towards the root), the frame.
FrameTap = Callable[[str, Direction, bytes], None]


def channel_options(idle_seconds: float, answer_seconds: float) -> tuple[tuple[str, int], ...]:
    """For both ends alike: a server ends connections that ping more often than it allows.

    A connection that brought nothing for `idle_seconds` is pinged, and ended where no answer comes
    within `answer_seconds`.
    """
    idle_millis, answer_millis = int(idle_seconds * 1000), int(answer_seconds * 1000)
    return (
        ("grpc.max_receive_message_length", TRANSPORT_BYTES_MAX),
        ("grpc.max_send_message_length", TRANSPORT_BYTES_MAX),
        ("grpc.keepalive_time_ms", idle_millis),
        ("grpc.keepalive_timeout_ms", answer_millis),
        # gRPC's other pings have a time of their own, a minute, and hold the keepalive's back.
        ("grpc.http2.ping_timeout_ms", answer_millis),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", idle_millis // 2),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", idle_millis // 2),
    )


CHANNEL_OPTIONS: Final = channel_options(KEEPALIVE_SECONDS, KEEPALIVE_TIMEOUT_SECONDS)


class Host(Protocol):
    """Where links bring what they receive. Called on the event loop."""

    def number(self) -> int:
        """A link number that was never used."""
        ...

    def opened(self, link: Link) -> None:
        """The link is up; `link.send` may be called from now on."""
        ...

    async def received(self, link: Link, frame: bytes) -> None:
        """One frame came. Returns when there is room for the next."""
        ...

    def closed(self, link: Link) -> None:
        """The link is gone; no frame of it follows."""
        ...


class Link:
    """A stream to the authenticated peer `code`, who stands in `direction`."""

    __slots__ = (
        "_host",
        "_queue",
        "_queued_bytes",
        "_stop",
        "_tap",
        "_wake",
        "code",
        "direction",
        "ending",
        "finished",
        "number",
        "received_frames",
    )

    def __init__(
        self, host: Host, code: str, direction: Direction, tap: FrameTap | None = None
    ) -> None:
        self.number = host.number()
        self.code = code
        self.direction = direction
        self.received_frames = 0
        self.ending: tuple[Code, str] | None = None  # why this side closed it, if it did
        self._host = host
        self._tap = tap
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self.finished = asyncio.Event()  # the host was told that the link is gone

    @property
    def queued_bytes(self) -> int:
        """What is waiting to be sent."""
        return self._queued_bytes

    def send(self, frame: bytes) -> None:
        """Queue a frame; cut the link where the peer lets the queue fill up."""
        if self.ending is not None:
            return
        if self._queued_bytes + len(frame) > LINK_QUEUE_BYTES_MAX:
            logs.say("link_slow", peer=self.code, queued_bytes=self._queued_bytes)
            self.abort(Code.LIMIT_EXCEEDED, f"over {LINK_QUEUE_BYTES_MAX} bytes waiting to be read")
            return
        self._queue.append(frame)
        self._queued_bytes += len(frame)
        self._wake.set()

    def close(self, code: Code, detail: str) -> None:
        """Send what is queued, then end the link; at the latest after `CLOSE_SECONDS`."""
        if self.ending is None:
            self.ending = (code, detail)
            self._wake.set()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._stop.set)

    def abort(self, code: Code, detail: str) -> None:
        """End the link at once; what is queued is dropped."""
        if self.ending is None:
            self.ending = (code, detail)
        self._queue.clear()
        self._queued_bytes = 0
        self._stop.set()

    async def run(
        self,
        read: Callable[[], Awaitable[Any]],
        write: Callable[[bytes], Awaitable[Any]],
        finish: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        """Pump frames until the peer ends the stream, this side closes it, or it breaks.

        `read` returns bytes, or grpc.aio.EOF. `finish` tells the peer that nothing more is sent; it
        then reads to the end, and ends the stream. Raises what the stream raised.
        """
        self._host.opened(self)
        reading = asyncio.create_task(self._read(read))
        writing = asyncio.create_task(self._write(write))
        stopping = asyncio.create_task(self._stop.wait())
        tasks: tuple[asyncio.Task[Any], ...] = (reading, writing, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if writing.done() and finish is not None and not self._stop.is_set():
                writing.result()
                await finish()
                await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in (reading, writing):
                # gRPC cancels who waits for a stream that ended; that is no cancelling of this one.
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._host.closed(self)
            self.finished.set()

    async def _read(self, read: Callable[[], Awaitable[Any]]) -> None:
        arrives = Direction.UP if self.direction is Direction.DOWN else Direction.DOWN
        while (frame := await read()) is not grpc.aio.EOF:
            self.received_frames += 1
            if self._tap is not None:
                self._tap(self.code, arrives, frame)
            await self._host.received(self, frame)

    async def _write(self, write: Callable[[bytes], Awaitable[Any]]) -> None:
        while True:
            self._wake.clear()
            await self._flush(write)
            if self.ending is not None:
                return
            await self._wake.wait()

    async def _flush(self, write: Callable[[bytes], Awaitable[Any]]) -> None:
        while self._queue:
            frame = self._queue.popleft()
            if self._tap is not None:
                self._tap(self.code, self.direction, frame)
            await write(frame)
            self._queued_bytes -= len(frame)
