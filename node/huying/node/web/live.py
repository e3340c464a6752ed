"""What stirs, told to the browsers: one stream of server-sent events for each open page.

The node's own stream of changes is followed once, and becomes topics: `calls`, `call:HEX`,
`events`, `orders`, `provisions`. A page names the topics that it shows; its script loads itself
again when one of them stirs. Nothing of a record is sent, just that it changed, so the stream needs
no scope.

Two topics come of no record. `status` stirs every few seconds, for pages of figures. `link`, which
every page shows, stirs where the node or its parent went or came back, and once a minute for what
is told of the time: an open page on a thin line must not load itself for nothing.

Who has a call's page open is known by these streams, too: `others` tells two people of each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.errors import HuyingError
from huying.node.background import end_task, keep_up
from huying.node.web.node_link import NodeLink
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, provision_pb2

__all__ = ["STREAMS_MAX", "STREAMS_OF_PERSON_MAX", "TOPICS_MAX", "LiveHub", "Viewer"]

STREAMS_MAX: Final = 512  # open pages at once; another one is refused and asks again later
STREAMS_OF_PERSON_MAX: Final = 24  # of them; the oldest of one person gives way to another
TOPICS_MAX: Final = 8
_REMEMBERED_MAX: Final = 4096  # topics whose last stir is known; calls, for the most part
_STATUS_SECONDS: Final = 5.0
_MINUTE_TICKS: Final = 12  # of `status`: what tells the time is as old as that at most
_BEAT_TICKS: Final = 6  # every page's stream is heard of, so that one that is over can end
_AGAIN_SECONDS: Final = 1.0  # between two tries to follow a node that is away, or refuses
_TYPES: Final = {
    feed_pb2.RECORD_TYPE_CALL: "calls",
    feed_pb2.RECORD_TYPE_CALL_STEP: "calls",
    feed_pb2.RECORD_TYPE_CALL_DRAFT: "calls",
    feed_pb2.RECORD_TYPE_EVENT: "events",
    feed_pb2.RECORD_TYPE_EVENT_HANDLING: "events",
    feed_pb2.RECORD_TYPE_ORDER: "orders",
    feed_pb2.RECORD_TYPE_ORDER_RESULT: "orders",
    feed_pb2.RECORD_TYPE_PROVISION_REQUEST: "provisions",
    feed_pb2.RECORD_TYPE_PROVISION_DECISION: "provisions",
    feed_pb2.RECORD_TYPE_PROVISION_RECEIPT: "provisions",
}


@dataclass(slots=True, eq=False)
class Viewer:
    """One open page."""

    name: str
    person_id: str
    topics: frozenset[str]
    call: str = ""  # hex id of the call that the page shows
    seen: int = -1  # `LiveHub.count` when the page was asked for; -1: look again at once
    is_over: bool = False  # another page of the same person took its place
    stirred: set[str] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class LiveHub:
    """Follows the node from `start` to `stop`, for the event loop's pages."""

    def __init__(self, node: NodeLink) -> None:
        self._node = node
        self._viewers: dict[Viewer, None] = {}  # in the order of their coming
        self.count = 0  # of what stirred so far
        self._newest: OrderedDict[str, int] = OrderedDict()  # by topic, the count of its last one
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to follow the node."""
        self._tasks = [
            asyncio.create_task(keep_up("live", work)) for work in (self._follow, self._tick)
        ]

    async def stop(self) -> None:
        """Follow it no more."""
        for task in self._tasks:
            await end_task(task)

    @property
    def is_full(self) -> bool:
        """Whether no other stream is taken."""
        return len(self._viewers) >= STREAMS_MAX

    @property
    def viewer_count(self) -> int:
        """How many pages are open."""
        return len(self._viewers)

    def others(self, call: str, person_id: str) -> list[str]:
        """Names of the other people who have that call's page open, sorted."""
        return sorted(
            {v.name for v in self._viewers if v.call == call and v.person_id != person_id}
        )

    def stir(self, topics: Iterable[str]) -> None:
        """Tell the pages that show one of these topics."""
        found = set(topics)
        self.count += 1
        for topic in found:
            self._newest[topic] = self.count
            self._newest.move_to_end(topic)
        while len(self._newest) > _REMEMBERED_MAX:
            self._newest.popitem(last=False)
        for viewer in self._viewers:
            if hit := viewer.topics & found:
                viewer.stirred |= hit
                viewer.wake.set()

    async def stream(self, viewer: Viewer) -> AsyncGenerator[str]:
        """The data of each event, as JSON: the topics that stirred since the last one.

        The first tells what stirred between the page and its stream. One without a topic comes now
        and then, for whoever asks at each one whether the person is still signed in.
        """
        self._make_room(viewer.person_id)
        self._viewers[viewer] = None
        if viewer.call:
            self.stir([f"presence:{viewer.call}"])
        try:
            yield json.dumps({"topics": self._missed(viewer)})
            while True:
                await viewer.wake.wait()
                viewer.wake.clear()
                if viewer.is_over:
                    return
                topics, viewer.stirred = sorted(viewer.stirred), set()
                yield json.dumps({"topics": topics})
        finally:
            self._viewers.pop(viewer, None)
            if viewer.call:
                self.stir([f"presence:{viewer.call}"])

    def _make_room(self, person_id: str) -> None:
        """One person can't take the places of all; a page that vanished unheard holds none."""
        own = [one for one in self._viewers if one.person_id == person_id and not one.is_over]
        for oldest in own[: max(0, len(own) + 1 - STREAMS_OF_PERSON_MAX)]:
            oldest.is_over = True
            oldest.wake.set()

    def _missed(self, viewer: Viewer) -> list[str]:
        """What stirred after the page was asked for; all of its topics where that is not known."""
        oldest = next(iter(self._newest.values()), 0)
        forgotten = len(self._newest) >= _REMEMBERED_MAX and viewer.seen < oldest
        if not 0 <= viewer.seen <= self.count or forgotten:
            return sorted(viewer.topics)
        return sorted(t for t in viewer.topics if self._newest.get(t, 0) > viewer.seen)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(HuyingError):
                async for record in self._node.watch(*_TYPES):
                    self.stir(_topics(record))
            self.stir(["status", "link"])
            await self._come_back()
            # What came meanwhile was not told: every page looks for itself.
            self.stir({topic for viewer in self._viewers for topic in viewer.topics})

    async def _come_back(self) -> None:
        # A node that answers may refuse to be followed all the same: once a second is enough then.
        await asyncio.sleep(_AGAIN_SECONDS)
        while not (await self._node.state()).is_up:  # noqa: ASYNC110  # nobody could wake us
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _tick(self) -> None:
        known, ticks = await self._link(), 0
        while True:
            await asyncio.sleep(_STATUS_SECONDS)
            ticks += 1
            link = await self._link()
            is_due = link != known or ticks % _MINUTE_TICKS == 0
            known = link
            self.stir(["status", "link"] if is_due else ["status"])
            if ticks % _BEAT_TICKS == 0:
                for viewer in self._viewers:
                    viewer.wake.set()

    async def _link(self) -> tuple[bool, bool]:
        """Whether the node answers, and whether it is cut off: what every page tells."""
        freshness = await self._node.state()
        return freshness.is_up, freshness.is_cut_off


def _topics(record: api_pb2.RecordView) -> list[str]:
    topic = _TYPES.get(record.type)
    if topic is None:
        return []
    found = [topic]
    with contextlib.suppress(DecodeError):
        if record.type == feed_pb2.RECORD_TYPE_CALL:
            found.append(f"call:{record.record.hex()}")
        elif record.type == feed_pb2.RECORD_TYPE_CALL_STEP:
            found.append(f"call:{calls_pb2.CallStep.FromString(record.message).call.hex()}")
        elif record.type == feed_pb2.RECORD_TYPE_PROVISION_REQUEST:
            request = provision_pb2.ProvisionRequest.FromString(record.message)
            if request.call:
                found.append(f"call:{request.call.hex()}")
    return found
