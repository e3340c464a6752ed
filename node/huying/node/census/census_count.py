"""One answer of a home: what it is by the rules, and the counting. Reads; writes nothing.

Everything here blocks, and runs on a thread of its own with a reader's snapshot, so that a count
over a whole register delays no commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from huying.common.census.counting import counter_for, record_types
from huying.common.census.tally import (
    Asked,
    counted_tally,
    is_mendable,
    refusal,
    repeated_tally,
    tally_record,
    verdict_on,
)
from huying.common.census.template import Template
from huying.common.codes import parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.limits import ASK_REFUSALS_MAX
from huying.node.store.reader import Reader
from huying.wire.v1 import census_pb2, feed_pb2

__all__ = ["Home", "unanswered", "work_out"]

_COUNTED = census_pb2.TALLY_VERDICT_COUNTED


@dataclass(frozen=True, slots=True)
class Home:
    """The node that answers, at one moment."""

    code: str
    templates: Mapping[str, Template]  # those it knows, by name
    answered: frozenset[str]  # those it answers
    months: Sequence[str]  # that it answers for, newest first


def unanswered(reader: Reader, home: Home) -> Iterator[tuple[Asked, int]]:
    """Every question that has no answer yet, or a refusal that no longer fits, and the verdict.

    At most as many as there are templates times months, and ASK_REFUSALS_MAX others.
    """
    known = [(one.name, one.version, one.sha256) for one in home.templates.values()]
    for asked in reader.questions_known(home.code, known, home.months):
        yield from _if_open(reader, home, asked)
    room = ASK_REFUSALS_MAX - reader.refusals_written(home.code)
    if room > 0:
        for asked in reader.questions_other(home.code, known, home.months, ASK_REFUSALS_MAX):
            yield from _if_open(reader, home, asked)


def _if_open(reader: Reader, home: Home, asked: Asked) -> Iterator[tuple[Asked, int]]:
    verdict = verdict_on(asked, home.templates, home.answered, home.months)
    if verdict is None:
        return
    before = _answer(reader, home.code, asked)
    if is_mendable(before) and (before is None or before.verdict != verdict):
        yield asked, verdict


def _answer(reader: Reader, code: str, asked: Asked) -> census_pb2.Tally | None:
    record = tally_record(asked.template, asked.version, asked.month)
    row = reader.get_record(feed_pb2.RECORD_TYPE_TALLY, code, record)
    return None if row is None else census_pb2.Tally.FromString(row.message)


def work_out(reader: Reader, home: Home, asked: Asked, verdict: int) -> census_pb2.Tally:
    """The answer to write. Raises what the store raises."""
    if verdict != _COUNTED:
        return refusal(asked, home.code, verdict)
    template = home.templates[asked.template]
    with reader.snapshot() as snapshot:
        versions = snapshot.versions_counted(home.code, template.name, asked.month)
        if any(one != template.version for one in versions):
            return refusal(asked, home.code, census_pb2.TALLY_VERDICT_OTHER_VERSION)
        if not template.of_a_month:
            kept = _too_little_changed(snapshot, home, template, asked)
            if kept is not None:
                return kept
        return _count(snapshot, home, template, asked)


def _too_little_changed(
    reader: Reader, home: Home, template: Template, asked: Asked
) -> census_pb2.Tally | None:
    """What to say in place of a new count of a register, where one could be told from the last."""
    newest = reader.newest_count(home.code, template.name)
    if newest is None:
        return None
    before, epoch = newest
    if before.counted_origin:
        epoch = parse_origin(before.counted_origin).epoch
    touched = reader.records_touched(
        record_types(template), home.code, epoch, before.counted_size, template.small_count
    )
    if touched >= template.small_count:
        return None
    if before.template_version != template.version:
        return refusal(asked, home.code, census_pb2.TALLY_VERDICT_OTHER_VERSION)
    return repeated_tally(before, asked.month)


def _count(reader: Reader, home: Home, template: Template, asked: Asked) -> census_pb2.Tally:
    own = [feed for feed in reader.feeds() if parse_origin(feed.origin).code == home.code]
    newest = max(own, key=lambda feed: parse_origin(feed.origin).epoch)
    counter = counter_for(template, asked.month)
    try:
        for record_type in record_types(template):
            for record, message in reader.records_held(record_type, home.code):
                counter.add(record, message)
    except HuyingError as error:
        if error.code is not Code.LIMIT_EXCEEDED:
            raise
        return refusal(asked, home.code, census_pb2.TALLY_VERDICT_TOO_MANY)
    return counted_tally(
        template, asked.month, home.code, counter.counted(), newest.origin, newest.size
    )
