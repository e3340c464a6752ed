"""Drafts as a client of a node's API writes them, and the refusals it gets."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from huying.common.errors import Code, HuyingError
from huying.node.api.client import Client
from huying.wire.v1 import api_pb2, feed_pb2

__all__ = ["draft", "refusal", "write"]


def draft(
    message: Message,
    type_: feed_pb2.RecordType.ValueType = feed_pb2.RECORD_TYPE_EVENT,
    kind: feed_pb2.Kind.ValueType = feed_pb2.KIND_PUT,
    record: bytes = b"",
    request_id: bytes = b"",
) -> api_pb2.Draft:
    return api_pb2.Draft(
        kind=kind,
        type=type_,
        record=record,
        message=message.SerializeToString(),
        request_id=request_id,
    )


def write(client: Client, *drafts: api_pb2.Draft) -> list[api_pb2.Receipt]:
    return list(client.append(api_pb2.AppendRequest(drafts=drafts)).receipts)


def refusal(code: Code) -> pytest.RaisesExc[HuyingError]:
    return pytest.raises(HuyingError, check=lambda error: error.code is code)
