"""表格: the ledger from spreadsheets.

A file is checked before anything is written; the page says what would happen and what is wrong, and
somebody confirms. Writing goes on in steps of some seconds, so a page always answers; whatever cuts
it, pressing the button again goes on where it ended.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, Final

from starlette.responses import Response

from huying.common.errors import STORE_FAULTS, HuyingError
from huying.common.limits import (
    LEDGER_IMPORT_BYTES_MAX,
    LEDGER_IMPORT_ENTRIES_MAX,
    LEDGER_IMPORT_SECONDS,
    LEDGER_SHEET_BYTES_MAX,
    MIB,
    ROW_ERRORS_MAX,
)
from huying.node.sheets import Import, OnError, SheetError
from huying.node.store.database import translated
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.field_faults import FieldFault, field_faults
from huying.node.web.ledger.ledger_book import open_book
from huying.node.web.ledger.ledger_columns import COLUMNS
from huying.node.web.ledger.ledger_export import (
    USUAL,
)
from huying.node.web.ledger.ledger_holdings import read_holdings
from huying.node.web.ledger.ledger_pages import seen_grids
from huying.node.web.ledger.ledger_records import append, bound_grids, village_only
from huying.node.web.ledger.ledger_sheet import Plan, Planner
from huying.node.web.ledger.sheet_jobs import CHECKED, DONE, JOBS_MAX, WRITING, Job, Jobs
from huying.node.web.page import Ask, Page
from huying.node.web.refusals import plain
from huying.node.web.turns import alone
from huying.wire.v1 import api_pb2

__all__ = ["PAGES", "jobs_of", "my_job", "sheets_page"]

_ENDINGS: Final = (".xlsx", ".xls", ".et", ".ods", ".csv")
_LABELS: Final = {
    "table": ("表格文件", "The file"),
    "purpose": ("用途", "What for"),
    "columns": ("列", "Columns"),
    "format": ("格式", "Format"),
}
_NAME_CHARACTERS_MAX: Final = 80
_PIECE_BYTES: Final = 64 * 1024
# Two windows on one import would each write by what the other had not written yet.
_in_turn: Final = alone(lambda ask: f"sheet:{ask.path('job')}")
_ROWS_NAMED: Final = 12  # of those that have the same fault


def jobs_of(ask: Ask) -> Jobs:
    """The imports of this console."""
    return Jobs(ask.console.folder)


async def sheets(ask: Ask) -> Response:
    """What can be brought and taken."""
    return await sheets_page(ask)


async def sheets_page(
    ask: Ask, error: HuyingError | None = None, typed: dict[str, Any] | None = None
) -> Response:
    """The page of both; `typed`: what an export that was refused asked for."""
    village_only(ask)
    jobs = jobs_of(ask)
    await ask.site.on_thread(lambda: jobs.forget_old(ask.now()))
    mine = await ask.site.on_thread(lambda: jobs.of(ask.person.id))
    book = await open_book(ask.node)
    faults = field_faults(ask, error, _LABELS)
    if isinstance(error, SheetError):
        faults = {"table": FieldFault(ask.t(*_LABELS["table"]), plain(error, ask.language))}
    return await ask.render(
        "sheets.html",
        {
            "jobs": mine,
            "room": await ask.site.on_thread(jobs.room),
            "jobs_max": JOBS_MAX,
            "columns": [(key, names[0]) for key, names in COLUMNS.items()],
            "grids": [(one, book.grid_names.get(one, one)) for one in seen_grids(ask, book)],
            "typed": typed or {"columns": USUAL},
            "size_max": LEDGER_SHEET_BYTES_MAX // MIB,
            "error": error,
            "faults": faults,
            "row_errors": list(error.errors) if isinstance(error, SheetError) else [],
        },
        status=error_status(error.code) if error else 200,
    )


# --- bringing --------------------------------------------------------------------------------


async def upload(ask: Ask) -> Response:
    """Take a file in and check it."""
    village_only(ask)
    form = await ask.form()
    files = form.files("table")
    jobs, job = jobs_of(ask), None
    try:
        form.id()
        if len(files) != 1:
            raise SheetError("请选择一个文件 · choose one file")
        name = Path(files[0].filename or "").name[-_NAME_CHARACTERS_MAX:]
        ending = Path(name).suffix.lower()
        if ending not in _ENDINGS:
            raise SheetError(
                "只能导入 .xlsx、.xls、.et、.ods、.csv 文件 · only .xlsx, .xls, .et, .ods and .csv"
            )
        with translated():
            job = begun = await ask.site.on_thread(
                lambda: jobs.begin(ask.person.id, name, ending, ask.now())
            )
            source, path = files[0].file, jobs.table(begun)
            begun.sha256 = await ask.site.on_thread(lambda: _keep(source, path))
            await _planned(ask, jobs, begun, OnError.SKIP)
            await ask.site.on_thread(lambda: jobs.save(begun))
    except HuyingError as error:
        if job is not None:  # what it took of the disk is given back
            dropped = job
            await ask.site.on_thread(lambda: jobs.drop(dropped))
        return await sheets_page(ask, error)
    job = begun
    await ask.audit("ledger-upload", job.id, detail=f"rows {job.rows} refused {job.rejected}")
    return ask.redirect("sheet", job=job.id)


def _keep(file: BinaryIO, path: Path) -> str:
    """Write the file down, its owner's alone; its SHA-256. Raises SheetError past the limit."""
    digest = hashlib.sha256()
    size = 0
    path.touch(mode=0o600)
    with path.open("wb") as kept:
        while piece := file.read(_PIECE_BYTES):
            size += len(piece)
            if size > LEDGER_SHEET_BYTES_MAX:
                most = LEDGER_SHEET_BYTES_MAX // MIB
                raise SheetError(f"文件超过 {most} MiB,请拆分 · over {most} MiB: split it")
            digest.update(piece)
            kept.write(piece)
    return digest.hexdigest()


