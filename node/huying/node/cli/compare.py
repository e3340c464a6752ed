"""`huying feed compare`: a note that another reader was shown, beside what is held here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huying.common.errors import Code, HuyingError
from huying.common.limits import NOTE_BYTES_MAX
from huying.node.cli.context import JsonOption

__all__ = ["compare"]


def compare(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="另一节点打印的检查点 · A note of `feed head` there."),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """核对另一读者看到的检查点 · Compare a checkpoint that another reader was shown.

    Two readers who never exchange anything may be shown two histories. Where the note contradicts
    what is held here, both notes are kept as evidence, the feed is frozen, and the neighbours hear
    of it; the command ends with FORK.
    """
    from huying.node.cli.administer import administer
    from huying.node.cli.output import print_bytes, print_json, print_note
    from huying.wire.v1 import admin_pb2

    request = admin_pb2.CompareNoteRequest(note=_read(file))
    found = administer(ctx, "CompareNote", request)
    verdict = "fork" if found.first else "agrees" if found.is_held else "ahead"
    if as_json:
        print_json(
            {
                "origin": found.origin,
                "verdict": verdict,
                "size": found.size,
                "held": found.held,
                "evidence": [note.decode() for note in (found.first, found.second) if note],
            }
        )
    elif verdict == "fork":
        print_bytes(found.first + b"\n" + found.second)
    elif verdict == "agrees":
        print_note("一致:两处看到的是同一份历史", f"the same history, up to {found.size} entries")
    else:
        print_note(
            f"本级只有 {found.held} 条,已记下,到齐后自动核对",
            f"{found.held} of {found.size} entries are held; kept, and compared when they come",
        )
    if verdict == "fork":
        raise HuyingError(Code.FORK, f"{found.origin}: both notes can't be true")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(NOTE_BYTES_MAX + 1)
    except OSError as error:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{file}: {error.strerror}") from None
    if len(data) > NOTE_BYTES_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"{file}: over {NOTE_BYTES_MAX} bytes, no note")
    return data
