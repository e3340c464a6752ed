"""What people do at the nodes: villages report, towns call, and desks see to the calls.

Every personal field carries a canary that names how far it may travel, so that one search over a
frame or a database tells whether it went further. People are stubborn: whoever got no answer asks
again with the same request id, so that an entry must be neither lost nor doubled.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from google.protobuf.message import Message

from huying.common.calls.call_drafts import raise_draft
from huying.common.effects import Append, DraftEntry
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2
from tests.simulator.desks import Desks
from tests.simulator.machine import Request, SimNode
from tests.simulator.tree import COUNTY, PARENT, TOWNS, VILLAGES
from tests.simulator.world import World

VILLAGE_CANARY = "KANARI-CUN"
TOWN_CANARY = "KANARI-ZHEN"
VILLAGE_PHONE = "424242424242"
TOWN_PHONE = "535353535353"

_PATIENCE_SECONDS = 8.0
_LEDGER_CHANCE = 0.02


class Workload:
    """Plans who does what when, and keeps what they were told."""

    def __init__(self, world: World, *, seconds: float) -> None:
        self.world = world
        self.random = random.Random(f"workload {world.seed}")
        self.requests: list[Request] = []
        self.desks = Desks(world, self)
        self._numbers = 0
        chance = self.random
        for village in VILLAGES:
            for _ in range(chance.randint(2, 6)):
                world.at(chance.uniform(0, seconds), partial(self._village, village))
        for town in TOWNS:
            for _ in range(chance.randint(1, 2)):
                world.at(chance.uniform(0, seconds), partial(self._town, town))
            for _ in range(chance.randint(0, 2)):
                world.at(chance.uniform(0, seconds), partial(self._division, town))
        for _ in range(chance.randint(0, 3)):
            world.at(chance.uniform(0, seconds), partial(self._division, COUNTY))

    @property
    def is_done(self) -> bool:
        """Whether everybody has an answer, and every call has come to its end."""
        answered = all(request.answered is not None for request in self.requests)
        return answered and self.desks.are_done

    def acknowledged(self) -> list[tuple[SimNode, int, bytes]]:
        """(node, index, record) of every draft that somebody was told is durable."""
        return [
            (request.node, receipt.index, receipt.record)
            for request in self.requests
            if request.answered is not None
            for receipt in request.answered.receipts
        ]

    # Asking a node to write.

    def submit(self, code: str, *drafts: DraftEntry, contested: bool = False) -> Request:
        """Have it written; every draft gets an id of its own, so that it can be counted.

        What is `contested` may be refused, for another's step came first.
        """
        named = tuple(
            replace(
                draft,
                record=draft.record or self.random.randbytes(16),
                request_id=self.random.randbytes(16),
            )
            for draft in drafts
        )
        request = Request(self.world.nodes[code], Append(None, named), is_contested=contested)
        request.append = Append(request, named)
        self.requests.append(request)
        self._ask(request)
        return request

    def _ask(self, request: Request) -> None:
        """Ask until there is an answer; the ones who ask may be faster than the node."""
        if request.answered is None:
            request.node.give(request.append)
            pause = self.random.uniform(0.5, 2.0) * _PATIENCE_SECONDS
            self.world.after(pause, partial(self._ask, request))

    # What is written.

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _village(self, code: str) -> None:
        # Now and then a whole ledger at once: more than one segment takes, under one checkpoint.
        count = 90 if self.random.random() < _LEDGER_CHANCE else self.random.choice((1, 1, 2, 4))
        self.submit(code, *(self._report(code) for _ in range(count)))

    def _report(self, code: str) -> DraftEntry:
        number = self._number()
        grid = f"{code}{self.random.randint(1, 3):03d}"
        secret = f"{VILLAGE_CANARY} {number}"
        phone = f"{VILLAGE_PHONE}{number:04d}"
        kind = self.random.choice(("event", "event", "event", "household", "resident", "worker"))
        if kind == "household":
            household = records_pb2.Household(
                grid=grid, resident_count=3, address=secret, head_name=secret, phone=phone
            )
            return _put(feed_pb2.RECORD_TYPE_HOUSEHOLD, household)
        if kind == "resident":
            resident = records_pb2.Resident(
                grid=grid, name=secret, id_number=phone, health=secret, key_population=secret
            )
            return _put(feed_pb2.RECORD_TYPE_RESIDENT, resident)
        if kind == "worker":
            worker = records_pb2.GridWorker(
                grid=grid,
                role=records_pb2.GRID_ROLE_WORKER,
                name=f"{TOWN_CANARY} {number}",
                phone=f"{TOWN_PHONE}{number:04d}",
                id_number=phone,
            )
            return _put(feed_pb2.RECORD_TYPE_GRID_WORKER, worker)
        event = records_pb2.Event(
            category="噪声",
            descriptor=f"event {number}",
            grid=grid,
            status=records_pb2.EVENT_STATUS_REPORTED,
            reported_micros=1,
            description_public="夜间施工",
            address=f"{TOWN_CANARY} {number}",
            description_full=secret,
            reporter_name=secret,
            reporter_phone=phone,
        )
        return _put(feed_pb2.RECORD_TYPE_EVENT, event)

    def _town(self, code: str) -> None:
        village = self.random.choice([v for v in VILLAGES if PARENT[v] == code] + [""])
        number = self._number()
        call = calls_pb2.Call(
            sequencer=COUNTY,
            category="噪声",
            title=f"call {number}",
            village=village,
            contact_name=f"{TOWN_CANARY} {number}",
            contact_phone=f"{TOWN_PHONE}{number:04d}",
        )
        request = self.submit(code, raise_draft(code, call))
        self.desks.raised(request.append.drafts[0].record, code, call)

    def _division(self, code: str) -> None:
        """The node speaks of itself, to everybody below or to a few."""
        below = [c for c in PARENT if c != code and _is_below(c, code)]
        audiences = [(), (), (f"={self.random.choice(below)}",)]
        if code == COUNTY:
            town, village = self.random.choice(TOWNS), self.random.choice(VILLAGES)
            audiences += [(f"{town}/*",), (f"{town}/*", f"={village}"), (f"={town}",)]
        division = records_pb2.Division(code=code, name=f"division {self._number()}")
        draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, division)
        self.submit(code, replace(draft, to=self.random.choice(audiences)))


def _put(record_type: int, message: Message) -> DraftEntry:
    return DraftEntry(feed_pb2.KIND_PUT, record_type, message)


def _is_below(code: str, region: str) -> bool:
    above = PARENT[code]
    while above is not None:
        if above == region:
            return True
        above = PARENT[above]
    return False
