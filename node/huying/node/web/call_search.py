"""Finding the call that another one is merged into: open, of the same answering node, in reach."""

from __future__ import annotations

from typing import Final

from huying.common.limits import LIST_ENTRIES_MAX
from huying.node.store.call_queries import CallRow
from huying.node.store.reader import Reader
from huying.node.web.scope import Scope
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["merge_targets"]

_SHOWN_MAX: Final = 8
_READ_MAX: Final = 2000  # of the newest open calls; an older one is found by its id
_ID_CHARACTERS: Final = 32


def merge_targets(
    reader: Reader, scope: Scope, view: api_pb2.CallView, words: str
) -> list[tuple[CallRow, calls_pb2.Call]]:
    """Open calls whose title or id has these words; without any, those of its category and place.

    Blocks.
    """
    wanted = words.lower()
    rows: list[CallRow] = []
    if len(wanted.replace("-", "")) == _ID_CHARACTERS:
        rows = _by_id(reader, wanted.replace("-", ""))
    found = [_parsed(row) for row in rows]
    token = b""
    read = 0
    category = "" if wanted else view.content.category
    while not rows and read < _READ_MAX and len(found) < _SHOWN_MAX:
        page = reader.list_calls(
            open_only=True, category=category, limit=LIST_ENTRIES_MAX, page_token=token
        )
        for row in page.rows:
            each = _parsed(row)
            if _fits(each, view, wanted):
                found.append(each)
        read += len(page.rows)
        token = page.next_token
        if not token:
            break
    return [
        (row, call)
        for row, call in found
        if row.call != view.call and row.open and row.sequencer == view.sequencer
        if scope.sees_call(
            caller=row.caller, village=row.village, grid=row.grid, department=row.department
        )
    ][:_SHOWN_MAX]


def _by_id(reader: Reader, text: str) -> list[CallRow]:
    try:
        found = reader.get_call(bytes.fromhex(text))
    except ValueError:
        return []
    return [] if found is None else [found[0]]


def _parsed(row: CallRow) -> tuple[CallRow, calls_pb2.Call]:
    return row, calls_pb2.Call.FromString(row.message)


def _fits(each: tuple[CallRow, calls_pb2.Call], view: api_pb2.CallView, wanted: str) -> bool:
    row, call = each
    if row.call == view.call or not row.received_micros:
        return False
    if not wanted:
        return (row.village or row.caller) == (view.content.village or view.caller)
    return wanted in call.title.lower() or row.call.hex().startswith(wanted)
