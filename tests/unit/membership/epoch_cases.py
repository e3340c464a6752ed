"""What the tests of epochs do at a network, and what they look at."""

from __future__ import annotations

from huying.common.membership.members import member_draft, member_message
from huying.common.membership.roster import EpochStatus, Pin
from huying.wire.v1 import trust_pb2
from tests.support.tiny_network import VILLAGE
from tests.support.trusted_network import Network, origin

__all__ = ["E1", "E2", "E3", "enrol", "status"]


E1, E2, E3 = origin(VILLAGE, 1), origin(VILLAGE, 2), origin(VILLAGE, 3)


def status(network: Network, code: str, feed: str) -> EpochStatus | None:
    epoch = network.engine(code).roster.epoch(feed)
    return epoch.status if epoch is not None else None


def enrol(
    network: Network,
    writer: str,
    named: Pin,
    succession: trust_pb2.Succession | None = None,
    revocation: trust_pb2.Revocation | None = None,
) -> None:
    """A roster entry that a parent's operator asked for, as it comes of `roster accept`."""
    message = member_message(named, succession, revocation)
    network.write(writer, member_draft(message, writer))
