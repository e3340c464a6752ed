"""Importing hotline orders in the browser: upload, check, look at the errors, then import.

Nothing is written before a person has seen what the check found: as on the command line, a file
with rows at fault is imported without them just where somebody says so.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import PurePath
from typing import Final

from starlette.responses import FileResponse, Response

from huying.common.errors import Code, HuyingError
from huying.common.limits import MAPPING_BYTES_MAX, ORDER_IMPORTS_MAX, SHEET_BYTES_MAX
from huying.hub.web.order_jobs import ENDINGS, Job, JobState, shown_name
from huying.hub.web.order_runs import ImportRuns, runs_of
from huying.node.web.access.roles import Permission
from huying.node.web.app import error_status
from huying.node.web.events.event_pages import record_id
from huying.node.web.forms import Form
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]

_MAPPINGS: Final = ("12345", "nyc311")  # that come with the program
_FORM_BYTES: Final = MAPPING_BYTES_MAX + 64 * 1024
_WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_NOTHING: Final = "there is no such file here, or it is not yours"


async def show_imports(ask: Ask) -> Response:
    """The form, and the person's own files that are not done."""
    return await _form_page(ask)


async def _form_page(ask: Ask, error: HuyingError | None = None, status: int = 200) -> Response:
    runs, person, now = _runs(ask), ask.person.id, ask.now()
    await ask.site.on_thread(lambda: runs.jobs.forget_old(now))
    jobs = await ask.site.on_thread(lambda: runs.jobs.of(person))
    return await ask.render(
        "order_import.html",
        {"error": error},
        status=status,
        jobs=jobs,
        mappings=_MAPPINGS,
        size_max=SHEET_BYTES_MAX,
        waiting_max=ORDER_IMPORTS_MAX,
    )


async def upload(ask: Ask) -> Response:
    """Keep the file and check it; the same form sent twice is one file."""
    form = await ask.form()
    runs = _runs(ask)
    try:
        job = Job(
            id=form.id().hex(),
            person=ask.person.id,
            name="",
            mapping=form.text("mapping", 40),
            created=ask.now(),
        )
        if await ask.site.on_thread(lambda: runs.jobs.find(job.id, job.person)) is None:
            await _check(ask, runs, job, form)
    except HuyingError as error:
        return await _form_page(ask, error, error_status(error.code))
    return ask.redirect("order-import-file", job=job.id)


async def _check(ask: Ask, runs: ImportRuns, job: Job, form: Form) -> None:
    """Keep the file, and begin to check it; the same form at the same time does nothing."""
    if not runs.reserve(job.id):
        return
    try:
        job = await _keep(ask, runs, job, form)
        await ask.audit("orders-import-check", job.id, detail=job.mapping)
    except BaseException:
        runs.release(job.id)
        raise
    runs.start(job, dry_run=True)


async def _keep(ask: Ask, runs: ImportRuns, job: Job, form: Form) -> Job:
    sheets, mappings = form.files("sheet"), form.files("mapping_file")
    if not sheets:
        raise HuyingError(Code.INVALID_ARGUMENT, "sheet: choose the table to import")
    name = shown_name(sheets[0].filename or "")
    ending = PurePath(name).suffix.lower()
    if ending not in ENDINGS:
        raise HuyingError(Code.INVALID_ARGUMENT, f"sheet: one of {', '.join(ENDINGS)}")
    own: bytes | None = None
    if mappings:
        own = await mappings[0].read(MAPPING_BYTES_MAX + 1)
    elif job.mapping not in _MAPPINGS:
        raise HuyingError(Code.INVALID_ARGUMENT, "mapping: choose one, or upload your own")
    job = replace(job, name=name, mapping="mapping.toml" if own is not None else job.mapping)
    await ask.site.on_thread(partial(runs.jobs.begin, job, sheets[0].file, ending, own))
    return job


async def show_file(ask: Ask) -> Response:
    """What is known of one file by now."""
    runs, job = await _found(ask)
    return await ask.render(
        "order_import_file.html",
        job=job,
        is_running=runs.is_running(job),
        rows_done=runs.rows_done(job),
        has_faulty=await ask.site.on_thread(runs.jobs.faulty(job.id).exists),
        has_errors=await ask.site.on_thread(runs.jobs.errors(job.id).exists),
    )


async def confirm(ask: Ask) -> Response:
    """Import the good rows. A second press, or one for a file that is done, changes nothing."""
    runs, job = await _found(ask)
    if runs.reserve(job.id):
        try:
            _, job = await _found(ask)  # as it is now that nobody else works on it
            # One that is being imported, and that nobody works on, was cut off.
            waits = job.state in (JobState.CHECKED, JobState.IMPORTING) and job.good > 0
            if waits:
                await ask.audit("orders-import", job.id, detail=f"{job.good} rows")
        except BaseException:
            runs.release(job.id)
            raise
        if waits:
            runs.start(replace(job, state=JobState.IMPORTING), dry_run=False)
        else:
            runs.release(job.id)
    return ask.redirect("order-import-file", job=job.id)


async def drop(ask: Ask) -> Response:
    """Forget a file. One that is being imported goes on."""
    runs, job = await _found(ask)
    if not runs.is_running(job):
        await ask.site.on_thread(lambda: runs.jobs.drop(job.id))
        await ask.audit("orders-import-dropped", job.id)
    return ask.redirect("order-import")


async def errors(ask: Ask) -> Response:
    """Every error of the check as a CSV file; no cell of it becomes a formula."""
    runs, job = await _found(ask)
    path = runs.jobs.errors(job.id)
    if not await ask.site.on_thread(path.exists):
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    return FileResponse(path, media_type="text/csv", filename="order-errors.csv")


async def faulty(ask: Ask) -> Response:
    """The refused rows, to mend and bring again. They hold contacts: each time is written down."""
    runs, job = await _found(ask)
    path = runs.jobs.faulty(job.id)
    if not await ask.site.on_thread(path.exists):
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    await ask.audit("orders-faulty", job.id, detail=f"{job.counts.get('refused', 0)} rows refused")
    return FileResponse(path, media_type=_WORKBOOK, filename="order-faulty-rows.xlsx")


def _runs(ask: Ask) -> ImportRuns:
    """Raises HuyingError(NOT_FOUND) for a person who sees just a part of this node's area."""
    if ask.scope.area:
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    return runs_of(ask.site)


async def _found(ask: Ask) -> tuple[ImportRuns, Job]:
    runs, job_id, person = _runs(ask), record_id(ask.path("job")).hex(), ask.person.id
    job = await ask.site.on_thread(lambda: runs.jobs.find(job_id, person))
    if job is None:
        raise HuyingError(Code.NOT_FOUND, _NOTHING)
    return runs, job


_CENTRE: Final = Permission.CALLS_CENTRE
_FILE: Final = "/orders/import/{job}"
PAGES: Final = (
    Page("/orders/import", "order-import", show_imports, _CENTRE),
    Page(
        "/orders/import",
        "order-import-upload",
        upload,
        _CENTRE,
        ("POST",),
        body_bytes_max=SHEET_BYTES_MAX + _FORM_BYTES,
        costly=True,
    ),
    Page(_FILE, "order-import-file", show_file, _CENTRE),
    Page(f"{_FILE}/confirm", "order-import-confirm", confirm, _CENTRE, ("POST",)),
    Page(f"{_FILE}/drop", "order-import-drop", drop, _CENTRE, ("POST",)),
    Page(f"{_FILE}/errors.csv", "order-import-errors", errors, _CENTRE),
    Page(f"{_FILE}/faulty.xlsx", "order-import-faulty", faulty, _CENTRE),
)
