"""What goes into the engine, and what comes out of it.

A shell (the node process, the simulator, a test) gathers inputs, calls `Engine.step` with as many
as are waiting, and carries out the effects it gets back. Effects come only after the transaction
behind them is durable, so a shell may act on them at once.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from google.protobuf.message import Message

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = [
    "Alarm",
    "Append",
    "AppendReceipt",
    "Appended",
    "Close",
    "Direction",
    "DraftEntry",
    "Drain",
    "Effect",
    "Input",
    "LinkDown",
    "LinkUp",
    "Notice",
    "NoticeKind",
    "Operate",
    "Operated",
    "Operation",
    "Received",
    "Send",
]


class Direction(enum.Enum):
    """Where a peer stands: `UP` is the parent, `DOWN` a child."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """A record somebody wants written into this node's feed."""

    kind: int  # feed_pb2.Kind
    type: int  # feed_pb2.RecordType
    message: Message
    record: bytes = b""  # 16 bytes; empty: the engine draws one
    to: tuple[str, ...] = ()  # selectors
    request_id: bytes = b""  # 16 bytes; empty: never repeated


@dataclass(frozen=True, slots=True)
class Append:
    """Write these together, in this order, or none of them."""

    token: object  # returned with the answer
    drafts: tuple[DraftEntry, ...]


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A link to an authenticated peer opened."""

    link: int  # the shell's number for the stream, never used twice
    code: str  # the peer's division code, proven by its certificate
    direction: Direction


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link is gone."""

    link: int


@dataclass(frozen=True, slots=True)
class Received:
    """One frame as it came, not yet parsed."""

    link: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Drain:
    """Say goodbye on every link and refuse further appends."""

    retry_after_seconds: float


class Operation(Protocol):
    """Something an operator asks of the engine, as one transaction."""

    def run(self, engine: Engine) -> object:
        """Do it, inside the transaction; what it raises as HuyingError undoes all of it."""
        ...


@dataclass(frozen=True, slots=True)
class Operate:
    """Run this operation in a transaction of its own."""

    token: object  # returned with the answer
    operation: Operation


Input = Append | LinkUp | LinkDown | Received | Drain | Operate


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """Where a draft stands now, durably."""

    origin: str
    index: int
    record: bytes
    repeated: bool  # the request had been written before


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer to an `Append`: a receipt for each draft, or why nothing was written."""

    token: object
    receipts: tuple[AppendReceipt, ...] = ()
    error: HuyingError | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Put this frame on the link."""

    link: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """End the link; `code` is OK to retry unless an operator must act."""

    link: int
    code: Code
    detail: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator or a counter should see; never carries a body or a key."""

    code: Code
    feed: str  # origin, or empty
    peer: str  # code, or empty
    detail: str
    fault: BaseException | None = None  # a fault of our own, for the log


@dataclass(frozen=True, slots=True)
class Operated:
    """The answer to an `Operate`: what it returned, or why nothing of it happened."""

    token: object
    result: object = None
    error: HuyingError | None = None


class NoticeKind(enum.Enum):
    """What the shell has to follow up once it is durable."""

    ROSTER = "roster"  # keys came, changed or ended
    EPOCH = "epoch"  # the own feed goes on under another key
    ERASED = "erased"  # openings were erased; the freed pages are to leave the disk


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the shell has to follow up; `detail` is the kind's own."""

    kind: NoticeKind
    detail: object = None


Effect = Appended | Send | Close | Alarm | Operated | Notice
