"""The registry of record types: what each is, who may write it, and what an entry of it must hold.

Two doors lead in. `check_write` is strict and guards this node's own writes. `decode` judges what
others wrote: it must tolerate fields withheld from this reader and enum values newer than this
program, refuses what would put a record into a region that is not its home's, and is fast, since
every replicated entry passes through it. Importing this module makes the split plan of every type
at every level, so a field without an audience stops the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from google.protobuf.message import DecodeError, Message

from huying.common.codes import is_within, level
from huying.common.errors import Code, HuyingError
from huying.common.feed import audience
from huying.common.limits import RECORD_ID_BYTES, SELECTORS_MAX
from huying.common.masking import mask
from huying.common.records.record_judges import Judge, judge_of
from huying.common.records.record_rules import check_fields
from huying.wire.v1 import (
    calls_pb2,
    census_pb2,
    events_pb2,
    evidence_pb2,
    feed_pb2,
    hotline_pb2,
    policy_pb2,
    provision_pb2,
    records_pb2,
    trust_pb2,
)

__all__ = [
    "REGISTRY",
    "STATEMENT_TYPES",
    "RecordSpec",
    "check_write",
    "decode",
    "default_to",
    "member_record",
    "with_public_text",
]

_PUT_DELETE: Final = frozenset({int(feed_pb2.KIND_PUT), int(feed_pb2.KIND_DELETE)})
_EVERY_LEVEL: Final = frozenset({1, 2, 3, 4, 5})
_COUNTY: Final = 3
_TOWN: Final = 4
_VILLAGE: Final = 5


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """One record type."""

    record_type: int  # feed_pb2.RecordType
    message_class: type[Message]
    levels: frozenset[int]  # of the nodes that may write it, 1 province … 5 village
    kinds: frozenset[int]  # feed_pb2.Kind that its entries may have
    judge: Judge  # does a replicated record belong to its home, and fit into a database?

    @property
    def name(self) -> str:
        """The message's name, e.g. Event."""
        return str(self.message_class.DESCRIPTOR.name)


def _spec(
    record_type: int, message_class: type[Message], levels: frozenset[int], kinds: frozenset[int]
) -> RecordSpec:
    return RecordSpec(record_type, message_class, levels, kinds, judge_of(message_class))


def _statement_specs() -> tuple[RecordSpec, ...]:
    """What a feed says about trust, loss, erasure and disclosure; every tier may."""
    feed, trust = feed_pb2, trust_pb2
    return tuple(
        _spec(record_type, message, _EVERY_LEVEL, frozenset({kind}))
        for record_type, message, kind in (
            (feed.RECORD_TYPE_CLOSE, trust.Close, int(feed.KIND_CLOSE)),
            (feed.RECORD_TYPE_OPEN, trust.Open, int(feed.KIND_OPEN)),
            (feed.RECORD_TYPE_CONFIRMATION, trust.Confirmation, int(feed.KIND_ROSTER)),
            (feed.RECORD_TYPE_NODE_KEYS, trust.NodeKeys, int(feed.KIND_ROSTER)),
            (feed.RECORD_TYPE_RECOVERED, trust.Recovered, int(feed.KIND_RECOVERED)),
            (feed.RECORD_TYPE_ERASURE, trust.Erasure, int(feed.KIND_ERASE)),
            (feed.RECORD_TYPE_ERASURE_RECEIPT, trust.ErasureReceipt, int(feed.KIND_RECEIPT)),
            (feed.RECORD_TYPE_DISCLOSURE, trust.Disclosure, int(feed.KIND_DISCLOSE)),
        )
    )


