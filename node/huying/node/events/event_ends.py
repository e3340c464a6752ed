"""办结 · The version of an event that ends it: settled, with what was done added to its text.

And the one that opens it again, with the reason.
"""

from __future__ import annotations

from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.common.masking import mask
from huying.wire.v1 import records_pb2

__all__ = ["reopened_event", "settled_by_town", "settled_event"]

_MICROS: Final = 1_000_000
_CUT: Final = "…"
_REOPENED: Final = "重新打开:"


def settled_event(event: records_pb2.Event, done: str, now: float) -> records_pb2.Event:
    """The event's next version; `now` is unix seconds.

    Raises HuyingError(INVALID_ARGUMENT) where the text is too long.
    """
    after = _settled(event, now)
    if done:
        after.description_full = _added(event.description_full, f"办结:{done}")
        after.description_public = _added(event.description_public, f"办结:{mask(done).text}")
        if _longest(after) > TEXT_CHARACTERS_MAX:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"done: with what was reported at most {TEXT_CHARACTERS_MAX} characters; say less",
            )
    return after


def settled_by_town(event: records_pb2.Event, done: str, now: float) -> records_pb2.Event:
    """The event's next version as its town settled it; `now` is unix seconds.

    No person of the village is there to say less, so words that do not fit in are cut.
    """
    after = _settled(event, now)
    line = f"镇办结:{mask(done).text}"
    room = TEXT_CHARACTERS_MAX - _longest(event) - 1
    if len(line) > room:
        # Masked again, as the beginning of a long number may read as a short one.
        line = mask(line[: max(room - len(_CUT), 0)]).text + _CUT
    if len(line) <= room:
        after.description_full = _added(event.description_full, line)
        after.description_public = _added(event.description_public, line)
    return after


def reopened_event(event: records_pb2.Event, why: str) -> records_pb2.Event:
    """The next version of an event that was settled: open again, and why.

    Where the text is full, so that no reason fits in, it is opened all the same: a town's words
    may have filled it. Raises HuyingError(INVALID_ARGUMENT) where a shorter reason would fit in.
    """
    after = records_pb2.Event()
    after.CopyFrom(event)
    after.status = records_pb2.EVENT_STATUS_REPORTED
    after.settled_micros = 0
    if _longest(event) + len(f"\n{_REOPENED}") >= TEXT_CHARACTERS_MAX:
        return after
    after.description_full = _added(event.description_full, _REOPENED + why)
    after.description_public = _added(event.description_public, _REOPENED + mask(why).text)
    if _longest(after) > TEXT_CHARACTERS_MAX:
        raise HuyingError(
            Code.INVALID_ARGUMENT,
            f"连同原来的文字超过 {TEXT_CHARACTERS_MAX} 字,请写短些"
            f" · with what was reported at most {TEXT_CHARACTERS_MAX} characters; say less",
        )
    return after


def _settled(event: records_pb2.Event, now: float) -> records_pb2.Event:
    after = records_pb2.Event()
    after.CopyFrom(event)
    after.status = records_pb2.EVENT_STATUS_SETTLED
    after.settled_micros = int(now * _MICROS)
    return after


def _added(text: str, line: str) -> str:
    return f"{text}\n{line}".strip()


def _longest(event: records_pb2.Event) -> int:
    return max(len(event.description_full), len(event.description_public))
