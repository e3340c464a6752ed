"""The JSON documents of the command line. Their keys are stable: scripts read them."""

from __future__ import annotations

from typing import Any, Final

from huying.node.api.entries import EntryView
from huying.node.api.types import kind_name, message_class, type_name
from huying.node.cli.plain import enum_name, to_plain
from huying.wire.v1 import api_pb2

__all__ = [
    "entry_document",
    "receipt_document",
    "record_document",
    "status_document",
]

_LEVELS: Final = ("head", "province", "prefecture", "county", "town", "village")


def entry_document(view: EntryView) -> dict[str, Any]:
    """One entry: its head, the record as far as it is visible, and every compartment."""
    head = view.head
    return {
        "head": None
        if head is None
        else {
            "kind": kind_name(head.kind),
            "type": type_name(head.type),
            "record": head.record.hex(),
            "schema_version": head.schema_version,
            "time_micros": head.time_micros,
            "to": list(head.to),
            "seen": list(head.seen),
        },
        "fields": None if view.message is None else to_plain(view.message),
        "slots": [
            {
                "slot": f"{slot.slot:#04x}",
                "level": _LEVELS[slot.level],
                "addressed": slot.addressed,
                "state": "present" if slot.present else "erased" if slot.erased else "withheld",
                "fields": list(slot.fields),
            }
            for slot in view.slots
        ],
    }


def record_document(record: api_pb2.RecordView) -> dict[str, Any]:
    """One record: the fields held here, and by name those withheld, erased or lost."""
    known = message_class(record.type)
    fields = None if known is None else to_plain(known.FromString(record.message))
    states = api_pb2.SlotState.DESCRIPTOR
    return {
        "type": type_name(record.type),
        "home": record.home,
        "record": record.record.hex(),
        "origin": record.origin,
        "index": record.index,
        "time_micros": record.time_micros,
        "kind": kind_name(record.kind),
        "fields": fields,
        "withheld": _fields_in(record, api_pb2.SLOT_STATE_WITHHELD),
        "erased": _fields_in(record, api_pb2.SLOT_STATE_ERASED),
        "lost": _fields_in(record, api_pb2.SLOT_STATE_LOST),
        "slots": [
            {
                "slot": f"{slot.slot:#04x}",
                "state": enum_name(states, slot.state),
                "fields": list(slot.fields),
            }
            for slot in record.slots
        ],
    }


def _fields_in(record: api_pb2.RecordView, state: int) -> list[str]:
    """The names of the fields whose compartments are in that state."""
    return [name for slot in record.slots if slot.state == state for name in slot.fields]


def receipt_document(receipt: api_pb2.Receipt) -> dict[str, Any]:
    """Where a draft now stands."""
    return {
        "origin": receipt.origin,
        "index": receipt.index,
        "record": receipt.record.hex(),
        "repeated_request": receipt.repeated_request,
    }


def status_document(status: api_pb2.StatusResponse) -> dict[str, Any]:
    """The node: keys, state, every feed and every peer. What is unknown is null, never 0."""
    return {
        "network": status.network,
        "code": status.code,
        "name": status.name,
        "origin": status.origin,
        "verifier_key": status.verifier_key,
        "witness_key": status.witness_key,
        "state": status.state,
        "version": status.version,
        "started_micros": status.started_micros or None,
        "now_micros": status.now_micros,
        "calls": {
            "raised": status.calls_raised,
            "answered": status.calls_answered,
            "confirmed": status.calls_confirmed,
        },
        "resident_bytes": status.resident_bytes or None,
        "cpu_seconds": status.cpu_seconds or None,
        "feeds": [_feed_document(feed) for feed in status.feeds],
        "peers": [_peer_document(peer) for peer in status.peers],
    }


def _feed_document(feed: api_pb2.FeedStatus) -> dict[str, Any]:
    measured = feed.delay_count > 0
    return {
        "origin": feed.origin,
        "name": feed.name,
        "size": feed.size,
        "root": feed.root.hex(),
        "state": feed.state,
        "reason": feed.reason,
        "remote_head_size": feed.remote_head_size,
        "lag_seconds": feed.lag_seconds if feed.lag_known else None,
        "cosigned_size": feed.cosigned_size,
        "openings_held": feed.openings_held,
        "openings_withheld": feed.openings_withheld,
        "entries_hidden": feed.entries_hidden,
        "quarantined": feed.quarantined,
        "missing": feed.missing,
        "delay_p50_seconds": feed.delay_p50_seconds if measured else None,
        "delay_p99_seconds": feed.delay_p99_seconds if measured else None,
        "delay_count": feed.delay_count,
    }


def _peer_document(peer: api_pb2.PeerStatus) -> dict[str, Any]:
    return {
        "code": peer.code,
        "name": peer.name,
        "direction": peer.direction,
        "connected": peer.connected,
        "last_contact_micros": peer.last_contact_micros or None,
        "retry_next_micros": peer.retry_next_micros or None,
        "clock_offset_seconds": peer.clock_offset_seconds
        if peer.HasField("clock_offset_seconds")
        else None,
        "sent_bytes": peer.sent_bytes,
        "received_bytes": peer.received_bytes,
    }
