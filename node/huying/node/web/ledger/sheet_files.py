"""What a village takes along to bring a sheet: the template, what is wrong, refused rows."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import Response

from huying.common.errors import Code, HuyingError
from huying.node.web.access.roles import Permission
from huying.node.web.ledger.ledger_export import download, errors_file, template_file
from huying.node.web.ledger.ledger_records import village_only
from huying.node.web.ledger.sheet_pages import jobs_of, my_job
from huying.node.web.page import Ask, Page

__all__ = ["PAGES"]


async def template(ask: Ask) -> Response:
    """The workbook to fill in."""
    village_only(ask)
    data = await ask.site.on_thread(template_file)
    return download(data, ".xlsx", "ledger-template", "台账模板")


async def errors_csv(ask: Ask) -> Response:
    """What is wrong, to mend it with the sheet beside it."""
    job = await my_job(ask)
    data = await ask.site.on_thread(lambda: errors_file(job.row_errors()))
    return download(data, ".csv", "ledger-errors", f"问题清单 {Path(job.name).stem}")


async def faulty_rows(ask: Ask) -> Response:
    """The refused rows as they stood, with what is wrong beside them: mended, they are brought.

    They hold whole ID numbers, which are nobody's but whose file it was; each time is written down.
    """
    job = await my_job(ask)
    path = jobs_of(ask).faulty(job)
    if not await ask.site.on_thread(path.exists):
        raise HuyingError(Code.NOT_FOUND, "there is no such import, or it was a day ago")
    await ask.audit("ledger-faulty", job.id, detail=f"rows {job.faulty}")
    data = await ask.site.on_thread(path.read_bytes)
    return download(data, ".xlsx", "ledger-faulty-rows", f"有误的行 {Path(job.name).stem}")


_L: Final = Permission.LEDGER
# Before the pages of one import, whose address the template's would be else.
PAGES: Final = (
    Page("/ledger/sheets/template.xlsx", "sheet-template", template, _L),
    Page("/ledger/sheets/{job}/errors.csv", "sheet-errors", errors_csv, _L),
    Page("/ledger/sheets/{job}/faulty.xlsx", "sheet-faulty", faulty_rows, _L),
)
