"""Whose a sheet is, how long it stays, and what goes out: no formula, no leak, no bomb."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from huying.common import limits
from huying.node.web.ledger import sheet_jobs, sheet_pages
from huying.node.web.upkeep import tidy_imports
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.unit.console.ledger_desk import (
    FIRST,
    HEALTH,
    ID_NUMBER,
    PHONE,
    SECOND,
    append,
    household,
    resident,
)
from tests.unit.console.sheet_desk import book_of, confirm, csv_of, people, row, upload


def test_formulas_and_bombs_and_what_is_no_table_are_refused(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A stranger's file is read in a process of its own, and shown as text if at all."""
    hostile = row("80", '=cmd|"/c calc"!A1', 户主="<script>alert(1)</script>")
    page = upload(site, "<script>.csv", csv_of(hostile))
    assert "<script>alert" not in page.text
    assert "1 行可以导入" in text_of(page.text)
    confirm(site, page)
    assert '=cmd|"/c calc"!A1' in people(network)
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book_of(row("81", "x")))) as old,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/media/bomb.bin", bytes(limits.SHEET_UNPACKED_BYTES_MAX + 1))
    for name, data in (
        ("bomb.xlsx", bomb.getvalue()),
        ("not.xlsx", b"<html>"),
        ("table.exe", b"MZ"),
        ("empty.csv", b""),
        ("no-number.csv", csv_of(("x",), header=("姓名",))),
    ):
        refused = upload(site, name, data)
        assert refused.status_code == 400, name
        assert "refusal" in refused.text, name
    large = upload(site, "large.csv", b"a" * (limits.LEDGER_SHEET_BYTES_MAX + 1))
    assert large.status_code == 400
    assert "文件超过 8 MiB" in large.text
    assert (
        site.post(
            "/ledger/sheets/upload",
            {"request_id": "ab" * 16},
            files={"table": ("x.csv", b"b" * 10**7)},
        ).status_code
        == 413
    )
    assert not list((site.store.folder / "imports").glob("*/table.exe"))


def export(site: ConsoleUnderTest, **fields: Any) -> Any:
    values = {
        "request_id": "ab" * 16,
        "purpose": "核对低保名单",
        "columns": ["number", "name", "id_number", "phone"],
        "format": "csv",
        **fields,
    }
    return site.post("/ledger/sheets/export", values)


