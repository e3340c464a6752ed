"""kill -9 at any moment loses nothing that was acknowledged, and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter

import pytest

from huying.common.effects import DraftEntry
from huying.hub.demo.api import NodeApi
from huying.hub.demo.outcome import converge, disagreements
from huying.hub.demo.plan import COUNTY, NETWORK, TIMING, TOWNS, Sizes, places, villages
from huying.hub.demo.play import Play
from huying.hub.fleet import Fleet, Member
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, records_pb2

TOWN = next(iter(TOWNS))
VILLAGE = TOWNS[TOWN][0]
SEED = 1
EVENT = feed_pb2.RECORD_TYPE_EVENT
STEP = feed_pb2.RECORD_TYPE_CALL_STEP
KILLS_PER_TIER = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Noting(NodeApi):
    """A patient client that notes what was acknowledged to it."""

    acknowledged: list[api_pb2.Receipt]

    def __init__(self, member: Member, noted: list[api_pb2.Receipt]) -> None:
        super().__init__(member, patient=True)
        self._noted = noted

    async def append(self, drafts):
        receipts = await super().append(drafts)
        self._noted += receipts
        return receipts

    async def raise_call(self, call):
        response = await super().raise_call(call)
        self._noted.append(response.receipt)
        return response

    async def take_step(self, step):
        response = await super().take_step(step)
        self._noted.append(response.receipt)
        return response


class Killer(threading.Thread):
    """Kills one node after another at random moments, and starts it again at once."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        super().__init__(name="killer", daemon=True)
        self._fleet = fleet
        self._random = random.Random(seed)
        self.killed: list[str] = []
        self.failure: Exception | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        tiers = [[COUNTY], list(TOWNS), villages()]
        plan = [self._random.choice(tier) for tier in tiers for _ in range(KILLS_PER_TIER)]
        self._random.shuffle(plan)
        try:
            for code in plan:
                if self.stop.wait(self._random.uniform(0.3, 2.0)):
                    return
                member = self._fleet[code]
                member.kill()
                self.killed.append(code)
                member.start()
                member.wait_ready()
        except Exception as error:  # noqa: BLE001 - raised again by the test
            self.failure = error


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with Fleet(tmp_path_factory.mktemp("net"), NETWORK) as made:
        made.make(places(), timing=dict(TIMING))
        made.start()
        yield made


def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(fleet):
    """The clerk who read "written" has put the paper away."""
    print(f"seed {SEED}")
    noted: list[api_pb2.Receipt] = []
    killer = Killer(fleet, SEED)
    play = Play(
        fleet,
        Sizes(households=20, requests=300, requests_per_second=15),
        make_api=lambda member: Noting(member, noted),
        nodes_may_end=True,
    )
    killer.start()

    # One event loop for all of it: events that gRPC has for a loop that is closed keep those of
    # the next one waiting.
    async def played():
        try:
            await play.run()
        except BaseException:
            killer.stop.set()
            raise
        finally:
            await asyncio.to_thread(killer.join)
        statuses = await _converge(fleet)
        return statuses, await _entries(fleet[COUNTY])

    statuses, entries = asyncio.run(played())
    assert killer.failure is None
    assert len(killer.killed) == 3 * KILLS_PER_TIER
    assert play.story.counts["confirmed"] == play.story.totals["confirmed"]
    for receipt in noted:
        held = entries[receipt.origin, receipt.index]
        assert held.record == receipt.record or held.type == feed_pb2.RECORD_TYPE_CALL_STEP
    assert len({(one.origin, one.index) for one in noted}) == len(noted)
    _assert_nothing_doubled(entries.values(), play.story.totals)
    assert len(noted) > 900
    quarantined = [feed.quarantined for status in statuses.values() for feed in status.feeds]
    assert not any(quarantined)
    print(f"{len(noted)} acknowledged, killed {Counter(killer.killed)}")


