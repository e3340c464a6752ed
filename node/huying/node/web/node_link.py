"""The console's way to its node: reads from the database, writes and status over the API.

The database is opened read-only, so pages go on while the node is down; every write goes through
the API, which judges it as it judges the command line's, and opens to the console's own token just
what pages do (`huying.node.api.console_token`). `state` says how fresh what is shown is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.to_thread
import grpc
import grpc.aio

from huying.common.codes import Level, ancestors, level
from huying.common.errors import Code, HuyingError
from huying.common.limits import BUNDLE_BYTES_MAX, MIB
from huying.common.ports import Clock
from huying.node.api.auth import bearer
from huying.node.api.faults import from_rpc_error
from huying.node.background import end_task
from huying.node.config import Config
from huying.node.keys import load_token
from huying.node.store.database import READER_CONNECTIONS_MAX, sqlite_url
from huying.node.store.reader import FileReader, Reader
from huying.wire.v1 import admin_pb2_grpc, api_pb2, api_pb2_grpc, feed_pb2, records_pb2

if TYPE_CHECKING:
    from huying.node.desk import Topic

__all__ = ["Freshness", "NodeLink"]

T = TypeVar("T")
_CALL_SECONDS: Final = 20.0
_STATUS_SECONDS: Final = 3.0
_FIRST_STATUS_SECONDS: Final = 10.0  # of a process that starts while its machine is busy
_STATUS_AGE_SECONDS_MAX: Final = 1.0  # a status this young is shown again
# Of a node that was silent when it was last asked: how long a page waits to hear otherwise, and how
# long a write does. A machine that hangs takes connections and says nothing.
_SILENT_STATUS_SECONDS: Final = 0.3
_SILENT_CALL_SECONDS: Final = 5.0
_NAMES_AGE_SECONDS_MAX: Final = 60.0
_FACTS_AGAIN_SECONDS: Final = 2.0  # after the database could not be read
_NAMES_MAX: Final = 10_000  # divisions of the largest county, several times over


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh what a page shows is. Times are unix seconds."""

    status: api_pb2.StatusResponse | None  # the newest that the node gave, however old
    at: float  # when it gave it; 0: never since the console started
    is_up: bool  # the node answers now
    parent: api_pb2.PeerStatus | None  # the link to the parent; None at the root

    @property
    def is_cut_off(self) -> bool:
        """Whether the parent can't be reached, as far as is known."""
        return self.parent is not None and not self.parent.connected

    @property
    def parent_heard(self) -> float:
        """When the parent was last heard; 0 where never."""
        return 0.0 if self.parent is None else self.parent.last_contact_micros / 1e6


