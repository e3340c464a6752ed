"""Canaries: marked values in fields of limited audience, and the search for them elsewhere.

A mark is planted in every field that not all nodes may read (of some records), and then every
file of every node is searched for every mark, as it is, in hex and in base64. A node's database
may hold what its node may read; a captured frame what both its ends may read; a log, a page of
metrics and any other file holds no mark at all, not even one of its own node's. Marks of one kind
have one random stem, so that a file is searched for a few patterns, however many marks there are.
A mark's number stands before the stem and behind it: of what a database has written over, one end
often remains, and it must still say whose it was.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from huying.common import codes
from huying.wire.v1 import audience_pb2
from huying.wire.v1.calls_pb2 import CallDraft

__all__ = ["UNMARKED", "Canaries", "Leak", "Scan", "scan_bytes", "scan_node"]

# No mark fits: a date, and one of two words.
UNMARKED: Final = frozenset({"birth_date", "sex"})
_PHONES: Final = frozenset({"phone", "reporter_phone", "contact_phone"})
_ID_CHARACTERS_MAX: Final = 32
_STEM_BYTES: Final = 6  # 48 random bits
_PHONE_STEM_DIGITS: Final = 12
_NUMBER_BYTES: Final = 2
_RECORD_STEM_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is planted in fields of one audience of one origin."""

    origin: str
    level: int
    readers: frozenset[str]
    text: bytes
    phone: bytes
    record: bytes  # 16 bytes


@dataclass(frozen=True, slots=True)
class Leak:
    """A mark where it may not be."""

    file: str
    offset: int
    origin: str  # of the record; empty where just the stem is left
    level: int
    encoding: str


@dataclass(slots=True)
class Scan:
    """What a search found."""

    files: int = 0
    scanned_bytes: int = 0
    permitted: int = 0  # marks where they may be: shows that the search finds what is there
    leaks: list[Leak] = field(default_factory=list)

    def add(self, other: Scan) -> None:
        """Take in another search."""
        self.files += other.files
        self.scanned_bytes += other.scanned_bytes
        self.permitted += other.permitted
        self.leaks += other.leaks


