"""Turning drafts into entries of the own feed: split, number, salt, commit.

Numbers in `seen` are taken here, one for each class of an entry's readers, in the order of the
feed; the transaction that stores the entry stores the numbers, so a gap can only come from someone
who withholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huying.common.codes import level, parse_origin
from huying.common.disclosure import classes
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import split
from huying.common.feed.leaf import HEAD_SLOT, make_entry, pack_openings
from huying.common.feed.merkle import leaf_hash
from huying.common.integrity.lost import ANY_CLASS
from huying.common.limits import RECORD_ID_BYTES, SALT_BYTES
from huying.common.ports import Entropy
from huying.common.records.registry import check_write, default_to
from huying.common.state import Applied, ClassMark, StoredEntry
from huying.wire.v1 import feed_pb2

__all__ = ["SCHEMA_VERSION", "Composed", "Writer"]

SCHEMA_VERSION = 1  # of the record messages in proto/huying/wire/v1


@dataclass(frozen=True, slots=True)
class Composed:
    """An entry ready to be stored at the index it was numbered for."""

    entry: StoredEntry
    leaf_hash: bytes
    applied: Applied
    openings: int


class Writer:
    """Composes entries of one origin, whose feed has `feed_id` in the store."""

    def __init__(self, origin: str, feed_id: int, entropy: Entropy) -> None:
        parsed = parse_origin(origin)
        self.origin = origin
        self.code = parsed.code
        self._epoch = parsed.epoch
        self._level = int(level(parsed.code))
        self._feed_id = feed_id
        self._entropy = entropy

    def compose(
        self,
        draft: DraftEntry,
        index: int,
        time_micros: int,
        marks: Mapping[str, ClassMark],
    ) -> tuple[Composed, dict[str, ClassMark]]:
        """The entry for `draft` at `index`, and the running numbers it moves.

        Raises HuyingError(INVALID_ARGUMENT) naming the field, or ENTRY_TOO_LARGE.
        """
        check_write(draft.type, draft.kind, draft.message, self.code)
        record = draft.record or _record_id(time_micros, self._entropy)
        if len(record) != RECORD_ID_BYTES:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"record: {len(record)} bytes, an id has {RECORD_ID_BYTES}"
            )
        bodies = split(draft.message, self._level)
        slots = bytes((HEAD_SLOT, *(slot for slot, _ in bodies)))
        to = draft.to or default_to(draft.type, self.code, draft.message)
        try:
            names = classes(self.code, slots, to)
        except HuyingError as error:
            raise HuyingError(Code.INVALID_ARGUMENT, f"to: {error.detail}") from None
        moved = {name: ClassMark(_number(marks, name) + 1, index) for name in names}
        head = feed_pb2.Head(
            kind=draft.kind,  # type: ignore[arg-type]  # an open enum: any number is a kind
            type=draft.type,  # type: ignore[arg-type]
            record=record,
            schema_version=SCHEMA_VERSION,
            time_micros=time_micros,
            to=to,
            seen=[moved[name].number for name in names],
        )
        compartments = ((HEAD_SLOT, head.SerializeToString()), *bodies)
        salts = self._entropy.token(SALT_BYTES * len(compartments))
        leaf, openings = make_entry(self.origin, compartments, salts)
        composed = Composed(
            entry=StoredEntry(leaf, None, pack_openings(openings)),
            leaf_hash=leaf_hash(leaf),
            applied=Applied(
                self._feed_id, self.code, self._epoch, index, head, slots, slots, draft.message
            ),
            openings=len(openings),
        )
        return composed, moved


def _record_id(time_micros: int, entropy: Entropy) -> bytes:
    """A UUID of version 7 (RFC 9562, section 5.7): milliseconds, then 74 random bits.

    Ids that ascend keep neighbours in time neighbours in the store, which halves what a commit
    writes. They tell nothing that the head does not say.
    """
    drawn = bytearray(entropy.token(RECORD_ID_BYTES))
    drawn[:6] = (time_micros // 1000).to_bytes(8, "big")[2:]
    drawn[6] = 0x70 | drawn[6] & 0x0F
    drawn[8] = 0x80 | drawn[8] & 0x3F
    return bytes(drawn)


def _number(marks: Mapping[str, ClassMark], name: str) -> int:
    """The last number of a class. After a loss, one of which nothing is known may have had some."""
    mark = marks.get(name) or marks.get(ANY_CLASS)
    return mark.number if mark is not None else 0
