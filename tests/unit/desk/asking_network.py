"""A county, a town and a village with real stores: the village answers, the other two ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.census.tally import question_draft, tally_record
from huying.common.census.template import Template
from huying.common.effects import Append, Appended, AppendReceipt, DraftEntry
from huying.node.census.census_answers import CensusAnswers
from huying.node.census.census_templates import template
from huying.node.desk import census as desk
from huying.node.settings import AskSection
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.wire.v1 import census_pb2, feed_pb2, records_pb2
from tests.support.late_network import LateNetwork
from tests.support.tiny_network import GRID, VILLAGE, identity, put

RESIDENT, HOUSEHOLD = feed_pb2.RECORD_TYPE_RESIDENT, feed_pb2.RECORD_TYPE_HOUSEHOLD
EVENT, TALLY = feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_TALLY
MONTH, EARLIER = "2023-10", "2023-09"  # the network's clock stands in November 2023
BANDS = "residents-by-age-band"
BATCH = 500


class _Runtime:
    """`Runtime` over one engine of the network."""

    def __init__(self, network: AskingNetwork, code: str) -> None:
        self._network = network
        self._code = code

    async def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        network = self._network
        network.clock.seconds += 1
        effects = network.engines[self._code].step([Append(object(), tuple(drafts))])
        (answer,) = (one for one in effects if isinstance(one, Appended))
        network._effects(self._code, [one for one in effects if one is not answer])
        network.run()
        if answer.error is not None:
            raise answer.error
        return answer.receipts

    async def operate(self, operation: Any) -> Any:
        return self._network.operate(self._code, operation)

    def status(self) -> Any:
        return self._network.engines[self._code].status()


class AskingNetwork(LateNetwork):
    """`answers` is the village's setting of that name."""

    answers = "all"

    def node(self, code: str) -> Any:
        """The node as a component, and as a handler, needs it."""
        return SimpleNamespace(
            config=SimpleNamespace(
                node=SimpleNamespace(code=code),
                ask=AskSection(answers=self.answers),
                database_file=self.files[code],
            ),
            clock=self.clock,
            runtime=_Runtime(self, code),
            reader=FileReader(sqlite_url(self.files[code])),
        )

    def answer(self) -> int:
        """The village goes through its questions; how many it answered."""

        async def once() -> int:
            node = self.node(VILLAGE)
            component = CensusAnswers(node)
            try:
                return await component.run_once()
            finally:
                await component.stop()
                node.reader.close()

        return asyncio.run(once())

    def ask(self, at: str, name: str = BANDS, **wishes: str) -> census_pb2.AskResponse:
        """The handler's response. Raises what it refuses with."""
        node = self.node(at)
        try:
            request = census_pb2.AskRequest(template=name, **{"area": at} | wishes)
            return asyncio.run(desk.ask(node, request))
        finally:
            node.reader.close()

    def question(self, at: str, asked: Template, *several: dict[str, Any], **changed: Any) -> None:
        """Entries that a hostile asker could write: any field of each changed."""
        drafts = []
        for fields in several or (changed,):
            message = question_draft(asked, at, MONTH, "", "").message
            for name, value in fields.items():
                setattr(message, name, value)
            drafts.append(put(feed_pb2.RECORD_TYPE_QUESTION, message, b"", (f"{at}/*",)))
        for start in range(0, len(drafts), BATCH):
            self.append(at, *drafts[start : start + BATCH])

    def size(self, code: str = VILLAGE) -> int:
        """How many entries the feed of a node has."""
        feed = self.stores[code].feed(identity(code).origin)
        assert feed is not None
        return feed.size

    def tally(self, at: str, name: str = BANDS, month: str = MONTH) -> census_pb2.Tally | None:
        """The village's answer as another node holds it."""
        record = tally_record(name, template(name).version, month)
        row = self.stores[at].get_record(TALLY, VILLAGE, record)
        return None if row is None else census_pb2.Tally.FromString(row.message)

    def settle_people(self, *born: str, key_population: str = "") -> list[bytes]:
        """A household of its own for each; the residents' record ids."""
        records = []
        for start in range(0, len(born), BATCH):
            part = born[start : start + BATCH]
            homes = self.append(
                VILLAGE,
                *(put(HOUSEHOLD, records_pb2.Household(grid=GRID, resident_count=1)) for _ in part),
            )
            people = self.append(
                VILLAGE,
                *(
                    put(
                        RESIDENT,
                        self.resident(
                            birth_date=date, household=home.record, key_population=key_population
                        ),
                    )
                    for date, home in zip(part, homes, strict=True)
                ),
            )
            records += [one.record for one in people]
        return records


@contextmanager
def asking_network(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[AskingNetwork]:
    network = AskingNetwork(folder)
    patch.setattr(desk, "SystemClock", lambda: network.clock)
    try:
        yield network
    finally:
        network.close()
