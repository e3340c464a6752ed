"""From the node's plain values to the messages of its API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from huying.common.effects import AppendReceipt
from huying.common.status import FeedStatus, NodeStatus, PeerStatus
from huying.node.api.ports import Facts
from huying.wire.v1 import api_pb2

__all__ = ["micros", "process_usage", "receipt_view", "status_view"]


def micros(seconds: float | None) -> int:
    """Unix microseconds; 0 stands for never."""
    return 0 if seconds is None else round(seconds * 1e6)


def receipt_view(receipt: AppendReceipt) -> api_pb2.Receipt:
    """Where a draft stands."""
    return api_pb2.Receipt(
        origin=receipt.origin,
        index=receipt.index,
        record=receipt.record,
        repeated_request=receipt.repeated,
    )


def status_view(
    facts: Facts,
    status: NodeStatus,
    retry_next: Mapping[str, float],
    call_counts: tuple[int, int, int],
    now: float,
) -> api_pb2.StatusResponse:
    """Everything the node says of itself. `now` is unix seconds by its clock."""
    raised, answered, confirmed = call_counts
    resident_bytes, cpu_seconds = process_usage()
    return api_pb2.StatusResponse(
        network=facts.network,
        code=facts.code,
        name=facts.name,
        origin=status.origin,
        verifier_key=status.verifier_key or facts.verifier_key,
        witness_key=facts.witness_key,
        state=status.state,
        feeds=[_feed_view(feed, facts.names) for feed in status.feeds],
        peers=[_peer_view(peer, facts.names, retry_next) for peer in status.peers],
        started_micros=micros(facts.started),
        now_micros=micros(now),
        calls_raised=raised,
        calls_answered=answered,
        calls_confirmed=confirmed,
        resident_bytes=resident_bytes,
        cpu_seconds=cpu_seconds,
        version=facts.version,
    )


def _feed_view(feed: FeedStatus, names: Mapping[str, str]) -> api_pb2.FeedStatus:
    view = api_pb2.FeedStatus(
        origin=feed.origin,
        name=names.get(feed.code) or feed.name,
        size=feed.size,
        root=feed.root,
        state=feed.health.value,
        reason=feed.reason,
        remote_head_size=feed.remote_head_size,
        lag_known=feed.lag_seconds is not None,
        lag_seconds=feed.lag_seconds or 0.0,
        openings_held=feed.openings_held,
        openings_withheld=feed.openings_withheld,
        entries_hidden=feed.entries_hidden,
        quarantined=feed.quarantined,
        missing=feed.missing,
        cosigned_size=feed.cosigned_size,
    )
    if feed.delay is not None:
        view.delay_count = feed.delay.count
        view.delay_p50_seconds = feed.delay.quantile(0.5) or 0.0
        view.delay_p99_seconds = feed.delay.quantile(0.99) or 0.0
        view.delay_counts.extend(feed.delay.counts)
    return view


def _peer_view(
    peer: PeerStatus, names: Mapping[str, str], retry_next: Mapping[str, float]
) -> api_pb2.PeerStatus:
    return api_pb2.PeerStatus(
        code=peer.code,
        name=names.get(peer.code, ""),
        direction=peer.direction.value,
        connected=peer.connected,
        last_contact_micros=micros(peer.last_contact),
        retry_next_micros=micros(retry_next.get(peer.code)),
        clock_offset_seconds=peer.clock_offset_seconds,
        sent_bytes=peer.sent_bytes,
        received_bytes=peer.received_bytes,
    )


def process_usage() -> tuple[int, float]:
    """(resident bytes, CPU seconds) of this process; 0 bytes where the system doesn't tell."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
        resident_bytes = int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError, IndexError):
        resident_bytes = 0
    return resident_bytes, time.process_time()
