"""How a county knows that it was away: the time of a file that it touches while it can answer.

Two files lie beside the database, both of mode 0600.

    calls.heartbeat   empty; its modification time is the last moment at which this node could write
    calls.outage      one line, "huying/outage/v1 FROM UNTIL" in unix microseconds, while the calls
                      of an outage are being extended

A gap of the heartbeat over the threshold is an *outage*. It is written down before the heartbeat
goes on, and taken away once every open window was extended, so that a crash in between ends in the
same steps, and in no second extension. A node that never had a heartbeat knows of no outage.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from huying.common.errors import Code, HuyingError
from huying.common.limits import HEARTBEAT_SECONDS, OUTAGE_DAYS_MAX
from huying.node.folders import sync_folder
from huying.node.store.database import translated

__all__ = ["HEARTBEAT_FILE", "OUTAGE_FILE", "Outage", "OutageLog"]

HEARTBEAT_FILE: Final = "calls.heartbeat"
OUTAGE_FILE: Final = "calls.outage"
_LABEL: Final = "huying/outage/v1"
_LINE: Final = re.compile(rf"{_LABEL} ([0-9]{{1,19}}) ([0-9]{{1,19}})\n")
_FILE_BYTES_MAX: Final = 200
_NANOS_PER_MICRO: Final = 1000
_MICROS_PER_DAY: Final = 86_400_000_000


class Outage(NamedTuple):
    """When this node was away, in unix microseconds of its own clock."""

    from_micros: int
    until_micros: int


class OutageLog:
    """The two files. Every method raises HuyingError(DISK_FULL or STORE_FAILED)."""

    def __init__(self, folder: Path, threshold_seconds: float) -> None:
        self._heartbeat = folder / HEARTBEAT_FILE
        self._outage = folder / OUTAGE_FILE
        self._threshold_micros = int(threshold_seconds * 1e6)

    def due(self, now_micros: int) -> Outage | None:
        """The outage whose calls are to be extended now, or None; and the heartbeat goes on.

        The same one is given until it is `settled`. Called while the node can write. Raises
        HuyingError(CORRUPT) where what was written down does not read, and CONFIG where the gap is
        so long, forth or back, that the clock is more likely wrong: nothing that is written by a
        wrong clock can be taken back. The heartbeat stays, so that all goes on once it is right.
        """
        written = self._written()
        if written is not None:
            return written
        last = self._last_beat()
        if last is not None and abs(now_micros - last) > OUTAGE_DAYS_MAX * _MICROS_PER_DAY:
            days = (now_micros - last) // _MICROS_PER_DAY
            raise HuyingError(
                Code.CONFIG,
                f"{self._heartbeat} is of {days} days ago, by this machine's clock: set the clock, "
                f"or, if it is right, remove the file; up to {OUTAGE_DAYS_MAX} days are an outage",
            )
        if last is not None and now_micros - last >= self._threshold_micros:
            found = Outage(last, now_micros)
            self._write(found)
            self.beat(now_micros)
            return found
        if last is None or not 0 <= now_micros - last < HEARTBEAT_SECONDS * 1e6:
            self.beat(now_micros)
        return None

    def settled(self) -> None:
        """Every call of the outage was extended."""
        with translated():
            self._outage.unlink(missing_ok=True)
            sync_folder(self._outage.parent)

    def beat(self, now_micros: int) -> None:
        """This node can answer now."""
        nanos = now_micros * _NANOS_PER_MICRO
        with translated():
            self._heartbeat.touch(0o600)
            os.utime(self._heartbeat, ns=(nanos, nanos))

    def _last_beat(self) -> int | None:
        with translated(), contextlib.suppress(FileNotFoundError):
            return self._heartbeat.stat().st_mtime_ns // _NANOS_PER_MICRO
        return None

    def _written(self) -> Outage | None:
        data = b""
        with translated():
            try:
                with self._outage.open("rb") as file:
                    data = file.read(_FILE_BYTES_MAX)
            except FileNotFoundError:
                return None
        found = _LINE.fullmatch(data.decode("ascii", "replace"))
        if found is None:
            # What was extended can't be told from it: whoever removes it gives up that outage.
            raise HuyingError(Code.CORRUPT, f"{self._outage} does not read; remove it")
        return Outage(int(found[1]), int(found[2]))

    def _write(self, outage: Outage) -> None:
        """Durable when it returns; after a power cut the whole line is there, or no file."""
        temporary = self._outage.with_name(OUTAGE_FILE + ".new")
        line = f"{_LABEL} {outage.from_micros} {outage.until_micros}\n".encode("ascii")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with translated():
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._outage)
            sync_folder(self._outage.parent)
