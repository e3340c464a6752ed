"""What an operator does about people: discloses a number, erases a field, erases a whole record.

The people are the clerk's own, so that each has a number that nobody else has: a search over a
database tells whose it holds. Whoever got no answer asks again, as at any desk.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial

from huying.common.effects import DraftEntry, Operate, Operated, Operation
from huying.common.errors import Code
from huying.common.late.requests import DiscloseRecord, EraseRecord
from huying.wire.v1 import feed_pb2, records_pb2
from tests.simulator.machine import Request, SimNode
from tests.simulator.tree import COUNTY, PARENT, TOWNS, VILLAGES
from tests.simulator.workload import VILLAGE_CANARY, Workload
from tests.simulator.world import World

NUMBER = "6464646464"
_PATIENCE_SECONDS = 6.0
# It is done already, or will be possible later.
_DONE = frozenset({Code.NOT_FOUND, Code.INVALID_ARGUMENT})  # or too late for its expiry
_LATER = frozenset({Code.BUSY, Code.RECOVERING, Code.DISK_FULL})


@dataclass(slots=True, eq=False)
class Errand:
    """One operation at one node, until it is answered; also its token."""

    node: SimNode = field(repr=False)  # or the trace would show where it lies in memory
    operation: Operation
    done: bool = False

    def answered(self, effect: Operated) -> None:
        code = effect.error.code if effect.error is not None else None
        assert code is None or code in _DONE | _LATER, effect.error
        self.done = code not in _LATER


@dataclass(slots=True, eq=False)
class Person:
    """One record of the clerk's, and what was decided about it."""

    number: str
    request: Request
    erased: bool = False  # whole


class Clerk:
    """Plans the decisions of one run."""

    def __init__(self, workload: Workload, *, seconds: float, people: int = 5) -> None:
        self.world: World = workload.world
        self.people: list[Person] = []
        self.errands: list[Errand] = []
        self._workload = workload
        self._random = random.Random(f"clerk {self.world.seed}")
        self._due = people  # decisions still to be taken
        for number in range(people):
            at = self._random.uniform(0, 0.6 * seconds)
            self.world.at(at, partial(self._register, number, seconds))

    @property
    def is_done(self) -> bool:
        """Whether everything was decided, and every decision was carried out at home."""
        return not self._due and all(errand.done for errand in self.errands)

    def _register(self, number: int, seconds: float) -> None:
        chance = self._random
        phone = f"{NUMBER}{number:05d}"
        if chance.random() < 0.8:
            code = chance.choice(VILLAGES)
            secret = f"{VILLAGE_CANARY} {phone}"
            resident = records_pb2.Resident(
                grid=code + "001", name=secret, health=secret, id_number=secret, phone=phone
            )
            draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_RESIDENT, resident)
        else:
            code = chance.choice((COUNTY, *TOWNS))
            below = [one for one in PARENT if one != code and code in _line(one)]
            division = records_pb2.Division(code=code, name=phone)
            to = (f"={chance.choice(below)}",)
            draft = DraftEntry(feed_pb2.KIND_PUT, feed_pb2.RECORD_TYPE_DIVISION, division, to=to)
        person = Person(phone, self._workload.submit(code, draft))
        self.people.append(person)
        self.world.after(chance.uniform(1, 0.4 * seconds), partial(self._decide, person))

    def _decide(self, person: Person) -> None:
        """Some are disclosed, some erased, some one after the other."""
        if person.request.answered is None:  # not written yet, for all that anybody knows
            self.world.after(2.0, partial(self._decide, person))
            return
        chance, node = self._random, person.request.node
        (receipt,) = person.request.answered.receipts
        fate = chance.choice(("disclose", "erase", "both", "field"))
        is_person = node.code in VILLAGES
        if fate in ("disclose", "both"):
            fields = ("phone",) if is_person else ("code", "name", "urban_rural_code")
            readers = _line(node.code) or VILLAGES
            if not is_person:
                readers = tuple(one for one in PARENT if node.code in _line(one))
            expires = 0
            if chance.random() < 0.3:
                expires = int((node.clock.now() + chance.uniform(5, 60)) * 1e6)
            self._send(
                node,
                DiscloseRecord(receipt.record, fields, (chance.choice(readers),), "sim", expires),
            )
        if fate in ("erase", "both"):
            person.erased = True
            erase = EraseRecord(receipt.record, (), "sim")
            self.world.after(chance.uniform(0, 8), partial(self._send, node, erase, last=True))
        elif fate == "field" and is_person:
            self._send(node, EraseRecord(receipt.record, ("phone",), "sim"), last=True)
        else:
            self._due -= 1

    def _send(self, node: SimNode, operation: Operation, *, last: bool = False) -> None:
        errand = Errand(node, operation)
        self.errands.append(errand)
        self._due -= last
        self._ask(errand)

    def _ask(self, errand: Errand) -> None:
        if not errand.done:
            errand.node.give(Operate(errand, errand.operation))
            pause = self._random.uniform(0.5, 2.0) * _PATIENCE_SECONDS
            self.world.after(pause, partial(self._ask, errand))

    def check(self) -> None:
        """Nothing of whoever was erased is in any page of any database."""
        for person in self.people:
            if not person.erased:
                continue
            for code, node in self.world.nodes.items():
                image = node.store.inner.image()
                assert person.number.encode() not in image, f"{person.number} at {code}"


def _line(code: str) -> tuple[str, ...]:
    """Every ancestor, nearest first."""
    found = []
    above = PARENT[code]
    while above is not None:
        found.append(above)
        above = PARENT[above]
    return tuple(found)
