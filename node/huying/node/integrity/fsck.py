"""Checking a store against itself: what was signed must follow from the raw bytes that are held.

1. the database's own pages (`integrity_check`), and the tables it is made of
2. each feed, from its first entry to its last (`huying.node.integrity.feed_check`)
3. what speaks about the feeds beside them (`huying.node.integrity.table_check`)
4. the projections, made anew and compared (`huying.node.store.projection_check`)

The files beside the database are `huying.node.integrity.file_check`'s. Reads in pages over one
snapshot, so memory stays bounded and a running node does not disturb it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from huying.common.errors import HuyingError
from huying.common.feed.note import VerifierKey
from huying.node.integrity.feed_check import FeedCheck
from huying.node.integrity.fsck_report import FsckReport
from huying.node.integrity.table_check import check_schema, check_tables
from huying.node.store.projection_check import check_projections
from huying.node.store.reader import Reader

__all__ = ["check"]

# A damaged row may hold values of any type, which nothing that reads a sound one expects.
_UNREADABLE: Final = (HuyingError, TypeError, ValueError, AttributeError, OverflowError)


def check(
    reader: Reader,
    keys: Mapping[str, VerifierKey] | None = None,
    witnesses: Iterable[VerifierKey] = (),
    code: str = "",
) -> FsckReport:
    """Check the whole store.

    `keys` are the feed keys known, by origin, `witnesses` the witness keys, `code` this node's own;
    what needs one that is not given is not checked. Problems are reported, not raised, but for
    HuyingError(STORE_FAILED or CORRUPT) where the database can't be read at all.
    """
    report = FsckReport()
    known = dict(keys or {})
    with reader.snapshot() as snapshot:
        for problem in snapshot.integrity():
            report.note("database", problem)
        check_schema(snapshot, report)
        try:
            feeds = snapshot.feeds()
        except _UNREADABLE as error:
            report.note("database", f"the list of feeds can't be read: {_detail(error)}")
            return report
        for feed in feeds:
            report.feeds += 1
            try:
                FeedCheck(snapshot, feed, code, known.get(feed.origin), witnesses, report).run()
            except _UNREADABLE as error:
                report.note(feed.origin, f"can't be read on: {_detail(error)}")
        try:
            check_tables(snapshot, code, report)
            report.rows_checked += check_projections(snapshot, report.note)
        except _UNREADABLE as error:
            report.note("database", f"can't be read on: {_detail(error)}")
    return report


def _detail(error: Exception) -> str:
    return str(error) if isinstance(error, HuyingError) else type(error).__name__
