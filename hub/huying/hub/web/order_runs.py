"""Checking and importing a file of orders in the background, one file at a time.

The table is read on a thread (a workbook in a process of its own), and every batch goes to the node
through its API, as from the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio
import anyio.from_thread
import anyio.to_thread

from huying.common.errors import HuyingError
from huying.hub.desk import HUB_TOPICS
from huying.hub.hotline_import import Totals, import_file
from huying.hub.hotline_mapping import load_mapping
from huying.hub.mappings import shipped
from huying.hub.web.order_faulty import NotedErrors
from huying.hub.web.order_jobs import Job, JobFolder, JobState, told
from huying.node import logs
from huying.node.sheets import OnError, SheetError
from huying.node.web.app import Site
from huying.node.web.node_link import NodeLink
from huying.wire.v1 import hotline_pb2

__all__ = ["HOTLINE_DESK", "ImportRuns", "runs_of"]

HOTLINE_DESK: Final = next(one for one in HUB_TOPICS if one.name == "HotlineDesk")
_FOLDER: Final = "imports"


class ImportRuns:
    """The files of one console, and the work on them."""

    def __init__(self, folder: Path, node: NodeLink) -> None:
        self.jobs = JobFolder(folder)
        self._node = node
        self._progress: dict[str, int] = {}  # rows handed to the node, by job
        self._tasks: set[asyncio.Task[None]] = set()
        self._alone = anyio.CapacityLimiter(1)

    def rows_done(self, job: Job) -> int:
        """How many rows the node has had of the pass that is running."""
        return self._progress.get(job.id, 0)

    def is_running(self, job: Job) -> bool:
        """Whether this process works on it; one that says so and isn't was cut off."""
        return job.id in self.jobs.busy

    def reserve(self, job_id: str) -> bool:
        """Whether nobody works on a file, and this caller may now; `release` or `start` follows."""
        if job_id in self.jobs.busy:
            return False
        self.jobs.busy.add(job_id)
        self._progress[job_id] = 0
        return True

    def release(self, job_id: str) -> None:
        """Nothing works on that file any more."""
        self.jobs.busy.discard(job_id)
        self._progress.pop(job_id, None)

    def start(self, job: Job, *, dry_run: bool) -> None:
        """Check or import a file that was reserved; it is released at the end."""
        task = asyncio.create_task(self._run(job, dry_run=dry_run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, *, dry_run: bool) -> None:
        try:
            await anyio.to_thread.run_sync(partial(self.jobs.save, job))
            await self._work(job, dry_run=dry_run)
        except HuyingError as error:  # of the folder: what the file's page then says is older
            logs.say("console_untidy", code=error.code.name, detail=error.detail)
        finally:
            self.release(job.id)

    async def _work(self, job: Job, *, dry_run: bool) -> None:
        """Do it, and keep what came of it. Raises HuyingError as `JobFolder`."""
        try:
            work = partial(self._import, job, dry_run=dry_run)
            totals = await anyio.to_thread.run_sync(work, limiter=self._alone)
            ended = job.counted(JobState.CHECKED if dry_run else JobState.DONE, totals)
        except HuyingError as error:
            ended = replace(job, state=JobState.FAILED, fault=told(error))
            if isinstance(error, SheetError):
                wrong = Totals(rows=len(error.errors), refused=len(error.errors))
                wrong.errors.extend(error.errors)
                ended = replace(ended, errors=ended.counted(JobState.FAILED, wrong).errors)
        except Exception as error:  # noqa: BLE001  # a defect must not leave a file "at work"
            logs.say("console_defect", path="order-import", kind=type(error).__name__)
            zh, en = "程序出错,没有导入完", "a defect; it was not finished"
            ended = replace(job, state=JobState.FAILED, fault=(zh, en))
        await anyio.to_thread.run_sync(partial(self._settle, ended))

    def _settle(self, job: Job) -> None:
        if job.state != JobState.CHECKED:  # a table that is not needed any more holds contacts
            self.jobs.empty(job.id)
        self.jobs.save(job)

    def _import(self, job: Job, *, dry_run: bool) -> Totals:
        own = self.jobs.mapping(job.id)
        mapping = load_mapping(own if own.exists() else shipped(job.mapping))
        skip = dry_run or job.counts.get("refused", 0) > 0
        # What the check found wrong is on record; the import refuses the same rows again.
        noted = NotedErrors(self.jobs.errors(job.id) if dry_run else None)
        try:
            return import_file(
                self.jobs.sheet(job.id),
                mapping,
                _Desk(self._node, partial(self._count, job.id)),
                on_error=OnError.SKIP if skip else OnError.STOP,
                dry_run=dry_run,
                errors=noted,
            )
        finally:
            noted.close()
            if dry_run:
                noted.write_rows(self.jobs.sheet(job.id), mapping, self.jobs.faulty(job.id))

    def _count(self, job_id: str, rows: int) -> None:
        self._progress[job_id] = self._progress.get(job_id, 0) + rows


@dataclass(frozen=True, slots=True)
class _Desk:
    """`huying.hub.hotline_import.Desk`, from a thread, over the console's link to its node."""

    node: NodeLink
    count: Callable[[int], None]

    def list_handlers(self) -> hotline_pb2.ListHandlersResponse:
        request = hotline_pb2.ListHandlersRequest()
        found: hotline_pb2.ListHandlersResponse = self._ask("ListHandlers", request)
        return found

    def import_orders(
        self, request: hotline_pb2.ImportOrdersRequest
    ) -> hotline_pb2.ImportOrdersResponse:
        found: hotline_pb2.ImportOrdersResponse = self._ask("ImportOrders", request)
        self.count(len(request.rows))
        return found

    def _ask(self, method: str, request: Any) -> Any:
        return anyio.from_thread.run(self.node.desk, HOTLINE_DESK, method, request)


_RUNS: WeakKeyDictionary[Site, ImportRuns] = WeakKeyDictionary()


def runs_of(site: Site) -> ImportRuns:
    """The one of a site."""
    if site not in _RUNS:
        _RUNS[site] = ImportRuns(site.config.console_dir / _FOLDER, site.node)
    return _RUNS[site]
