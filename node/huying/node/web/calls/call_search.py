"""Finding the call that another one is merged into: open, of the same answering node, in reach."""

from __future__ import annotations

from typing import Final

from huying.node.store.call_queries import CallRow
from huying.node.store.desk_filter import CallFilter
from huying.node.store.reader import Reader
from huying.node.web.access.scope import Scope
from huying.node.web.calls.call_filters import sees
from huying.wire.v1 import api_pb2, calls_pb2

__all__ = ["merge_targets"]

_SHOWN_MAX: Final = 8


def merge_targets(
    reader: Reader, scope: Scope, view: api_pb2.CallView, words: str
) -> list[tuple[CallRow, calls_pb2.Call]]:
    """Open calls whose text or id has these words; without any, those of its category and village.

    Blocks; a search looks at as many as the list of calls does.
    """
    if words:
        wanted = CallFilter(is_open=True, words=words)
    else:
        place = view.content.village or view.caller
        wanted = CallFilter(is_open=True, area=place, category=view.content.category)

    def fits(row: CallRow) -> bool:
        is_other = row.call != view.call and row.sequencer == view.sequencer
        return is_other and row.received_micros > 0 and bool(row.open) and sees(scope, row)

    found = reader.find_calls(wanted, order="newest", limit=_SHOWN_MAX, token="", sees=fits)
    return [(row, calls_pb2.Call.FromString(row.message)) for row in found.rows]
