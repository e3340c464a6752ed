"""A Member: what a parent's feed says of a child's keys."""

from __future__ import annotations

from hashlib import sha256

from huying.common.effects import DraftEntry
from huying.common.membership.roster import Pin
from huying.common.records.registry import member_record
from huying.wire.v1 import feed_pb2, trust_pb2

__all__ = ["member_draft", "member_message", "says_as_much"]


def member_message(
    pin: Pin,
    succession: trust_pb2.Succession | None = None,
    revocation: trust_pb2.Revocation | None = None,
) -> trust_pb2.Member:
    """A child's keys, as its parent's feed says them."""
    return trust_pb2.Member(
        code=pin.code,
        name=pin.name,
        feed_key=pin.feed_key,
        witness_key=pin.witness_key,
        certificate_sha256=pin.certificate_sha256,
        certificate=pin.certificate,
        hpke_key=pin.hpke_key,
        address=pin.address,
        succession=succession,
        revocation=revocation,
    )


def member_draft(message: trust_pb2.Member, writer: str) -> DraftEntry:
    """A Member for the feed of `writer`; what was said once is not said again."""
    said = message.SerializeToString(deterministic=True)
    return DraftEntry(
        kind=feed_pb2.KIND_ROSTER,
        type=feed_pb2.RECORD_TYPE_MEMBER,
        message=message,
        record=member_record(message.code),
        to=(f"{writer}/*",),
        request_id=sha256(b"huying/member-request/v1\n" + said).digest()[:16],
    )


def says_as_much(said: trust_pb2.Member, owed: trust_pb2.Member) -> bool:
    """Whether both name the same keys."""
    return (said.feed_key, said.certificate_sha256, said.hpke_key) == (
        owed.feed_key,
        owed.certificate_sha256,
        owed.hpke_key,
    )
