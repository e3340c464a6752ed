"""Reading evidence: the pictures of an event or a call, put together from what is held of them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, tuple_

from huying.common.codes import level
from huying.common.feed.audience import slot_of
from huying.common.limits import EVIDENCE_PARTS_MAX, EVIDENCE_PICTURES_MAX
from huying.common.records.evidence_parts import join
from huying.node.store.content import message_bytes
from huying.node.store.ledger_schema import EVIDENCE
from huying.node.store.queries import Queries
from huying.node.store.schema import ENTRIES, FEEDS, stands_at
from huying.wire.v1 import api_pb2, evidence_pb2, feed_pb2

__all__ = ["EvidencePlace", "EvidenceQueries", "EvidenceRow", "EvidenceState"]

_PRESENT: Final = int(api_pb2.SLOT_STATE_PRESENT)
_ERASED: Final = int(api_pb2.SLOT_STATE_ERASED)
_RECORDS_AT_ONCE: Final = 500


class EvidenceState(enum.Enum):
    """What is here of a picture."""

    WHOLE = "whole"
    ON_THE_WAY = "on_the_way"  # parts have not come yet, or can't be put together
    WITHHELD = "withheld"  # it stays where it was written, until that node provides it
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class EvidencePlace:
    """Where one part stands: what a request for its bytes names."""

    part: int
    record: bytes
    origin: str
    index: int


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One picture as one node wrote it."""

    home: str  # of the node that wrote it
    of: bytes
    of_type: int  # feed_pb2.RecordType
    sha256: bytes
    name: str
    media_type: str
    size_bytes: int
    taken_micros: int  # unix; 0: unknown
    actor: str
    state: EvidenceState
    parts_held: int  # whose bytes are here
    parts: int
    data: bytes | None  # the picture, just where it is whole
    stays_home: bool  # readable by the node that wrote it alone, as far as can be told here
    places: tuple[EvidencePlace, ...]  # of the parts whose entries are here
    time_micros: int  # when the first of these was written


class EvidenceQueries(Queries):
    """What another node wrote is shown only as what it proves to be: by its digest."""

    def evidence_of(self, record: bytes, *, home: str = "") -> list[EvidenceRow]:
        """The pictures of an event or a call, oldest first, at most EVIDENCE_PICTURES_MAX.

        `home` narrows to what that node wrote of it.
        """
        wanted = [EVIDENCE.c.subject == record]
        if home:
            wanted.append(EVIDENCE.c.home == home)
        return self._pictures(wanted)

    def evidence_by_digest(self, digest: bytes) -> list[EvidenceRow]:
        """The same for a picture's digest: it may be of several records."""
        return self._pictures([EVIDENCE.c.sha256 == digest])

    def evidence_counts(self, records: Sequence[bytes]) -> dict[bytes, int]:
        """How many pictures each of these records has; those without are not in it."""
        counts: dict[bytes, int] = {}
        with self._reading() as connection:
            for at in range(0, len(records), _RECORDS_AT_ONCE):
                some = records[at : at + _RECORDS_AT_ONCE]
                pictures = (
                    select(EVIDENCE.c.subject)
                    .where(EVIDENCE.c.subject.in_(some), *_present())
                    .group_by(EVIDENCE.c.subject, EVIDENCE.c.home, EVIDENCE.c.sha256)
                    .subquery()
                )
                query = select(pictures.c.subject, func.count()).group_by(pictures.c.subject)
                counts.update({bytes(row[0]): int(row[1]) for row in connection.execute(query)})
        return counts

    def evidence_stands(self, home: str, digest: bytes, subject: bytes = b"") -> bool | None:
        """Whether `home` holds a picture's bytes as evidence: False where they were erased.

        None where it has no such evidence, or has taken all of it back. `subject` narrows to one
        event or call.
        """
        query = select(EVIDENCE.c.subject, EVIDENCE.c.slots).where(
            EVIDENCE.c.sha256 == digest, EVIDENCE.c.home == home, *_present()
        )
        if subject:
            query = query.where(EVIDENCE.c.subject == subject)
        erased: dict[bytes, bool] = {}
        with self._reading() as connection:
            for of, slots in connection.execute(query):
                gone = _missing(home, slots) is EvidenceState.ERASED
                erased[of] = erased.get(of, False) or gone
        return not all(erased.values()) if erased else None

    def _pictures(self, wanted: Iterable[ColumnElement[bool]]) -> list[EvidenceRow]:
        """Two steps, so that a thousand parts of somebody's making cost no thousand openings."""
        key = (EVIDENCE.c.subject, EVIDENCE.c.home, EVIDENCE.c.sha256)
        conditions = (*wanted, *_present())
        first = func.min(EVIDENCE.c.time_micros)
        chosen = select(*key, first).where(*conditions).group_by(*key)
        chosen = chosen.order_by(first, *key).limit(EVIDENCE_PICTURES_MAX)
        with self._reading() as connection:
            pictures = {tuple(row[:3]): list[Any]() for row in connection.execute(chosen)}
            if not pictures:
                return []
            query = _parts().where(*conditions, tuple_(*key).in_(list(pictures)))
            rows_max = EVIDENCE_PICTURES_MAX * EVIDENCE_PARTS_MAX
            query = query.where(EVIDENCE.c.part < EVIDENCE_PARTS_MAX).limit(rows_max)
            for row in connection.execute(query.order_by(EVIDENCE.c.part, EVIDENCE.c.record)):
                pictures[row.subject, row.home, row.sha256].append(row)
        return [_picture(rows) for rows in pictures.values() if rows]


