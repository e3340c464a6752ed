"""Imports under way: the file that was uploaded, what became of it, and how far the writing is.

    imports/salt              32 random bytes, made once
    imports/JOB/job.json      whose it is, what was found, how far it is
    imports/JOB/table.xlsx    what was uploaded, until it is written
    imports/JOB/faulty.xlsx   the rows that were refused, to mend, until the import goes
    imports/JOB/plan.bin      the records to write, an AppendRequest, while they are written

An import that was cut is gone on with: the plan stays until all of it is written, and the node
writes no request twice. Everything is its owner's alone, and gone after a day.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huying.common.errors import Code, HuyingError
from huying.common.limits import LEDGER_FAULTY_FILES_MAX, LEDGER_IMPORT_KEPT_SECONDS
from huying.node.folders import sync_folder
from huying.node.sheets import FaultyRows, RowError, write_faulty
from huying.wire.v1 import api_pb2

__all__ = ["CHECKED", "DONE", "JOBS_MAX", "WRITING", "Job", "Jobs"]

CHECKED, WRITING, DONE = "checked", "writing", "done"
_JOB: Final = re.compile(r"[0-9a-f]{32}")
_SALT_BYTES: Final = 32
_MODE: Final = 0o600
JOBS_MAX: Final = 20  # that wait at once; another one is refused until some are dropped


@dataclass(slots=True)
class Job:
    """One import."""

    id: str  # 32 hex digits
    person: str  # id of who uploaded it
    name: str  # of the file, as the browser said it
    ending: str  # ".xlsx"
    sha256: str
    made_seconds: float
    stage: str = CHECKED
    rows: int = 0  # accepted
    rejected: int = 0
    new_households: int = 0
    new_residents: int = 0
    changed: int = 0
    there: int = 0
    total: int = 0  # entries to write
    written: int = 0
    faulty: int = 0  # rows of the workbook of those that were refused
    passed: list[int] = field(default_factory=list)  # rows without anything for the ledger
    joined: int = 0  # rows that took their household from the row above
    is_update: bool = False
    used: list[str] = field(default_factory=list)  # columns of the sheet
    unused: list[str] = field(default_factory=list)
    errors: list[tuple[int, str, str]] = field(default_factory=list)  # row, column, what

    def row_errors(self) -> list[RowError]:
        """What is wrong, row by row."""
        return [RowError(*each) for each in self.errors]

    def grouped_errors(self) -> list[tuple[str, str, list[int]]]:
        """(column, what, its rows) of all that is wrong, as it comes first in the sheet."""
        found: dict[tuple[str, str], list[int]] = {}
        for number, column, what in self.errors:
            found.setdefault((column, what), []).append(number)
        return [(*key, rows) for key, rows in found.items()]


class Jobs:
    """The imports of one console. Methods block: call them on a thread. OSError from the disk."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the console's own."""
        self._folder = folder / "imports"

    def salt(self) -> bytes:
        """What ids of imported records are made under; made where there is none."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / "salt"
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SALT_BYTES))
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._folder)
        salt = path.read_bytes()
        if len(salt) != _SALT_BYTES:
            raise HuyingError(Code.CORRUPT, "imports/salt: not 32 bytes; delete it")
        return salt

    def begin(self, person: str, name: str, ending: str, now: float) -> Job:
        """A new import and its folder. Raises HuyingError(BUSY) past JOBS_MAX that are not done."""
        self.forget_old(now)
        if self.room() <= 0:
            raise HuyingError(Code.BUSY, f"{JOBS_MAX} imports are under way; drop one of them")
        job = Job(secrets.token_hex(16), person, name, ending, "", now)
        self._folder.mkdir(mode=0o700, exist_ok=True)  # the mode of parents is the system's
        (self._folder / job.id).mkdir(mode=0o700)
        return job

    def room(self) -> int:
        """How many more may wait. What is done takes no place: just its counts are kept."""
        tables = sum(1 for _ in self._folder.glob("*/table.*"))
        return JOBS_MAX - tables

    def table(self, job: Job) -> Path:
        """Where the file that was uploaded lies."""
        return self._folder / job.id / f"table{job.ending}"

    def save(self, job: Job) -> None:
        """Write down how far it is."""
        document = json.dumps(dataclasses.asdict(job), ensure_ascii=True)
        self._write(self._folder / job.id / "job.json", document.encode())

    def find(self, job_id: str, person: str) -> Job:
        """The person's import of that id. Raises HuyingError(NOT_FOUND)."""
        nothing = HuyingError(Code.NOT_FOUND, "there is no such import, or it was a day ago")
        if not _JOB.fullmatch(job_id):
            raise nothing
        try:
            document = json.loads((self._folder / job_id / "job.json").read_bytes())
            job = Job(**document)
        except (OSError, ValueError, TypeError):
            raise nothing from None
        if job.person != person:
            raise nothing
        return job

    def of(self, person: str) -> list[Job]:
        """The person's imports, the newest first."""
        found = []
        for path in self._folder.glob("*/job.json"):
            with contextlib.suppress(HuyingError):
                found.append(self.find(path.parent.name, person))
        return sorted(found, key=lambda job: -job.made_seconds)

    def faulty(self, job: Job) -> Path:
        """Where the workbook of its refused rows lies; it need not exist."""
        return self._folder / job.id / "faulty.xlsx"

    def keep_faulty(self, job: Job, faulty: FaultyRows) -> None:
        """Keep the refused rows as a workbook, LEDGER_FAULTY_FILES_MAX of these at most."""
        path = self.faulty(job)
        if not faulty.rows:
            path.unlink(missing_ok=True)
            job.faulty = 0
            return
        job.faulty = write_faulty(path, faulty, job.row_errors())
        kept = sorted(self._folder.glob("*/faulty.xlsx"), key=_written)
        for old in kept[:-LEDGER_FAULTY_FILES_MAX]:
            old.unlink(missing_ok=True)

    def keep_plan(self, job: Job, drafts: list[api_pb2.Draft]) -> None:
        """Keep what is to be written."""
        data = api_pb2.AppendRequest(drafts=drafts).SerializeToString()
        self._write(self._folder / job.id / "plan.bin", data)

    def plan(self, job: Job) -> list[api_pb2.Draft]:
        """What is to be written, all of it. Raises HuyingError(NOT_FOUND) where it is gone."""
        try:
            data = (self._folder / job.id / "plan.bin").read_bytes()
        except OSError:
            raise HuyingError(
                Code.NOT_FOUND, "the plan of this import is gone; upload again"
            ) from (None)
        return list(api_pb2.AppendRequest.FromString(data).drafts)

    def finish(self, job: Job) -> None:
        """All is written: what was uploaded goes; counts and refused rows stay for a day."""
        job.stage = DONE
        self.save(job)
        for path in (self.table(job), self._folder / job.id / "plan.bin"):
            path.unlink(missing_ok=True)

    def drop(self, job: Job) -> None:
        """Remove an import; what was written stays written."""
        shutil.rmtree(self._folder / job.id, ignore_errors=True)

    def forget_old(self, now: float) -> None:
        """Remove what is older than a day."""
        for path in self._folder.glob("*/"):
            try:
                made = json.loads((path / "job.json").read_bytes())["made_seconds"]
            except (OSError, ValueError, KeyError, TypeError):
                made = path.stat().st_mtime if path.exists() else 0.0
            if now - made > LEDGER_IMPORT_KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def _write(self, path: Path, data: bytes) -> None:
        new = path.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)  # half of it is of no use, and takes room on a full disk
            raise
        sync_folder(path.parent)


def _written(path: Path) -> float:
    """When a file was written; 0 for one that went meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