def test_an_export_is_masked_neutral_and_written_down(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A file is mailed on: without a purpose there is none, and numbers are whole only if asked."""
    (place,) = append(network, household("90"))
    append(network, resident(place, "=1+1", id_number="370830195001011237"))
    masked = export(site)
    assert masked.headers["Content-Disposition"] == (
        "attachment; filename=\"ledger.csv\"; filename*=UTF-8''%E5%8F%B0%E8%B4%A6.csv"
    )
    text = masked.content.decode("utf-8-sig")
    assert ID_NUMBER not in text
    assert PHONE not in text
    assert "3708**********1237" in text
    assert '"\'=1+1"' in text
    assert HEALTH not in text
    assert '"=' not in text
    (written,) = site.site.audit.page(action="ledger-export")
    assert "核对低保名单" in written.detail
    assert "masked" in written.detail
    whole = export(site, whole="1", format="xlsx", columns=["name", "id_number", "health"])
    cells = CalamineWorkbook.from_filelike(io.BytesIO(whole.content)).get_sheet_by_index(0)
    flat = [cell for line in cells.to_python() for cell in line]
    assert ID_NUMBER in flat
    assert HEALTH in flat
    assert "'=1+1" in flat
    assert "whole" in site.site.audit.page(action="ledger-export")[0].detail
    bad: tuple[dict[str, Any], ...] = (
        {"purpose": ""},
        {"purpose": "x"},
        {"columns": []},
        {"format": "exe"},
    )
    for fields in bad:
        refused = export(site, **fields)
        assert refused.status_code == 400, fields
        assert "attachment" not in refused.headers.get("Content-Disposition", "")
    assert len(site.site.audit.page(action="ledger-export")) == 2


def test_a_worker_of_a_grid_imports_and_exports_that_grid_alone(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The same scope as on the pages: a file is no way round it."""
    (place,) = append(network, household("95", SECOND))
    append(network, resident(place, "别的网格", SECOND))
    site.sign_in("worker", login="grid-one", area=FIRST)
    page = upload(site, "越界.csv", csv_of(row("96", "越界", 网格=SECOND), row("97", "本格")))
    assert "第 2 行 网格 没有这个网格,或不归你管" in text_of(page.text)
    assert "别的网格" not in export(site).content.decode("utf-8-sig")
    assert export(site, grid=SECOND).status_code == 404
    # Another's import is not there.
    site.sign_in("village_clerk")
    assert site.get(page.url.path).status_code == 404
    assert site.post(f"{page.url.path}/write", {"request_id": "ab" * 16}).status_code == 404
    site.sign_in("technician")
    for path in ("/ledger/sheets", "/ledger/sheets/template.xlsx"):
        assert site.get(path).status_code == 403
    assert export(site).status_code == 403


def test_a_clerk_is_told_how_many_sheets_may_wait_and_clears_them(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file too many is refused: what then, must stand on the page."""
    site.post("/ledger/sheets/drop", {})
    most = len(list((site.store.folder / "imports").glob("*/table.*"))) + 3
    monkeypatch.setattr(sheet_jobs, "JOBS_MAX", most)
    monkeypatch.setattr(sheet_pages, "JOBS_MAX", most)
    # What is done takes no place.
    confirm(site, upload(site, "先导.csv", csv_of(row("95", "先导入的"))))
    for number in range(3):
        assert upload(site, f"{number}.csv", csv_of(row("96", f"等{number}"))).status_code == 200
    full = upload(site, "再来.csv", csv_of(row("97", "传不上")))
    assert full.status_code == 503
    text = text_of(full.text)
    assert f"最多 {most} 份" in text
    assert "还能再传 0 份" in text
    site.fill(full, "/sheets/drop")
    page = site.get("/ledger/sheets")
    assert "还能再传 3 份" in text_of(page.text)
    assert "先导.csv" in page.text
    assert "0.csv" not in page.text


def test_files_are_their_owners_alone_and_gone_after_a_day(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """What people uploaded lies on a village's computer no longer than it must."""
    page = upload(site, "留存.csv", csv_of(row("98", "留存")))
    folder = Path(site.store.folder) / "imports"
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
    dropped = site.fill(page, "/drop")
    assert dropped.status_code == 303
    assert site.get(page.url.path).status_code == 404
    page = upload(site, "留存.csv", csv_of(row("98", "留存")))
    network.network.clock.seconds += limits.LEDGER_IMPORT_KEPT_SECONDS + 1
    site.sign_in("village_clerk")
    site.get("/ledger/sheets")
    assert site.get(page.url.path).status_code == 404
    assert [one.name for one in folder.iterdir()] == ["salt"]


def test_id_numbers_go_though_nobody_looks_at_the_page_again(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Whoever brought the sheet is on leave: the hourly upkeep removes it."""
    site.sign_in("village_clerk")
    upload(site, "留存.csv", csv_of(row("97", "留存"), row("97", "")))
    folder = Path(site.store.folder) / "imports"
    assert [one.name for one in folder.iterdir()] != ["salt"]

    async def work() -> None:
        await tidy_imports(site.site)

    assert site._client.portal is not None
    network.network.clock.seconds += limits.LEDGER_IMPORT_KEPT_SECONDS - 3600
    site._client.portal.call(work)
    assert [one.name for one in folder.iterdir()] != ["salt"]
    network.network.clock.seconds += 3601
    site._client.portal.call(work)
    assert [one.name for one in folder.iterdir()] == ["salt"]