class Canaries:
    """The marks of one run."""

    def __init__(self, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.planted = 0  # fields
        self._marks: dict[tuple[str, int], _Mark] = {}
        digits = int.from_bytes(draw(8), "big") % 10**_PHONE_STEM_DIGITS
        self._text = draw(_STEM_BYTES).hex()
        self._phone = f"{digits:0{_PHONE_STEM_DIGITS}}"
        self._record = draw(_RECORD_STEM_BYTES)

    def plant(self, message: Message, origin: str) -> None:
        """Mark, in place, every filled field that stays below the county, or in the county."""
        own = int(codes.level(origin))
        lowest = min(own, codes.Level.COUNTY + 1)
        for one, value in message.ListFields():
            declared = one.GetOptions().Extensions[audience_pb2.audience]
            level = min(declared.level, own)
            if declared.addressed or level < lowest or one.name in UNMARKED:
                continue
            marked = _marked(one, value, self._mark(origin, level))
            if marked is not None:
                setattr(message, one.name, marked)
                self.planted += 1

    def plant_contact(self, draft: CallDraft, origin: str) -> None:
        """Mark whom a draft names; the county will read its other words in the call."""
        mark = self._mark(origin, codes.Level.TOWN)
        draft.contact_name += mark.text.decode()
        draft.contact_phone = mark.phone.decode()
        self.planted += 2

    def _mark(self, origin: str, level: int) -> _Mark:
        key = (origin, level)
        if key not in self._marks:
            number = len(self._marks)
            above = {one for one in codes.ancestors(origin) if codes.level(one) >= level}
            ends = number.to_bytes(_NUMBER_BYTES, "big")
            self._marks[key] = _Mark(
                origin=origin,
                level=level,
                readers=frozenset({origin, *above}),
                text=f"zx{number:02}{self._text}{number:02}".encode(),
                phone=f"160{number:02}{self._phone}{number:02}".encode(),
                record=ends + self._record + ends,
            )
        return self._marks[key]

    def stems(self) -> list[tuple[str, bytes]]:
        """(encoding, pattern): one of them is in any file that holds a mark whole."""
        stems = (self._text.encode(), self._phone.encode(), self._record)
        return [spelled for stem in stems for spelled in _spellings(stem)]

    def ends(self) -> list[tuple[_Mark, bytes]]:
        """Every mark's stem in every encoding, with the number before it, and with that behind."""
        stems = (self._text.encode(), self._phone.encode(), self._record)
        found = []
        for mark in self._marks.values():
            for value, stem in zip((mark.text, mark.phone, mark.record), stems, strict=True):
                at = value.index(stem)
                before = value[at - _NUMBER_BYTES : at + len(stem)]
                found += [(mark, one) for end in (before, value[at:]) for _, one in _spellings(end)]
        return found


def _marked(field: FieldDescriptor, value: object, mark: _Mark) -> str | bytes | None:
    """The value with the mark in it, within what `record_rules` lets pass; None where none fits."""
    if field.name in _PHONES:
        return mark.phone.decode()
    if isinstance(value, bytes):
        return mark.record
    if isinstance(value, str):
        text = mark.text.decode()
        if field.name == "id_number":
            return (value[: _ID_CHARACTERS_MAX - len(text)]) + text
        return value + text
    return None


def _spellings(value: bytes) -> Iterator[tuple[str, bytes]]:
    """The value, and what of it stands in any hex or base64 text that holds it."""
    yield "raw", value
    yield "hex", value.hex().encode()
    if value.hex().upper() != value.hex():
        yield "HEX", value.hex().upper().encode()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + value)
        # The first characters also hold bits of what comes before, the last ones of what follows.
        first = -(-offset * 8 // 6)
        last = (offset + len(value)) * 8 // 6
        whole = encoded[first:last]
        yield f"base64+{offset}", whole
        urlsafe = whole.translate(bytes.maketrans(b"+/", b"-_"))
        if urlsafe != whole:
            yield f"base64url+{offset}", urlsafe


def scan_bytes(
    canaries: Canaries, data: bytes, where: str, allowed: Callable[[_Mark], bool]
) -> Scan:
    """Search some bytes; `allowed` says which marks may be there."""
    scan = Scan(files=1, scanned_bytes=len(data))
    ends = canaries.ends()
    for encoding, stem in canaries.stems():
        at = data.find(stem)
        while at >= 0:
            marks = [mark for mark, end in ends if _covers(data, end, at, len(stem))]
            if marks and all(map(allowed, marks)):
                scan.permitted += 1
            else:
                origin, level = (marks[0].origin, marks[0].level) if marks else ("", 0)
                scan.leaks.append(Leak(where, at, origin, level, encoding))
            at = data.find(stem, at + 1)
    return scan


def _covers(data: bytes, pattern: bytes, at: int, length: int) -> bool:
    """Whether the pattern stands in `data` around the `length` bytes at `at`."""
    start = max(0, at + length - len(pattern))
    return data.find(pattern, start, at + len(pattern)) >= 0


def scan_node(
    canaries: Canaries, code: str, folder: Path, *, data: Path, capture: Path | None
) -> Scan:
    """Search every file of the node `code` below `folder`, its write-ahead log too."""
    total = Scan()
    for file in _files(folder):
        if data in file.parents:
            total.add(_scan_file(canaries, file, lambda mark: code in mark.readers))
        elif capture is not None and capture in file.parents:
            # A frame has two ends: what only one of them may read has no place in it.
            total.add(
                _scan_file(
                    canaries,
                    file,
                    lambda mark: code in mark.readers and len(mark.readers) > 1,
                )
            )
        else:
            total.add(_scan_file(canaries, file, lambda _mark: False))
    return total


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _scan_file(canaries: Canaries, file: Path, allowed: Callable[[_Mark], bool]) -> Scan:
    # Read, not mapped: a write-ahead log that is cut while it is mapped ends this process.
    try:
        return scan_bytes(canaries, file.read_bytes(), str(file), allowed)
    except FileNotFoundError:  # a temporary file that its node has renamed meanwhile
        return Scan()
