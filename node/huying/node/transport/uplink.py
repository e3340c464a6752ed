"""The dialler: keeps one stream to the parent, for as long as the process runs.

There is one retry layer, and it is here: a fresh channel for each attempt, so that gRPC's own
back-off never adds to ours. Waits are full jitter between `retry_seconds_min` and
`retry_seconds_max`; it never gives up. A link that lived a while resets the back-off, and so does
`wake`, which whoever hears from the parent by another way calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
import tenacity

from huying.common.effects import Direction
from huying.common.errors import Code
from huying.common.limits import DIAL_SECONDS_MAX
from huying.common.ports import Clock, Entropy
from huying.node import logs, tls
from huying.node.transport.link import (
    CHANNEL_OPTIONS,
    CLOSE_SECONDS,
    METHOD,
    SERVICE,
    FrameTap,
    Host,
    Link,
)

__all__ = ["Uplink", "was_of_use"]

SETTLED_SECONDS: Final = 5.0  # a link that lived this long, and brought a frame, was a good one
# So was one that was cut earlier and brought more than a greeting and a refusal: where a line is
# cut every few seconds, waits that grow would leave it idle most of the time.
SETTLED_FRAMES: Final = 3
SETTLED_FRAMES_SECONDS: Final = 1.0
STREAM_AGE_JITTER: Final = 0.1


def was_of_use(received_frames: int, seconds: float) -> bool:
    """Whether a link that lived so long, and brought so much, is to be dialled again soon."""
    if received_frames >= SETTLED_FRAMES:
        return seconds >= SETTLED_FRAMES_SECONDS
    return received_frames > 0 and seconds >= SETTLED_SECONDS


class LinkLostError(Exception):
    """The parent was not reached, or the link broke before it was of use."""


class Uplink:
    """Dials the parent at `address`, again and again."""

    def __init__(
        self,
        host: Host,
        *,
        code: str,
        address: str,
        credentials: Callable[[], grpc.ChannelCredentials],
        clock: Clock,
        entropy: Entropy,
        retry_seconds_min: float,
        retry_seconds_max: float,
        stream_age_seconds: float,
        tap: FrameTap | None = None,
        fallback: str | None = None,
        fallback_due: Callable[[], bool] = lambda: False,
    ) -> None:
        """`credentials` is asked at every dial, so that a new certificate is used at the next.

        While `fallback_due` says so, every other dial goes to the address `fallback`.
        """
        self._host = host
        self._code = code
        self._address = address
        self._credentials = credentials
        self._clock = clock
        self._entropy = entropy
        self._retry_seconds_min = retry_seconds_min
        self._retry_seconds_max = retry_seconds_max
        self._stream_age_seconds = stream_age_seconds
        self._tap = tap
        self._fallback = fallback
        self._fallback_due = fallback_due
        self.on_up: Callable[[], None] = lambda: None  # called when a dial succeeded
        self._dialled = ""  # the address of the newest attempt
        self._woken = asyncio.Event()
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.retry_next: float | None = None  # unix seconds of the next attempt, while waiting

    @property
    def code(self) -> str:
        """The parent's division code."""
        return self._code

    async def start(self) -> None:
        """Begin dialling; returns at once."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the link, if there is one, after its last frame; dial no more."""
        self._stopping = True
        if self._task is None:
            return
        if self._link is not None:
            self._link.close(Code.DRAINING, "the node is stopping")
            await asyncio.wait([self._task], timeout=2 * CLOSE_SECONDS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """The parent was heard from: dial now, and count from the first wait again."""
        self._woken.set()

    async def _keep(self) -> None:
        while not self._stopping:
            self._woken.clear()
            async for attempt in self._attempts():
                if self._woken.is_set() or self._stopping:
                    break  # and begin again, with the first wait
                with attempt:
                    await self._session()
            # Every child of a parent that restarted comes at once: spread them out.
            await self._pause(self._entropy.uniform(0.0, self._retry_seconds_min))

    def _attempts(self) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(LinkLostError),
            wait=self._wait,
            sleep=self._pause,
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Full jitter: anywhere up to a bound that doubles with every failure."""
        doublings = min(state.attempt_number, 32)
        bound = min(self._retry_seconds_max, self._retry_seconds_min * 2.0**doublings)
        return max(self._retry_seconds_min, self._entropy.uniform(0.0, bound))

    async def _pause(self, seconds: float) -> None:
        """Wait, or until `wake`; the event stays set for the loop to see."""
        if self._woken.is_set() or self._stopping:
            return
        self.retry_next = self._clock.now() + seconds
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        finally:
            self.retry_next = None

    async def _session(self) -> None:
        """Dial, and pump until the link ends. Raises LinkLostError unless it was of use."""
        address = self._dialled = self._next_address()
        logs.say("uplink_dialling", peer=self._code, address=address)
        link = self._link = Link(self._host, self._code, Direction.UP, self._tap)
        began = self._clock.monotonic()
        try:
            if await self._reach(address, link):
                logs.say("uplink_renewed", peer=self._code)
                return
            reason = "the parent ended the stream" if link.ending is None else link.ending[1]
        except LinkLostError as error:
            reason = str(error)
        except grpc.aio.AioRpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        except TimeoutError:
            reason = "no answer in time"
        except Exception as error:  # noqa: BLE001  # whatever it is: who stops dialling is cut off
            reason = type(error).__name__  # Its words stay out of the log.
            logs.say("uplink_failed", peer=self._code, kind=reason)
        finally:
            self._link = None
        if was_of_use(link.received_frames, self._clock.monotonic() - began):
            logs.say("uplink_lost", peer=self._code, reason=reason)
            return
        logs.say("uplink_unreached", peer=self._code, address=address, reason=reason)
        raise LinkLostError(reason)

    async def _reach(self, address: str, link: Link) -> bool:
        """Pump over a channel of its own. Returns and raises as `_pump`."""
        channel = grpc.aio.secure_channel(
            address,
            self._credentials(),
            options=(
                *CHANNEL_OPTIONS,
                ("grpc.ssl_target_name_override", tls.dns_name(self._code)),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.enable_retries", 0),
            ),
        )
        try:
            return await self._pump(channel, link)
        finally:
            await channel.close()

    def _next_address(self) -> str:
        if self._fallback is None or self._dialled == self._fallback or not self._fallback_due():
            return self._address
        return self._fallback

    async def _pump(self, channel: grpc.aio.Channel, link: Link) -> bool:
        """Pump until the link ends. True where it reached its age, so that nothing is wrong."""
        call: Any = channel.stream_stream(
            f"/{SERVICE}/{METHOD}", request_serializer=None, response_deserializer=None
        )()
        # The server sends its metadata once it knows this child: the first word of a program, where
        # a connection can be a kernel's alone. Of a call that was refused, the second wait raises.
        async with asyncio.timeout(DIAL_SECONDS_MAX):
            await call.initial_metadata()
            await call.wait_for_connection()
        # The iterator reads to the end; `call.read` would drop frames that came just before it. One
        # that was made for a call that failed would keep its channel alive, and dialling.
        frames = aiter(call)

        async def read() -> Any:
            return await anext(frames, grpc.aio.EOF)

        async def write(frame: bytes) -> None:
            try:
                await call.write(frame)
            except asyncio.InvalidStateError:  # The call had ended, and nobody had read that yet.
                code = await call.code()
                raise LinkLostError(f"{code.name}: {await call.details()}") from None

        logs.say("uplink_up", peer=self._code, address=self._dialled)
        self.on_up()
        jitter = self._entropy.uniform(1 - STREAM_AGE_JITTER, 1 + STREAM_AGE_JITTER)
        age = asyncio.timeout(self._stream_age_seconds * jitter)
        try:
            async with age:
                await link.run(read, write, call.done_writing)
                return False
        except TimeoutError:
            if not age.expired():
                raise
            return True
        finally:
            call.cancel()
