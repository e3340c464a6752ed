"""A pulse: an origin's signed word to one reader on how far its feed has come.

Outside the log, every minute or so, newest kept. It measures idle feeds, and it shows a cut tail:
the totals of the reader's classes say how many entries it is entitled to. An origin whose pulse is
old is stale, never fresh. docs/FEED.md, "Pulse".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from huying.common.codes import is_within, parse_code
from huying.common.errors import Code, HuyingError
from huying.common.feed.note import Signer, VerifierKey
from huying.common.limits import CLASSES_MAX, TREE_SIZE_MAX
from huying.common.state import ClassMark
from huying.wire.v1 import feed_pb2

__all__ = ["Pulse", "make_pulse", "open_pulse", "peek_pulse"]

_LABEL = b"huying/pulse/v1\n"
_ROOT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a pulse says. `totals` are of the reader's classes alone."""

    origin: str
    reader: str
    size: int
    root: bytes
    time: float  # unix seconds, by the origin's clock
    totals: Mapping[str, int]


def _covers(name: str, reader: str) -> bool:
    return name == reader or (name.endswith("/*") and is_within(reader, name[:-2]))


def make_pulse(
    signer: Signer,
    reader: str,
    size: int,
    root: bytes,
    now: float,
    classes: Mapping[str, ClassMark],
) -> feed_pb2.Pulse:
    """Sign a pulse of the own feed for `reader` (a division code)."""
    body = feed_pb2.PulseBody(
        origin=signer.name, reader=reader, size=size, root=root, time_micros=int(now * 1e6)
    )
    for name in sorted(classes):
        if _covers(name, reader):
            body.totals.add(name=name, total=classes[name].number)
    data = body.SerializeToString(deterministic=True)
    return feed_pb2.Pulse(body=data, signature=signer.sign_raw(_LABEL + data))


def peek_pulse(message: feed_pb2.Pulse) -> Pulse:
    """The content of a pulse, not yet trusted. Raises HuyingError(FRAME_MALFORMED)."""
    try:
        body = feed_pb2.PulseBody.FromString(message.body)
        parse_code(body.reader)
        own = all(_covers(total.name, body.reader) for total in body.totals)
    except (DecodeError, HuyingError):
        raise HuyingError(Code.FRAME_MALFORMED, "a pulse that does not parse") from None
    if len(body.root) != _ROOT_BYTES or body.size > TREE_SIZE_MAX:
        raise HuyingError(Code.FRAME_MALFORMED, "a pulse with an impossible root or size")
    if len(body.totals) > CLASSES_MAX or any(t.total > body.size for t in body.totals):
        raise HuyingError(Code.FRAME_MALFORMED, "a pulse with impossible totals")
    if not own:
        raise HuyingError(Code.FRAME_MALFORMED, "a pulse with another reader's totals")
    return Pulse(
        origin=body.origin,
        reader=body.reader,
        size=body.size,
        root=body.root,
        time=body.time_micros / 1e6,
        totals={t.name: t.total for t in body.totals},
    )


def open_pulse(message: feed_pb2.Pulse, key: VerifierKey) -> Pulse:
    """Check the signature too. Raises HuyingError(BAD_SIGNATURE or FRAME_MALFORMED)."""
    pulse = peek_pulse(message)
    if pulse.origin != key.name:
        raise HuyingError(Code.BAD_SIGNATURE, f"a pulse of {pulse.origin} under {key.name}")
    key.verify_raw(_LABEL + message.body, message.signature)
    return pulse
