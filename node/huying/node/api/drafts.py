"""From a draft of the API to one for the engine, which judges its fields.

Here it is parsed, addressed, and kept to what a person may write: a child's keys are enrolled from
pin files, and a call moves on by `TakeCallStep`, which looks at its stage first.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX, RECORD_ID_BYTES, SELECTORS_MAX
from huying.common.records.registry import REGISTRY, default_to
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["parse_draft"]

_KINDS: Final = (feed_pb2.KIND_PUT, feed_pb2.KIND_DELETE)


def parse_draft(draft: api_pb2.Draft, code: str) -> DraftEntry:
    """What the node `code` is asked to write.

    Raises HuyingError(INVALID_ARGUMENT, UNKNOWN_TYPE, TYPE_NOT_ALLOWED or ENTRY_TOO_LARGE), naming
    the field and the limit.
    """
    spec = REGISTRY.get(draft.type)
    if spec is None:
        raise HuyingError(Code.UNKNOWN_TYPE, f"type: {draft.type}")
    if draft.type == feed_pb2.RECORD_TYPE_MEMBER:
        raise HuyingError(Code.TYPE_NOT_ALLOWED, "type: members are enrolled from their pin files")
    if draft.type == feed_pb2.RECORD_TYPE_CALL_STEP:
        raise HuyingError(Code.TYPE_NOT_ALLOWED, "type: TakeCallStep writes the steps of a call")
    if draft.type in (feed_pb2.RECORD_TYPE_POLICY, feed_pb2.RECORD_TYPE_CALENDAR):
        raise HuyingError(Code.TYPE_NOT_ALLOWED, "type: policies and calendars are set as versions")
    if draft.kind not in _KINDS:
        raise HuyingError(Code.INVALID_ARGUMENT, "kind: KIND_PUT or KIND_DELETE")
    for field, value in (("record", draft.record), ("request_id", draft.request_id)):
        if value and len(value) != RECORD_ID_BYTES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: {RECORD_ID_BYTES} bytes, or none")
    if draft.kind == feed_pb2.KIND_DELETE and not draft.record:
        raise HuyingError(Code.INVALID_ARGUMENT, "record: a delete names the record")
    if len(draft.to) > SELECTORS_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"to: at most {SELECTORS_MAX} selectors")
    if len(draft.message) > ENTRY_BYTES_MAX:
        raise HuyingError(
            Code.ENTRY_TOO_LARGE,
            f"message: {len(draft.message)} bytes, the limit is {ENTRY_BYTES_MAX} (16 KiB)",
        )
    try:
        message = spec.message_class.FromString(draft.message)
    except DecodeError:
        raise HuyingError(Code.INVALID_ARGUMENT, f"message: not a {spec.name}") from None
    return DraftEntry(
        kind=draft.kind,
        type=draft.type,
        message=message,
        record=draft.record,
        to=tuple(draft.to) or default_to(draft.type, code, message),
        request_id=draft.request_id,
    )