def _desk_specs() -> tuple[RecordSpec, ...]:
    """What the people of a desk write; docs/GLOSSARY.md names them."""
    feed = feed_pb2
    put = frozenset({int(feed.KIND_PUT)})
    above_village = _EVERY_LEVEL - {_VILLAGE}
    policy, provision = policy_pb2, provision_pb2
    rows: tuple[tuple[int, type[Message], frozenset[int]], ...] = (
        (feed.RECORD_TYPE_CALL_DRAFT, calls_pb2.CallDraft, frozenset({_TOWN})),
        (feed.RECORD_TYPE_POLICY, policy.Policy, above_village),
        (feed.RECORD_TYPE_CALENDAR, policy.Calendar, above_village),
        (feed.RECORD_TYPE_DEPARTMENT, policy.Department, above_village),
        (feed.RECORD_TYPE_DUTY_ITEM, policy.DutyItem, above_village),
        (feed.RECORD_TYPE_DUTY_LIST, policy.DutyList, above_village),
        (
            feed.RECORD_TYPE_PROVISION_REQUEST,
            provision.ProvisionRequest,
            # A tier above the county reads no decision of a village.
            frozenset({_COUNTY, _TOWN}),
        ),
        (
            feed.RECORD_TYPE_PROVISION_DECISION,
            provision.ProvisionDecision,
            frozenset({_TOWN, _VILLAGE}),
        ),
        (
            feed.RECORD_TYPE_PROVISION_RECEIPT,
            provision.ProvisionReceipt,
            frozenset({_COUNTY, _TOWN}),
        ),
        (feed.RECORD_TYPE_QUESTION, census_pb2.Question, above_village),
        (feed.RECORD_TYPE_TALLY, census_pb2.Tally, frozenset({_VILLAGE})),
        (feed.RECORD_TYPE_ORDER, hotline_pb2.Order, above_village),
        (feed.RECORD_TYPE_ORDER_RESULT, hotline_pb2.OrderResult, frozenset({_TOWN, _VILLAGE})),
        (feed.RECORD_TYPE_EVENT_HANDLING, events_pb2.EventHandling, frozenset({_TOWN})),
    )
    return tuple(_spec(number, cls, levels, put) for number, cls, levels in rows)


def _registry() -> Mapping[int, RecordSpec]:
    step, roster = frozenset({int(feed_pb2.KIND_STEP)}), frozenset({int(feed_pb2.KIND_ROSTER)})
    put = frozenset({int(feed_pb2.KIND_PUT)})
    village, town = frozenset({_VILLAGE}), frozenset({_TOWN})
    above_village = _EVERY_LEVEL - village
    rec, calls, feed = records_pb2, calls_pb2, feed_pb2
    specs = (
        _spec(feed.RECORD_TYPE_DIVISION, rec.Division, _EVERY_LEVEL, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_GRID, rec.Grid, village, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_GRID_WORKER, rec.GridWorker, village | town, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_HOUSEHOLD, rec.Household, village, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_RESIDENT, rec.Resident, village, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_EVENT, rec.Event, village | town, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_CALL, calls.Call, town, put),
        _spec(feed.RECORD_TYPE_CALL_STEP, calls.CallStep, above_village, step),
        _spec(feed.RECORD_TYPE_VISIT, rec.Visit, village, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_EVIDENCE, evidence_pb2.Evidence, _EVERY_LEVEL, _PUT_DELETE),
        _spec(feed.RECORD_TYPE_MEMBER, trust_pb2.Member, _EVERY_LEVEL, roster),
        *_statement_specs(),
        *_desk_specs(),
    )
    for spec in specs:
        for origin_level in sorted(spec.levels):
            audience.plan(spec.message_class.DESCRIPTOR, origin_level)
    return MappingProxyType({int(spec.record_type): spec for spec in specs})


REGISTRY: Final[Mapping[int, RecordSpec]] = _registry()
# Entries that take effect beyond their own record, and are journalled for the next start.
STATEMENT_TYPES: Final = frozenset(
    {int(feed_pb2.RECORD_TYPE_MEMBER), *(int(spec.record_type) for spec in _statement_specs())}
)
# Statements for those alone whom their targets concern; every ancestor hears of them.
_ADDRESSED_BY_WRITER: Final = frozenset(
    {
        feed_pb2.RECORD_TYPE_ERASURE,
        feed_pb2.RECORD_TYPE_ERASURE_RECEIPT,
        feed_pb2.RECORD_TYPE_DISCLOSURE,
    }
)


_FOR_ALL_BELOW: Final = frozenset(
    {
        feed_pb2.RECORD_TYPE_DIVISION,
        feed_pb2.RECORD_TYPE_POLICY,
        feed_pb2.RECORD_TYPE_CALENDAR,
        feed_pb2.RECORD_TYPE_DEPARTMENT,
        feed_pb2.RECORD_TYPE_DUTY_ITEM,
        feed_pb2.RECORD_TYPE_DUTY_LIST,
    }
)


@lru_cache(maxsize=8192)  # a division each, a few types each
def _admitted(record_type: int, kind: int, code: str) -> RecordSpec:
    """The type, if the node `code` may write it so. Raises UNKNOWN_TYPE or TYPE_NOT_ALLOWED."""
    spec = REGISTRY.get(record_type)
    if spec is None:
        raise HuyingError(Code.UNKNOWN_TYPE, f"record type {record_type}")
    if level(code) not in spec.levels:
        raise HuyingError(
            Code.TYPE_NOT_ALLOWED, f"a node of level {level(code)} writes no {spec.name}"
        )
    if kind not in spec.kinds:
        raise HuyingError(Code.TYPE_NOT_ALLOWED, f"an entry of {spec.name} is not of kind {kind}")
    return spec