def test_town_and_village_work_on_while_the_county_is_down(fleet):
    """A cut cable in the county town is no holiday in the villages."""
    fleet[COUNTY].kill()
    event = records_pb2.Event(
        category="路灯",
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=1,
    )
    draft = DraftEntry(kind=feed_pb2.KIND_PUT, type=feed_pb2.RECORD_TYPE_EVENT, message=event)

    async def cut_off() -> tuple[bytes, set[bytes]]:
        village, town = NodeApi(fleet[VILLAGE]), NodeApi(fleet[TOWN])
        receipts = [(await village.append([draft]))[0] for _ in range(50)]
        written = {receipt.record for receipt in receipts}
        assert len(written) == 50
        seen = set()
        async with asyncio.timeout(20), contextlib.aclosing(town.watch(EVENT)) as records:
            async for record in records:
                seen.add(record.record)
                if seen >= written:
                    break
        call = calls_pb2.Call(
            sequencer=COUNTY,
            category="路灯",
            title="路灯不亮",
            village=VILLAGE,
            event=receipts[0].record,
        )
        raised = (await town.raise_call(call)).call
        assert (await town.get_call(raised)).stage == api_pb2.CALL_STAGE_RAISED
        await village.close()
        await town.close()
        return raised, written

    async def cut_off_and_healed() -> None:
        raised, written = await cut_off()
        fleet[COUNTY].start()
        fleet[COUNTY].wait_ready()
        await _converge(fleet)
        entries = await _entries(fleet[COUNTY])
        arrived = Counter(e.record for e in entries.values() if e.record in written)
        assert arrived == dict.fromkeys(written, 1)
        for code in (COUNTY, TOWN, VILLAGE):
            await _received(fleet[code], raised)

    asyncio.run(cut_off_and_healed())


async def _received(member: Member, call: bytes) -> None:
    """A county that was away first hears what its children hold of its feed, and then answers."""
    api = NodeApi(member)
    async with asyncio.timeout(20), contextlib.aclosing(api.watch(STEP)) as steps:
        async for _ in steps:
            if (await api.get_call(call)).stage == api_pb2.CALL_STAGE_RECEIVED:
                break
    await api.close()


async def _converge(fleet: Fleet):
    apis = [NodeApi(member, patient=True) for member in fleet]
    try:
        statuses, agreed = await converge(apis, 60.0)
    finally:
        for api in apis:
            await api.close()
    assert agreed, disagreements(statuses)
    return statuses


async def _entries(member: Member) -> dict[tuple[str, int], api_pb2.RecordView]:
    """Every entry that a node shows, by its place; up to the sizes it has now."""
    api = NodeApi(member)
    status = await api.status()
    wanted = {feed.origin: feed.size for feed in status.feeds if feed.size}
    found: dict[tuple[str, int], api_pb2.RecordView] = {}
    async with asyncio.timeout(30), contextlib.aclosing(api.watch()) as records:
        async for record in records:
            found[record.origin, record.index] = record
            if record.index + 1 >= wanted.get(record.origin, 1 << 62):
                del wanted[record.origin]
            if not wanted:
                break
    await api.close()
    return found


def _assert_nothing_doubled(entries, totals):
    """Each event once in each state it went through; each step of each call once."""
    events: Counter = Counter()
    steps: Counter = Counter()
    raised: Counter = Counter()
    reviews: Counter = Counter()
    answers: Counter = Counter()
    for entry in entries:
        if entry.type == feed_pb2.RECORD_TYPE_EVENT:
            event = records_pb2.Event.FromString(entry.message)
            events[entry.record, event.status] += 1
        elif entry.type == feed_pb2.RECORD_TYPE_CALL:
            raised[calls_pb2.Call.FromString(entry.message).event] += 1
        elif entry.type == feed_pb2.RECORD_TYPE_CALL_STEP:
            step = calls_pb2.CallStep.FromString(entry.message)
            kind = step.WhichOneof("step")
            if kind == "took":
                steps[step.took.ref.origin, step.took.ref.index] += 1
                assert step.took.accepted
            elif kind == "review":
                reviews[step.call] += 1
            elif kind in ("answer", "confirm"):
                answers[step.call] += kind == "answer"
                text = step.answer.text or step.unreviewed_text or step.confirm.comment
                steps[entry.home, step.call, kind, text] += 1
            else:
                steps[entry.home, step.call, kind] += 1
    doubled = [key for counts in (events, steps, raised) for key, n in counts.items() if n != 1]
    assert doubled == []
    assert reviews == answers
    assert len(raised) == totals["raised"]
    settled = [key for key in events if key[1] == records_pb2.EVENT_STATUS_SETTLED]
    assert len(settled) == totals["settled"]
