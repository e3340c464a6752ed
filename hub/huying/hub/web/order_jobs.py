"""Files of hotline orders between their upload and their import: checked, confirmed, imported.

A file holds the contacts of callers, so it lies in a folder of its own (0700, files 0600), belongs
to who brought it, and goes when it was imported or after an hour. What becomes of it is in
`state.json` beside it: a console that ends in the middle of an import says so afterwards, and the
import is simply done again, since the node writes nothing twice.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import ORDER_IMPORT_SECONDS, ORDER_IMPORTS_MAX, SHEET_BYTES_MAX
from huying.hub.hotline_import import Totals
from huying.node.web.refusals import plain

__all__ = ["ENDINGS", "Job", "JobFolder", "JobState", "shown_name", "told"]

ENDINGS: Final = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".ods", ".xls", ".et")
_PIECE_BYTES: Final = 1 << 20
_NAME_CHARACTERS_MAX: Final = 80
_COUNTS: Final = (
    "rows",
    "new",
    "changed",
    "same",
    "erased",
    "refused",
    "near_duplicates",
    "without_contact",
    "unknown_handlers",
)


class JobState:
    """Where a file stands."""

    CHECKING: Final = "checking"
    CHECKED: Final = "checked"  # and waits for a word
    IMPORTING: Final = "importing"
    DONE: Final = "done"
    FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One file, as `state.json` has it. Times are unix seconds."""

    id: str  # 32 hex digits
    person: str  # whose it is
    name: str  # of the file, as its owner calls it
    mapping: str
    created: float
    state: str = JobState.CHECKING
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[tuple[int, str, str, str], ...] = ()  # row, column, Chinese, English
    fault: tuple[str, str] = ("", "")  # why it failed

    @property
    def good(self) -> int:
        """Rows that can be imported."""
        return self.counts.get("rows", 0) - self.counts.get("refused", 0)

    @property
    def is_at_work(self) -> bool:
        """Whether something is meant to go on with it."""
        return self.state in (JobState.CHECKING, JobState.IMPORTING)

    def counted(self, state: str, totals: Totals) -> Job:
        """The job with what came of its file."""
        errors = tuple((one.number, one.column, *_both(one.what)) for one in totals.errors)
        counts = {name: int(getattr(totals, name)) for name in _COUNTS}
        return replace(self, state=state, counts=counts, errors=errors)


def told(error: HuyingError) -> tuple[str, str]:
    """A fault in Chinese and English; a table's own words come first."""
    return plain(error, "zh"), error.detail.partition("\n")[0] or error.advice.en


def _both(what: str) -> tuple[str, str]:
    zh, _, en = what.partition(" · ")
    return zh, en or zh


class JobFolder:
    """The files of one console. Methods block, and raise HuyingError(DISK_FULL, STORE_FAILED)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.busy: set[str] = set()  # ids of the files that are worked on, by this process

    def begin(self, job: Job, sheet: IO[bytes], ending: str, mapping: bytes | None = None) -> None:
        """Keep an upload. `mapping`: a mapping file that came along.

        Raises HuyingError(BUSY) where too many files wait already, LIMIT_EXCEEDED for a large one.
        """
        self.forget_old(job.created)
        with _translated():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sum(1 for _ in self._folder.iterdir()) >= ORDER_IMPORTS_MAX:
                raise HuyingError(
                    Code.BUSY, f"{ORDER_IMPORTS_MAX} files wait already; import or drop one of them"
                )
            place = self._folder / job.id
            place.mkdir(mode=0o700)
        try:
            self.save(job)
            with _translated():
                _copy(sheet, place / f"sheet{ending}")
                if mapping is not None:
                    _write(place / "mapping.toml", mapping)
        except BaseException:
            self.drop(job.id)
            raise

    def save(self, job: Job) -> None:
        """Write its state, whole or not at all."""
        place = self._folder / job.id
        draft = place / "state.new"
        with _translated():
            _write(draft, json.dumps(asdict(job), ensure_ascii=True).encode())
            draft.replace(place / "state.json")

    def find(self, job_id: str, person: str) -> Job | None:
        """A file of that person's."""
        job = self._load(job_id)
        return job if job is not None and job.person == person else None

    def _load(self, job_id: str) -> Job | None:
        try:
            text = (self._folder / job_id / "state.json").read_bytes()
            document: dict[str, Any] = json.loads(text)
            document["errors"] = tuple(tuple(one) for one in document["errors"])
            document["fault"] = tuple(document["fault"])
            return Job(**document)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def of(self, person: str) -> list[Job]:
        """That person's files, newest first."""
        with contextlib.suppress(FileNotFoundError):
            names = [one.name for one in self._folder.iterdir()]
            found = filter(None, (self.find(name, person) for name in names))
            return sorted(found, key=lambda one: (-one.created, one.id))
        return []

    def sheet(self, job_id: str) -> Path:
        """The uploaded table. Raises HuyingError(NOT_FOUND) where it is gone."""
        for path in (self._folder / job_id).glob("sheet.*"):
            return path
        raise HuyingError(Code.NOT_FOUND, "the file is gone; upload it again")

    def mapping(self, job_id: str) -> Path:
        """The mapping file that came along; it need not exist."""
        return self._folder / job_id / "mapping.toml"

    def errors(self, job_id: str) -> Path:
        """Where every error stands as a row; it exists where there was one."""
        return self._folder / job_id / "errors.csv"

    def faulty(self, job_id: str) -> Path:
        """Where the workbook of the refused rows lies; it exists where there was one."""
        return self._folder / job_id / "faulty.xlsx"

    def empty(self, job_id: str) -> None:
        """Remove the table itself; what came of it stays."""
        with contextlib.suppress(HuyingError, OSError):
            self.sheet(job_id).unlink()

    def drop(self, job_id: str) -> None:
        """Remove all of it."""
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def forget_old(self, now: float) -> None:
        """Remove what nobody decided about in time."""
        with contextlib.suppress(OSError):
            for place in self._folder.iterdir():
                job = self._load(place.name)
                if place.name in self.busy:
                    continue
                # One without its state may be another upload that begins just now.
                made = place.stat().st_mtime if job is None else job.created
                if made < now - ORDER_IMPORT_SECONDS:
                    self.drop(place.name)


def shown_name(name: str) -> str:
    """A file's name as it may be shown: its last part, printable and short."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:_NAME_CHARACTERS_MAX]


def _copy(source: IO[bytes], path: Path) -> None:
    size = 0
    with os.fdopen(_open(path), "wb") as target:
        while piece := source.read(_PIECE_BYTES):
            size += len(piece)
            if size > SHEET_BYTES_MAX:
                most = SHEET_BYTES_MAX >> 20
                raise HuyingError(Code.LIMIT_EXCEEDED, f"sheet: over {most} MiB; split it")
            target.write(piece)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(_open(path), "wb") as file:
        file.write(data)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        code = Code.DISK_FULL if full else Code.STORE_FAILED
        raise HuyingError(code, f"the import's folder: {error.strerror}") from None