async def _planned(ask: Ask, jobs: Jobs, job: Job, on_error: OnError) -> tuple[Plan, Import]:
    book = await open_book(ask.node)
    home = ask.node.code
    names = {code: book.grid_names.get(code, code) for code in seen_grids(ask, book)}
    bound = bound_grids(ask)
    holdings = await ask.node.read(lambda reader: read_holdings(reader, home, bound))

    def work() -> tuple[Plan, Import]:
        planner = Planner(
            code=home,
            grids=names,
            holdings=holdings,
            salt=jobs.salt(),
            job=job.id,
            sha256=job.sha256,
            is_update=job.is_update,
        )
        plan, found = planner.plan(jobs.table(job), on_error)
        _note(job, plan, found)
        jobs.keep_faulty(job, plan.faulty)
        return plan, found

    return await ask.site.on_thread(work)


def _note(job: Job, plan: Plan, work: Import) -> None:
    job.rows, job.rejected = work.accepted, work.rejected
    job.new_households, job.new_residents = plan.new_households, plan.new_residents
    job.changed, job.there, job.total = plan.changed, plan.there, len(plan.drafts)
    job.passed = plan.passed
    job.joined, job.used, job.unused = plan.joined, plan.used, plan.unused
    job.errors = [(one.number, one.column, one.what) for one in work.errors]


async def sheet(ask: Ask) -> Response:
    """One import: what was found, or how far it is."""
    return await _sheet_page(ask, await my_job(ask))


async def my_job(ask: Ask) -> Job:
    """The person's own import that the address names. Raises HuyingError(NOT_FOUND)."""
    village_only(ask)
    job_id = ask.path("job")
    return await ask.site.on_thread(lambda: jobs_of(ask).find(job_id, ask.person.id))


