"""A village that seals copies, and what its town keeps of them."""

from __future__ import annotations

from huying.common.copies.sealed import SealedCopy, open_sealed
from huying.common.copies.sealing import Sealing
from huying.common.effects import (
    DraftEntry,
)
from huying.common.feed.hpke import SealKey
from huying.common.feed.leaf import unpack_openings
from huying.common.limits import SEALED_QUIET_SECONDS
from huying.node.store.sealed_copies import SqlCopyShelf, read_copies, read_copy
from huying.wire.v1 import feed_pb2, sync_pb2, trust_pb2
from tests.support.tiny_network import TOWN, VILLAGE, TinyNetwork

__all__ = [
    "EVENT",
    "KEY",
    "ORIGIN",
    "RESIDENT",
    "erase",
    "kept",
    "opened",
    "openings",
    "pass_time",
    "settle",
    "switch_on",
]


KEY = SealKey(bytes(range(32)))


ORIGIN = f"wenshang.example/feed/{VILLAGE}/e1"


EVENT, RESIDENT = feed_pb2.RECORD_TYPE_EVENT, feed_pb2.RECORD_TYPE_RESIDENT


def switch_on(network: TinyNetwork, key: bytes = KEY.public_key) -> None:
    for code, engine in network.engines.items():
        shelf = SqlCopyShelf(network.stores[code])
        engine.sealing = Sealing(engine, shelf, key if code == VILLAGE else b"")
        for session in engine.sessions.values():
            engine.sealing.greeted(session)
    network.run()


def pass_time(network: TinyNetwork, seconds: float) -> None:
    """Second by second, since a node does one thing a second."""
    for _ in range(int(seconds)):
        network.clock.seconds += 1
        network.run()


def settle(network: TinyNetwork) -> None:
    pass_time(network, 2 * SEALED_QUIET_SECONDS)


def kept(network: TinyNetwork) -> list[SealedCopy]:
    return read_copies(network.stores[TOWN], VILLAGE)


def opened(network: TinyNetwork, key: SealKey = KEY) -> dict[int, feed_pb2.Entry]:
    found = {}
    for row in kept(network):
        copy = read_copy(network.stores[TOWN], row.origin, row.start)
        assert copy is not None
        for one in sync_pb2.Disclose.FromString(open_sealed(key, copy)).entries:
            found[one.index] = one.entry
    return found


def openings(network: TinyNetwork, code: str, index: int) -> list[bytes]:
    store = network.stores[code]
    feed = store.feed(ORIGIN)
    assert feed is not None
    return unpack_openings(store.entries(feed.feed_id, index, index + 1)[0].openings)


def erase(network: TinyNetwork, index: int) -> None:
    message = trust_pb2.Erasure(
        ranges=[trust_pb2.IndexRange(start=index, stop=index + 1)], reason="a test"
    )
    draft = DraftEntry(feed_pb2.KIND_ERASE, feed_pb2.RECORD_TYPE_ERASURE, message)
    network.append(VILLAGE, draft)