def _present() -> tuple[ColumnElement[bool], ...]:
    return (EVIDENCE.c.kind != feed_pb2.KIND_DELETE,)


def _parts() -> Any:
    return (
        select(
            *(EVIDENCE.c[name] for name in ("home", "record", "subject", "subject_type", "sha256")),
            *(EVIDENCE.c[name] for name in ("idx", "time_micros", "slots", "part", "parts")),
            FEEDS.c.origin,
            ENTRIES.c.openings,
        )
        .select_from(EVIDENCE)
        .join(ENTRIES, stands_at(EVIDENCE))
        .join(FEEDS, FEEDS.c.feed_id == EVIDENCE.c.feed_id)
    )


def _picture(rows: Sequence[Any]) -> EvidenceRow:
    """One picture from the rows of its parts, of which there is one at least."""
    message = evidence_pb2.Evidence()
    held: dict[int, bytes] = {}
    missing: set[EvidenceState] = set()
    for row in rows:
        message = evidence_pb2.Evidence.FromString(message_bytes(row.openings))
        if some := message.data or message.data_home:
            held.setdefault(row.part, some)
        else:
            missing.add(_missing(row.home, row.slots))
    first = rows[0]
    data = join(held, first.parts, first.sha256)
    state = _state(data is not None, missing)
    return EvidenceRow(
        home=first.home,
        of=first.subject,
        of_type=first.subject_type,
        sha256=first.sha256,
        name=message.name,
        media_type=message.media_type,
        size_bytes=message.size_bytes,
        taken_micros=message.taken_micros,
        actor=message.actor,
        state=state,
        parts_held=len(held),
        parts=min(first.parts, EVIDENCE_PARTS_MAX),
        data=data,
        stays_home=bool(message.data_home) or state is EvidenceState.WITHHELD,
        places=tuple(EvidencePlace(r.part, r.record, r.origin, r.idx) for r in rows),
        time_micros=min(row.time_micros for row in rows),
    )


def _state(whole: bool, missing: set[EvidenceState]) -> EvidenceState:
    if whole:
        return EvidenceState.WHOLE
    for worse in (EvidenceState.ERASED, EvidenceState.WITHHELD):
        if worse in missing:
            return worse
    return EvidenceState.ON_THE_WAY


def _missing(home: str, slots: bytes) -> EvidenceState:
    """Why the bytes of a part are not here, by the states of its two compartments."""
    states = dict(zip(slots[::2], slots[1::2], strict=True))
    descriptor: Any = evidence_pb2.Evidence.DESCRIPTOR
    tier = int(level(home))
    travels = states.get(slot_of(descriptor, tier, "data"))
    stays = states.get(slot_of(descriptor, tier, "data_home"))
    if _ERASED in (travels, stays):
        return EvidenceState.ERASED
    return EvidenceState.ON_THE_WAY if stays == _PRESENT else EvidenceState.WITHHELD