async def _sheet_page(ask: Ask, job: Job, error: HuyingError | None = None) -> Response:
    return await ask.render(
        "sheet.html",
        {
            "job": job,
            "errors": job.grouped_errors()[:ROW_ERRORS_MAX],
            "rows_named": _ROWS_NAMED,
            "has_faulty": await ask.site.on_thread(jobs_of(ask).faulty(job).exists),
            "stages": {"checked": CHECKED, "writing": WRITING, "done": DONE},
            "error": error,
        },
        status=error_status(error.code) if error else 200,
    )


@_in_turn
async def write(ask: Ask) -> Response:
    """Begin to write, or go on."""
    job = await my_job(ask)
    jobs = jobs_of(ask)
    form = await ask.form()
    try:
        form.id()
        with translated():
            if job.stage == CHECKED:
                on_error = OnError.SKIP if form.text("on_error", 8) == "skip" else OnError.STOP
                job.is_update = form.text("existing", 8) == "update"
                # Anew, since somebody may have written meanwhile.
                plan, work = await _planned(ask, jobs, job, on_error)
                work.finish()
                await ask.site.on_thread(lambda: jobs.keep_plan(job, plan.drafts))
                job.stage = WRITING
                await ask.site.on_thread(lambda: jobs.save(job))
                await ask.audit("ledger-import", job.id, detail=f"entries {job.total}")
            if job.stage == WRITING:
                await _write_some(ask, jobs, job)
    except HuyingError as error:
        if error.code in STORE_FAULTS:  # it stands where the disk says, and goes on from there
            job = await my_job(ask)
        return await _sheet_page(ask, job, error)
    return ask.redirect("sheet", job=job.id)


async def _write_some(ask: Ask, jobs: Jobs, job: Job) -> None:
    """Write batches for some seconds, and note after each how far it is."""
    drafts = await ask.site.on_thread(lambda: jobs.plan(job))
    until = monotonic() + LEDGER_IMPORT_SECONDS
    while job.written < len(drafts):
        batch = _batch(drafts, job.written)
        await append(ask, batch)
        job.written += len(batch)
        await ask.site.on_thread(lambda: jobs.save(job))
        if monotonic() > until and job.written < len(drafts):
            return
    await ask.site.on_thread(lambda: jobs.finish(job))


def _batch(drafts: list[api_pb2.Draft], start: int) -> list[api_pb2.Draft]:
    size, stop = 0, start
    while stop < len(drafts) and stop - start < LEDGER_IMPORT_ENTRIES_MAX:
        size += drafts[stop].ByteSize()
        if size > LEDGER_IMPORT_BYTES_MAX and stop > start:
            break
        stop += 1
    return drafts[start:stop]


@_in_turn
async def drop(ask: Ask) -> Response:
    """Give an import up."""
    job = await my_job(ask)
    await ask.site.on_thread(lambda: jobs_of(ask).drop(job))
    return ask.redirect("sheets")


async def drop_waiting(ask: Ask) -> Response:
    """Give up all of one's own that nobody confirmed; what is being written goes on."""
    village_only(ask)
    jobs = jobs_of(ask)

    def work() -> None:
        for job in jobs.of(ask.person.id):
            if job.stage == CHECKED:
                jobs.drop(job)

    await ask.site.on_thread(work)
    return ask.redirect("sheets")


_L: Final = Permission.LEDGER
_POST: Final = ("POST",)
PAGES: Final = (
    Page("/ledger/sheets", "sheets", sheets, _L),
    Page(
        "/ledger/sheets/upload",
        "sheet-upload",
        upload,
        _L,
        _POST,
        body_bytes_max=LEDGER_SHEET_BYTES_MAX + MIB,
        costly=True,
    ),
    Page("/ledger/sheets/drop", "sheets-drop", drop_waiting, _L, _POST),
    Page("/ledger/sheets/{job}", "sheet", sheet, _L),
    Page("/ledger/sheets/{job}/write", "sheet-write", write, _L, _POST),
    Page("/ledger/sheets/{job}/drop", "sheet-drop", drop, _L, _POST),
)
