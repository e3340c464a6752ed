"""`huying watch`: what comes into the node, one JSON document a line, for scripts.

The cursor file says where to go on in every feed. It is written after the lines before it were
handed to the reader, whole or not at all; so after a crash some lines may come again, with the same
origin and index, and none is left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from huying.common.errors import Code, HuyingError
from huying.common.limits import CURSOR_BYTES_MAX
from huying.node.cli import context

if TYPE_CHECKING:
    from huying.node.api.client import Client
    from huying.wire.v1 import api_pb2

    # A change; why the stream broke; or None at its end.
    _Item = api_pb2.Change | BaseException | None

__all__ = ["CURSOR_VERSION", "read_cursor", "register", "write_cursor"]

CURSOR_VERSION: Final = 1
_QUEUE_CHANGES: Final = 256  # read ahead of what is printed
_BATCH_CHANGES: Final = 100  # printed between two writes of the cursor, while more is waiting


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(
    ctx: typer.Context,
    types: Annotated[
        str,
        typer.Option(metavar="TYPE,…", help="只看这些类型,如 order,order_result · Just these."),
    ] = "",
    cursor: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="进度文件,下次从此继续 · Where to go on next time."),
    ] = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="到现有末尾即结束 · End at the present end.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="每行一个 JSON · One JSON document a line.")
    ] = False,
) -> None:
    """持续输出本节点新收到的记录,可断点续读 · Follow what comes in, resumable at a cursor."""
    from huying.node.api.types import type_number
    from huying.wire.v1 import api_pb2

    chosen = [type_number(name.strip()) for name in types.split(",") if name.strip()]
    positions = read_cursor(cursor) if cursor is not None else {}
    request = api_pb2.WatchRequest(types=chosen, until_end=once)
    for origin, index in positions.items():
        request.cursor.add(origin=origin, index=index)
    with context.client(context.config(ctx)) as client:
        for batch in _batches(client, request):
            for change in batch:
                positions[change.next.origin] = change.next.index
                if change.HasField("record"):
                    sys.stdout.write(_line(change.record, jsonl=jsonl))
            # Printed first: a line that is lost is worse than a line that comes twice.
            sys.stdout.flush()
            if cursor is not None:
                write_cursor(cursor, positions)


def read_cursor(path: Path) -> dict[str, int]:
    """The next entry wanted, by origin; empty where there is no file yet.

    Raises HuyingError(INVALID_ARGUMENT) for a file that is no cursor.
    """
    try:
        with path.open("rb") as file:
            data = file.read(CURSOR_BYTES_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--cursor: {error.strerror}") from None
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(data)
        positions = document.get("next") if isinstance(document, dict) else None
        if (
            len(data) <= CURSOR_BYTES_MAX
            and isinstance(positions, dict)
            and document.get("version") == CURSOR_VERSION
            and all(type(index) is int and 0 <= index < 2**63 for index in positions.values())
        ):
            return positions
    raise HuyingError(
        Code.INVALID_ARGUMENT, f"--cursor: {path} is no cursor; remove it to begin anew"
    )


def write_cursor(path: Path, positions: dict[str, int]) -> None:
    """Replace the file, durably. Raises HuyingError(INVALID_ARGUMENT) where that fails."""
    document = {"version": CURSOR_VERSION, "next": dict(sorted(positions.items()))}
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("w", encoding="ascii") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"--cursor: {error.strerror}") from None


def _batches(client: Client, request: api_pb2.WatchRequest) -> Iterator[list[api_pb2.Change]]:
    """What has come, as soon as something has; a thread reads ahead, within a bound."""
    waiting: queue.Queue[_Item] = queue.Queue(_QUEUE_CHANGES)
    stopped = threading.Event()

    def put(item: _Item) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            with contextlib.closing(client.watch(request)) as changes:
                for change in changes:
                    put(change)
                    if stopped.is_set():
                        return
            put(None)
        except BaseException as error:  # noqa: BLE001  # raised where the lines are printed
            put(error)

    threading.Thread(target=read, name="watch", daemon=True).start()
    try:
        while True:
            batch, item = _gather(waiting)
            if batch:
                yield batch
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return
    finally:
        stopped.set()


def _gather(waiting: queue.Queue[_Item]) -> tuple[list[api_pb2.Change], _Item]:
    """All that has come, at least one item, within a bound; and the last item of it."""
    batch: list[api_pb2.Change] = []
    item = waiting.get()
    while item is not None and not isinstance(item, BaseException):
        batch.append(item)
        if len(batch) >= _BATCH_CHANGES:
            break
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            break
    return batch, item


def _line(record: api_pb2.RecordView, *, jsonl: bool) -> str:
    from huying.node.cli.output import when
    from huying.node.cli.render import record_document

    document: dict[str, Any] = record_document(record)
    if jsonl:
        return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
    words = (when(record.time_micros), document["type"], document["kind"], record.home)
    return f"{'  '.join(map(str, words))}  {record.record.hex()}  {record.origin} #{record.index}\n"