def check_write(record_type: int, kind: int, message: Message, code: str) -> None:
    """Let a record pass that the node `code` is about to write.

    A delete may be empty; fields that it fills are checked all the same.
    Raises HuyingError: UNKNOWN_TYPE; TYPE_NOT_ALLOWED at this tier or with this kind; else
    INVALID_ARGUMENT naming the field, the limit and what to do.
    """
    spec = _admitted(record_type, kind, code)
    if not isinstance(message, spec.message_class):
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"message: {spec.name} is needed, not {message.DESCRIPTOR.name}"
        )
    if kind == feed_pb2.KIND_DELETE and not message.ByteSize():
        return
    check_fields(message, code)


def member_record(code: str) -> bytes:
    """The record id of a member: its code's own, so that one member's keys never replace another's.

    The first 16 bytes of SHA-256("huying/member/v1", a newline, the code).
    """
    return sha256(b"huying/member/v1\n" + code.encode("ascii", "replace")).digest()[
        :RECORD_ID_BYTES
    ]


def decode(head: feed_pb2.Head, home_code: str, body: bytes) -> Message:
    """The record in a replicated entry, as far as it is visible here.

    `body` is the concatenation of the openings' bodies without the head's. Raises HuyingError:
    UNKNOWN_TYPE; TYPE_NOT_ALLOWED for the writer's tier or the kind; BAD_HEAD for a record id that
    is none; BAD_RECORD for bytes that are no such message, or say a field twice, or hold what no
    database takes; WRONG_REGION.
    """
    spec = _admitted(head.type, head.kind, home_code)
    if len(head.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.BAD_HEAD, f"the record id is not {RECORD_ID_BYTES} bytes")
    try:
        message: Message = spec.message_class.FromString(body)
    except DecodeError:
        raise HuyingError(Code.BAD_RECORD, f"not a {spec.name} message") from None
    # Merging lets a later compartment overrule an earlier one, so an origin could show the county
    # one category and the town another. Then the bodies are longer than what they merge to.
    if message.ByteSize() != len(body):
        raise HuyingError(Code.BAD_RECORD, f"the {spec.name} says a field twice, or a default")
    if b"\0" in body:
        _refuse_nul(message)
    spec.judge(message, home_code)
    if isinstance(message, events_pb2.EventHandling) and message.event not in (b"", head.record):
        raise HuyingError(Code.BAD_RECORD, "event is not the record that it is written under")
    return message


def _refuse_nul(message: Message) -> None:
    """Raises HuyingError(BAD_RECORD): PostgreSQL takes no text with a NUL."""
    for field, value in message.ListFields():
        for one in value if field.is_repeated else (value,):
            if isinstance(one, str) and "\0" in one:
                raise HuyingError(Code.BAD_RECORD, f"{field.name} holds a NUL")
            if isinstance(one, Message):
                _refuse_nul(one)


def default_to(
    record_type: int, code: str, message: Message, parties: Sequence[str] = ()
) -> tuple[str, ...]:
    """The selectors of an entry that names none.

    What a node says of itself and of its members goes to all below it; a call to its village; a
    step of a call to the `parties` below the writer. A village addresses nobody.
    """
    if level(code) == _VILLAGE:
        return ()
    if record_type in _ADDRESSED_BY_WRITER:
        return ()
    if record_type in _FOR_ALL_BELOW or record_type in STATEMENT_TYPES:
        return (f"{code}/*",)
    if isinstance(message, census_pb2.Question):
        return (f"{message.area}/*",)
    if isinstance(message, calls_pb2.Call) and message.village:
        parties = (message.village,)
    elif isinstance(message, provision_pb2.ProvisionRequest):
        parties = (message.home,)
    elif isinstance(message, hotline_pb2.Order):
        parties = (message.handler,)
    elif isinstance(message, events_pb2.EventHandling):
        parties = (message.event_home,)
    elif not isinstance(message, calls_pb2.CallStep):
        return ()
    below = [party for party in parties if party != code and is_within(party, code)]
    return tuple(f"={party}" for party in dict.fromkeys(below))[:SELECTORS_MAX]


def with_public_text(event: records_pb2.Event) -> records_pb2.Event:
    """A copy whose public description, where there is none yet, is the masked full one."""
    copy = records_pb2.Event()
    copy.CopyFrom(event)
    if not copy.description_public:
        copy.description_public = mask(copy.description_full).text
    return copy
