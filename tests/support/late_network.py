"""A county, a town and a village on disk, and what an operator does about a person there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huying.common.effects import Operate, Operated
from huying.common.errors import HuyingError
from huying.common.feed.leaf import unpack_openings
from huying.common.late.requests import DiscloseRecord, EraseRecord
from huying.node.integrity.fsck import check
from huying.node.store.database import sqlite_url
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, TinyNetwork, identity, put

EVERYBODY = (COUNTY, TOWN, VILLAGE)
CANARY = "KANARI-LIU"
PHONE = "13900001234"


class LateNetwork(TinyNetwork):
    """With files, so that what they hold can be searched."""

    def __init__(self, folder: Path) -> None:
        self.files = {code: folder / f"{code}.db" for code in EVERYBODY}
        super().__init__(lambda code: sqlite_url(self.files[code]))

    def write(self, **fields: Any) -> tuple[int, bytes]:
        """(index, record) of a resident of the village, with canaries in every field."""
        draft = put(feed_pb2.RECORD_TYPE_RESIDENT, self.resident(**fields))
        (receipt,) = self.append(VILLAGE, draft)
        return receipt.index, receipt.record

    def resident(self, **fields: Any) -> records_pb2.Resident:
        """A person with canaries in every field."""
        values = {
            "grid": GRID, "name": CANARY, "birth_date": "1950-01-01", "phone": PHONE,
            "health": CANARY, "key_population": CANARY,
        } | fields  # fmt: skip
        return records_pb2.Resident(**values)

    def operate(self, code: str, operation: Any) -> Any:
        """The answer of one operation at a node. Raises what it was refused with."""
        self.clock.seconds += 1
        effects = self.engines[code].step([Operate(object(), operation)])
        (answer,) = (one for one in effects if isinstance(one, Operated))
        self._effects(code, [one for one in effects if one is not answer])
        self.run()
        if answer.error is not None:
            raise answer.error
        return answer.result

    def erase(self, record: bytes, *fields: str, at: str = VILLAGE) -> Any:
        return self.operate(at, EraseRecord(record, fields, "a request"))

    def disclose(self, record: bytes, *fields: str, to: str, seconds: float = 0) -> Any:
        until = int((self.clock.seconds + seconds) * 1e6) if seconds else 0
        return self.operate(VILLAGE, DiscloseRecord(record, fields, (to,), "a purpose", until))

    def wait(self, seconds: float = 20.0) -> None:
        """Let timers run."""
        for _ in range(10):
            self.clock.seconds += seconds / 10
            self.run()

    def slots(self, code: str, index: int, origin: str = VILLAGE) -> list[int]:
        """The slots whose openings a node's database holds of an entry."""
        store = self.stores[code]
        feed = store.feed(identity(origin).origin)
        assert feed is not None
        return [o[0] for o in unpack_openings(store.entries(feed.feed_id, index, index + 1)[0][2])]

    def on_disk(self, code: str, text: str) -> list[str]:
        """The files of a node's database that hold the text."""
        path = self.files[code]
        return [
            one.name
            for one in sorted(path.parent.glob(f"{path.name}*"))
            if text.encode() in one.read_bytes()
        ]

    def check(self) -> None:
        """Nobody accuses anybody, every store is sound, and all say the same of the feed."""
        for code in EVERYBODY:
            assert not self.engines[code].failures, self.engines[code].failures
            assert check(self.stores[code]).problems == []
        roots = {
            self.stores[code].feed(identity(VILLAGE).origin).head.root  # type: ignore[union-attr]
            for code in EVERYBODY
        }
        assert len(roots) == 1


@contextmanager
def late_network(folder: Path) -> Iterator[LateNetwork]:
    network = LateNetwork(folder)
    try:
        yield network
    finally:
        network.close()


def refusal(call: Any) -> HuyingError:
    """What a call is refused with."""
    try:
        call()
    except HuyingError as error:
        return error
    raise AssertionError("it was not refused")
