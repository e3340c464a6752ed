"""Reading a node's store without asking the node: what works while it is down, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from huying.common.errors import HuyingError

if TYPE_CHECKING:
    from huying.node.api.reads import StoreReads
    from huying.node.config import Config
    from huying.node.store.reader import FileReader
    from huying.wire.v1 import api_pb2, trust_pb2

__all__ = ["feed_key", "known_names", "offline_status", "open_reader", "open_reads", "own_members"]


@contextlib.contextmanager
def open_reader(config: Config) -> Iterator[FileReader]:
    """The store, read-only. Raises HuyingError(NOT_FOUND, CONFIG, STORE_FAILED or CORRUPT)."""
    from huying.node.store.database import sqlite_url
    from huying.node.store.reader import FileReader

    reader = FileReader(sqlite_url(config.database_file))
    try:
        yield reader
    finally:
        reader.close()


@contextlib.contextmanager
def open_reads(config: Config) -> Iterator[StoreReads]:
    """The store's records and calls as the API shows them."""
    from huying.node.api.reads import StoreReads

    with open_reader(config) as reader:
        yield StoreReads(reader)


def offline_status(config: Config) -> api_pb2.StatusResponse:
    """What the store and the files say of a node that does not run. Lag is unknown.

    Raises HuyingError as `open_reader`, or KEY where the node's own pin can't be read.
    """
    from huying.common.codes import parse_origin
    from huying.common.feed.merkle import CompactRange, root
    from huying.node.membership.enrol import own_pin
    from huying.wire.v1 import api_pb2

    pin = own_pin(config)
    with open_reader(config) as reader:
        names = known_names(config, reader)
        members = own_members(reader, config.node.code)
    children = [member.code for member in members if not member.HasField("revocation")]
    status = api_pb2.StatusResponse(
        network=config.node.network,
        code=config.node.code,
        name=config.node.name,
        origin=pin.feed_key.split("+", 1)[0],
        verifier_key=pin.feed_key,
        witness_key=pin.witness_key,
        state="down",
        now_micros=time.time_ns() // 1000,
    )
    with open_reader(config) as reader:
        counts = reader.call_counts()
        status.calls_raised = counts.raised
        status.calls_answered = counts.answered
        status.calls_confirmed = counts.confirmed
        for feed in reader.feeds():
            witnessed = [point.size for point in (feed.witnessed, feed.cosigned) if point]
            status.feeds.add(
                origin=feed.origin,
                name=names.get(parse_origin(feed.origin).code, ""),
                size=feed.size,
                root=root(CompactRange(0, feed.size, feed.frontier)),
                state="forked" if feed.frozen else "unknown",
                reason="the node is down",
                remote_head_size=max(feed.size, feed.head.size if feed.head else 0),
                openings_held=feed.openings_held,
                openings_withheld=feed.openings_withheld,
                entries_hidden=feed.entries_hidden,
                quarantined=feed.quarantined,
                missing=len(reader.missing(feed.feed_id)),
                cosigned_size=max(witnessed, default=0),
            )
    if config.parent is not None:
        code = config.parent.code
        status.peers.add(code=code, name=names.get(code, ""), direction="up")
    for code in children:
        status.peers.add(code=code, name=names.get(code, ""), direction="down")
    return status


def known_names(config: Config, reader: FileReader) -> dict[str, str]:
    """Names of divisions by code: from the rosters held, and before them from the pin files.

    Raises HuyingError(KEY).
    """
    from huying.node import pins

    found = {member.code: member.name for member in reader.members()}
    found[config.node.code] = config.node.name
    found.update((pin.code, pin.name) for pin in pins.load_folder(config.pins_dir))
    return found


def feed_key(config: Config, reader: FileReader, origin: str) -> str:
    """The verifier key of a feed, from the rosters held or the pin files; empty where none has it.

    A pin file that can't be read has none: this serves a hint, which must not fail.
    """
    from huying.node import pins
    from huying.node.membership.enrol import own_pin

    known = [member.feed_key for member in reader.members()]
    with contextlib.suppress(HuyingError):
        known.append(own_pin(config).feed_key)
    with contextlib.suppress(HuyingError):
        known += [pin.feed_key for pin in pins.load_folder(config.pins_dir)]
    return next((key for key in known if key.split("+", 1)[0] == origin), "")


def own_members(reader: FileReader, code: str) -> list[trust_pb2.Member]:
    """The newest Member entry of each child in the feeds of `code`, by the child's code."""
    from sqlalchemy import select

    from huying.node.store.content import message_bytes
    from huying.node.store.schema import ENTRIES, FEEDS, MEMBERS, stands_at
    from huying.wire.v1 import feed_pb2, trust_pb2

    query = (
        select(ENTRIES.c.openings)
        .select_from(MEMBERS)
        .join(FEEDS, FEEDS.c.feed_id == MEMBERS.c.feed_id)
        .join(ENTRIES, stands_at(MEMBERS))
        .where(FEEDS.c.code == code, MEMBERS.c.kind != feed_pb2.KIND_DELETE)
        .order_by(MEMBERS.c.code)
    )
    rows = reader.select(query)
    return [trust_pb2.Member.FromString(message_bytes(openings)) for (openings,) in rows]
