"""The demo's course: registers are loaded, then the requests come as they came.

Everybody in it acts through the API of a node of theirs, and learns of the others' deeds there
alone; just the clerk's word that an event is settled goes to the village by telephone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.hub.demo.api import NodeApi
from huying.hub.demo.canary import Canaries
from huying.hub.demo.county import CountyCentre
from huying.hub.demo.fates import Fates, fates_of
from huying.hub.demo.outcome import Delays, Statuses, converge, delays_of
from huying.hub.demo.plan import COUNTY, TOWNS, Duties, Sizes, record_id, villages
from huying.hub.demo.requests import Request, read_requests, shift_micros
from huying.hub.demo.story import Story
from huying.hub.demo.town import TownClerk
from huying.hub.demo.village import VillageWorker
from huying.hub.fleet import Fleet, Member

__all__ = ["Play", "check_alive"]

CONVERGE_SECONDS_MAX: Final = 30.0
PATIENCE_SECONDS: Final = 60.0  # past the stream's length
_CHECK_SECONDS: Final = 1.0


class Play:
    """One run over a fleet whose nodes are up.

    `make_api` makes each person's client; with one that is patient, and `nodes_may_end`, nodes may
    be killed and started again meanwhile.
    """

    def __init__(
        self,
        fleet: Fleet,
        sizes: Sizes,
        *,
        make_api: Callable[[Member], NodeApi] = NodeApi,
        nodes_may_end: bool = False,
    ) -> None:
        self._make_api = make_api
        self._nodes_may_end = nodes_may_end
        everything = read_requests()
        self._requests = everything[: sizes.requests]
        self._sizes = sizes
        self._fleet = fleet
        self._duties = Duties(everything)
        self._shift = shift_micros(everything, int(time.time() * 1e6))
        self.canaries = Canaries()
        self._fates = _plan_fates(self._requests, self._duties)
        self.story = _plan_story(self._requests, self._duties, self._fates)
        self.statuses: Statuses = {}  # as seen last, for the screen
        self.delays = Delays(())
        self.live_delays = Delays(())
        self.stream_seconds = 0.0
        self.agreed = False

    async def run(self) -> None:
        """Raises HuyingError where a node refuses, dies or does not come to an end."""
        apis = {member.code: self._make_api(member) for member in self._fleet}
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._watch_processes()),
                    tasks.create_task(self._poll(list(apis.values()))),
                ]
                workers = {
                    code: VillageWorker(
                        apis[code], self.story, self.canaries, self._sizes, self._shift
                    )
                    for code in villages()
                }
                await self._load(apis, workers)
                loaded = delays_of(self.statuses.values())
                background += self._start_people(tasks, apis, workers)
                await self._stream(list(workers.values()))
                self.statuses, self.agreed = await converge(
                    list(apis.values()), CONVERGE_SECONDS_MAX
                )
                self.delays = delays_of(self.statuses.values())
                self.live_delays = self.delays - loaded
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            await asyncio.gather(*(api.close() for api in apis.values()))

    async def _load(self, apis: dict[str, NodeApi], workers: dict[str, VillageWorker]) -> None:
        """Every register, all villages at once; until every node holds them."""
        today = datetime.now(UTC).date()
        registers = {code: worker.register(today) for code, worker in workers.items()}
        await self._centre(apis[COUNTY]).prepare()
        self.story.totals["loaded"] = sum(len(drafts) for drafts in registers.values())
        await asyncio.gather(*(workers[code].load(drafts) for code, drafts in registers.items()))
        self.statuses, _ = await converge(list(apis.values()), CONVERGE_SECONDS_MAX)

    def _centre(self, api: NodeApi) -> CountyCentre:
        return CountyCentre(api, self.story, self.canaries, self._duties, self._fates)

    def _start_people(
        self, tasks: asyncio.TaskGroup, apis: dict[str, NodeApi], workers: dict[str, VillageWorker]
    ) -> list[asyncio.Task[None]]:
        async def telephone(village: str, event: bytes) -> None:
            await workers[village].settle(event)

        clerks = [
            TownClerk(apis[town], self.story, self.canaries, self._duties, self._fates, telephone)
            for town in TOWNS
        ]
        return [
            tasks.create_task(self._centre(apis[COUNTY]).work()),
            *(tasks.create_task(clerk.work()) for clerk in clerks),
            *(tasks.create_task(worker.follow_calls()) for worker in workers.values()),
            *(tasks.create_task(worker.decide_provisions()) for worker in workers.values()),
        ]

    async def _stream(self, workers: Sequence[VillageWorker]) -> None:
        """Report every request when its time has come, one at a time; until all are settled."""
        seconds = self._sizes.stream_seconds
        started = time.monotonic()
        async with asyncio.TaskGroup() as reports:
            for number, request in enumerate(self._requests):
                due = started + seconds * _moment(self._requests, number)
                await asyncio.sleep(due - time.monotonic())
                worker = workers[number % len(workers)]
                reports.create_task(worker.report(number, request))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.story.settled.wait()
        except TimeoutError:
            counts = ", ".join(f"{key} {count}" for key, count in self.story.counts.items())
            raise HuyingError(Code.UNKNOWN, f"the calls came to no end: {counts}") from None
        self.stream_seconds = time.monotonic() - started

    async def _poll(self, apis: Sequence[NodeApi]) -> None:
        while True:
            found = await asyncio.gather(*(api.status() for api in apis))
            self.statuses = {status.code: status for status in found}
            await asyncio.sleep(_CHECK_SECONDS)

    async def _watch_processes(self) -> None:
        while not self._nodes_may_end:
            check_alive(self._fleet)
            await asyncio.sleep(_CHECK_SECONDS)


def check_alive(fleet: Fleet) -> None:
    """Raises HuyingError(UNREACHABLE) with the end of the log of a node that has died."""
    for member in fleet:
        if member.process is not None and member.process.poll() is not None:
            tail = member.log_file.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise HuyingError(
                Code.UNREACHABLE,
                f"{member.place.name} {member.code} ended with exit code "
                f"{member.process.returncode}; the end of {member.log_file}:\n{tail}",
            )


def _moment(requests: Sequence[Request], number: int) -> float:
    """When a request is due, from 0 to 1: halfway between its real time and an even pace.

    The evening has its rush hours, which compressed would be a benchmark of bursts.
    """
    first, last = requests[0].created_micros, requests[-1].created_micros
    real = (requests[number].created_micros - first) / max(1, last - first)
    return (min(1.0, max(0.0, real)) + number / len(requests)) / 2


def _called(requests: Sequence[Request], duties: Duties) -> list[bytes]:
    """The events that the towns call the county for."""
    events = [record_id("event", number) for number in range(len(requests))]
    return [
        event
        for event, request in zip(events, requests, strict=True)
        if duties.is_called(request.category, event)
    ]


def _plan_fates(requests: Sequence[Request], duties: Duties) -> Fates:
    return fates_of(_called(requests, duties))


def _plan_story(requests: Sequence[Request], duties: Duties, fates: Fates) -> Story:
    """What will have happened in the end."""
    called = len(_called(requests, duties))
    return Story(
        totals={
            "reported": len(requests),
            "raised": called,
            "answered": called,
            "confirmed": called,
            "closed": called,
            "settled": len(requests),
        },
        followed=fates.followed or record_id("event", 0),
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure in a group of groups; one that says what is wrong where there is one."""
    leaves: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        one = stack.pop(0)
        if isinstance(one, BaseExceptionGroup):
            stack += one.exceptions
        else:
            leaves.append(one)
    # A dead node makes many calls fail; that it died says most.
    leaves.sort(key=lambda one: "exit code" not in str(one))
    return leaves[0]
