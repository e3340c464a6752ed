r"""The day of lag and disk that a restart must not forget: one small file, whole or not there.

    "huying-lag-history/v1\n" ‖ header (JSON) ‖ "\n" ‖ rings ‖ SHA-256 of all before

Rings are what `History` remembers, oldest first, in the machine's own byte order: times, disk free
and database (8 bytes a sample), worst lag (4), feeds unknown (2), not run (1), and of each feed its
lag (4). A village's has some 70 KB. A file that is damaged, of another machine's order or from the
future is as good as none: the day begins anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from array import array
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from huying.common.limits import (
    HISTORY_FEEDS_MAX,
    HISTORY_FILE_BYTES_MAX,
    HISTORY_SAMPLES,
    HISTORY_SECONDS,
)
from huying.node import logs

__all__ = ["KeptHistory", "decode", "encode", "load", "save"]

_MAGIC: Final = b"huying-lag-history/v1\n"
_DIGEST_BYTES: Final = 32
_DAY_SECONDS: Final = HISTORY_SAMPLES * HISTORY_SECONDS
_KINDS: Final = "dddfHB"


@dataclass(frozen=True, slots=True)
class KeptHistory:
    """What is remembered, oldest first; every ring has as many samples."""

    times: array[float]  # unix seconds
    free: array[float]
    database: array[float]
    worst: array[float]
    unknown: array[int]
    missed: array[int]
    lags: dict[str, array[float]]  # by origin

    @property
    def rings(self) -> tuple[array[Any], ...]:
        """In the order of the file, but for the feeds'."""
        return self.times, self.free, self.database, self.worst, self.unknown, self.missed


def encode(kept: KeptHistory) -> bytes:
    """The file."""
    header = {"order": sys.byteorder, "samples": len(kept.times), "feeds": list(kept.lags)}
    parts = [_MAGIC, json.dumps(header).encode("ascii"), b"\n"]
    parts += [ring.tobytes() for ring in (*kept.rings, *kept.lags.values())]
    body = b"".join(parts)
    return body + sha256(body).digest()


def decode(data: bytes) -> KeptHistory | None:
    """What a file holds; None where it is not whole, or another machine's."""
    body = data[:-_DIGEST_BYTES]
    if not body.startswith(_MAGIC) or sha256(body).digest() != data[-_DIGEST_BYTES:]:
        return None
    line, _, rest = body[len(_MAGIC) :].partition(b"\n")
    header = json.loads(line)  # what has our digest was written by us
    samples, feeds = header["samples"], header["feeds"]
    if header["order"] != sys.byteorder or samples > HISTORY_SAMPLES:
        return None
    rings: list[array[Any]] = []
    at = 0
    for kind in _KINDS + "f" * len(feeds[:HISTORY_FEEDS_MAX]):
        ring: array[Any] = array(kind)
        size = samples * ring.itemsize
        ring.frombytes(rest[at : at + size])
        at += size
        rings.append(ring)
    times, free, database, worst, unknown, missed, *of_feeds = rings
    lags = dict(zip(feeds, of_feeds, strict=False))
    return KeptHistory(times, free, database, worst, unknown, missed, lags)


def load(file: Path, now: float) -> KeptHistory | None:
    """What was kept of the day before `now`, unix seconds; None where there is nothing of use."""
    try:
        with file.open("rb") as source:
            data = source.read(HISTORY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError:
        data = b""
    kept = decode(data) if len(data) <= HISTORY_FILE_BYTES_MAX else None
    if kept is None:
        logs.say("history_unread", file=str(file))
        return None
    is_recent = len(kept.times) > 0 and now - _DAY_SECONDS < kept.times[-1] <= now
    return kept if is_recent else None


def save(file: Path, data: bytes) -> None:
    """Write the file, whole or not at all. A disk that takes none costs a day's curve, no more."""
    temporary = file.with_name(f".{file.name}.part")
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(file)
