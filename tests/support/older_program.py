"""A program of the release before, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from huying.common import intake
from huying.common.errors import Code, HuyingError
from huying.common.records import registry as records
from huying.wire.v1 import feed_pb2


@contextmanager
def an_older_program(unknown: Callable[[Any], bool], detail: str = "") -> Iterator[None]:
    """Entries whose record is `unknown` to it are received, and not understood."""
    known = records.decode

    def decode(head: feed_pb2.Head, home: str, body: bytes) -> Any:
        message = known(head, home, body)
        if unknown(message):
            raise HuyingError(Code.UNKNOWN_TYPE, detail or f"record type {head.type}")
        return message

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "decode", decode)
        yield