class NodeLink:
    """One node, for the console's event loop."""

    def __init__(self, config: Config, clock: Clock, *, api_address: str | None = None) -> None:
        """`api_address` stands in for the configured one, in tests."""
        self.code = config.node.code
        self.name = config.node.name
        self.level = level(config.node.code)
        self._config = config
        self._clock = clock
        self._address = api_address or config.api.listen
        self._channel: grpc.aio.Channel | None = None
        self._reader: FileReader | None = None
        self._opening = threading.Lock()
        self._threads = anyio.CapacityLimiter(READER_CONNECTIONS_MAX)
        self._freshness = Freshness(None, 0.0, is_up=False, parent=None)
        self._asked = -_STATUS_AGE_SECONDS_MAX
        self._asking: asyncio.Task[None] | None = None
        self._is_silent = False
        self._names: Mapping[str, str] = {}
        self._offset_minutes = 0
        self._names_read = -_NAMES_AGE_SECONDS_MAX

    @property
    def county(self) -> str:
        """The division that answers the calls: this node's county, or itself above that."""
        if self.level <= Level.COUNTY:
            return self.code
        return next(code for code in ancestors(self.code) if level(code) is Level.COUNTY)

    async def close(self) -> None:
        """Close the channel and the database."""
        await end_task(self._asking)
        if self._channel is not None:
            await self._channel.close()
        if self._reader is not None:
            self._reader.close()

    # --- reading -------------------------------------------------------------------------------

    async def read(self, query: Callable[[Reader], T]) -> T:
        """A query on a thread, over one consistent view.

        Raises what the query raises, and HuyingError where the database can't be opened.
        """
        return await anyio.to_thread.run_sync(partial(self._read, query), limiter=self._threads)

    def _read(self, query: Callable[[Reader], T]) -> T:
        with self._opening:  # the first two queries come at once, each on a thread of its own
            if self._reader is None:
                self._reader = FileReader(sqlite_url(self._config.database_file))
        with self._reader.snapshot() as reader:
            return query(reader)

    async def names(self) -> Mapping[str, str]:
        """Names of divisions by code, as their nodes introduced themselves."""
        await self._refresh_facts()
        return self._names

    async def offset_minutes(self) -> int:
        """The offset from UTC that the county's calendar has, in minutes."""
        await self._refresh_facts()
        return self._offset_minutes

    async def _refresh_facts(self) -> None:
        now = self._clock.monotonic()
        if now - self._names_read < _NAMES_AGE_SECONDS_MAX:
            return
        self._names_read = now
        try:
            self._names, self._offset_minutes = await self.read(self._facts)
        except HuyingError:
            # Until they are read, times stand in UTC and divisions by their codes.
            self._names_read = now - _NAMES_AGE_SECONDS_MAX + _FACTS_AGAIN_SECONDS

    def _facts(self, reader: Reader) -> tuple[dict[str, str], int]:
        names: dict[str, str] = {self.code: self.name}
        token = b""
        while len(names) < _NAMES_MAX:
            page = reader.list_records(feed_pb2.RECORD_TYPE_DIVISION, limit=1000, page_token=token)
            for row in page.rows:
                names[row.home] = records_pb2.Division.FromString(row.message).name or row.home
            token = page.next_token
            if not token:
                break
        return names, reader.calendar(self.county).utc_offset_minutes

    # --- asking --------------------------------------------------------------------------------

    async def ask(self, method: str, request: Any) -> Any:
        """One method of huying.wire.v1.Node. Raises what the node refuses with; UNREACHABLE."""
        stub: Any = api_pb2_grpc.NodeStub(self._open())
        return await self._asked_of(getattr(stub, method), request)

    async def desk(self, topic: Topic, method: str, request: Any) -> Any:
        """One method of a topic's service. Raises as `ask`."""
        stub = getattr(topic.generated("_grpc"), f"{topic.name}Stub")(self._open())
        return await self._asked_of(getattr(stub, method), request)

    async def administer(self, method: str, request: Any) -> Any:
        """One method of huying.wire.v1.Admin. Raises as `ask`."""
        stub: Any = admin_pb2_grpc.AdminStub(self._open())
        return await self._asked_of(getattr(stub, method), request)

    async def _asked_of(self, method: Callable[..., Awaitable[T]], request: Any) -> T:
        """A call, after a look at how things stand: nobody sits before a machine that hangs."""
        await self.state()
        seconds = _SILENT_CALL_SECONDS if self._is_silent else _CALL_SECONDS
        return await self._call(method, request, seconds)

    async def state(self) -> Freshness:
        """How things stand; asked of the node at most once a second. Raises nothing.

        While the node is silent the asking goes on beside the pages, which hardly wait for it.
        """
        if self._asking is None or self._asking.done():
            now = self._clock.monotonic()
            if now - self._asked < _STATUS_AGE_SECONDS_MAX:
                return self._freshness
            self._asked = now
            self._asking = asyncio.create_task(self._ask_status())
        patience = _SILENT_STATUS_SECONDS if self._is_silent else None
        await asyncio.wait([self._asking], timeout=patience)
        return self._freshness

    async def _ask_status(self) -> None:
        stub: Any = api_pb2_grpc.NodeStub(self._open())
        is_first = self._freshness.status is None and not self._is_silent
        seconds = _FIRST_STATUS_SECONDS if is_first else _STATUS_SECONDS
        try:
            status = await self._call(stub.Status, api_pb2.StatusRequest(), seconds)
        except HuyingError:
            old = self._freshness
            self._freshness = Freshness(old.status, old.at, is_up=False, parent=old.parent)
            self._is_silent = True
            return
        parent = next((peer for peer in status.peers if peer.direction == "up"), None)
        self._freshness = Freshness(status, self._clock.now(), is_up=True, parent=parent)
        self._is_silent = False

    async def watch(self, *types: int) -> AsyncIterator[api_pb2.RecordView]:
        """Every entry of these types that is applied from now on.

        Ends with HuyingError(UNREACHABLE) when the node goes.
        """
        stub: Any = api_pb2_grpc.NodeStub(self._open())
        status = await self._call(stub.Status, api_pb2.StatusRequest(), _STATUS_SECONDS)
        request = api_pb2.WatchRequest(
            cursor=[api_pb2.Position(origin=feed.origin, index=feed.size) for feed in status.feeds],
            types=types,  # type: ignore[arg-type]  # an open enum
        )
        stream = stub.Watch(request, metadata=self._metadata())
        try:
            async for change in stream:
                if change.HasField("record"):
                    yield change.record
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        finally:
            stream.cancel()

    async def _call(
        self,
        method: Callable[..., Awaitable[T]],
        request: Any,
        timeout_seconds: float,
    ) -> T:
        shown = self._metadata()
        try:
            return await method(request, metadata=shown, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            refused = error.code() is grpc.StatusCode.UNAUTHENTICATED
            # A token that was replaced while the call was on its way; nothing was done by it.
            if not refused or (anew := self._metadata()) == shown:
                raise from_rpc_error(error) from None
        try:
            return await method(request, metadata=anew, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        # Read each time: the node draws another one at each start, and every day.
        own = self._config.console_token_file
        # A node that has been running since before the program was updated draws none.
        file = own if own.exists() else self._config.token_file
        try:
            return (bearer(load_token(file)),)
        except HuyingError:
            raise HuyingError(Code.UNREACHABLE, "the API's token can't be read") from None

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self._address,
                options=(
                    ("grpc.enable_http_proxy", 0),
                    ("grpc.max_receive_message_length", BUNDLE_BYTES_MAX + MIB),
                    # A node that was started again is found again within a second.
                    ("grpc.initial_reconnect_backoff_ms", 200),
                    ("grpc.min_reconnect_backoff_ms", 200),
                    ("grpc.max_reconnect_backoff_ms", 1000),
                ),
            )
        return self._channel
