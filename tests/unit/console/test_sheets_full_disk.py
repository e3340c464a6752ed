"""The disk fills up while a ledger's sheet is taken in: the page says so, what is kept stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from huying.node.web.ledger import sheet_jobs
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.unit.console.sheet_desk import confirm, csv_of, people, row, upload

_GOOD = csv_of(row("901", "满盘甲"))
_FAULTY = csv_of(row("901", "满盘甲"), row("902", "满盘乙", 网格="没有这个网格"))


def full(*_: Any, **__: Any) -> None:
    """Whatever writes: there is no room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kept(site: ConsoleUnderTest) -> list[Path]:
    """What lies in the folder of the imports, without the salt."""
    return [one for one in (site.store.folder / "imports").rglob("*") if one.name != "salt"]


def test_an_upload_that_finds_no_room_says_so_and_leaves_nothing(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half upload would stay for a day, on the disk that is full."""
    before = kept(site)
    monkeypatch.setattr(os, "fsync", full)
    answer = upload(site, "台账.csv", _GOOD)
    assert answer.status_code == 507
    assert "磁盘已满" in text_of(answer.text)
    assert 'name="table"' in answer.text, "the form to choose the file again"
    assert kept(site) == before
    monkeypatch.undo()
    assert "1 行可以导入" in text_of(upload(site, "台账.csv", _GOOD).text)


def test_no_room_for_the_refused_rows_says_so_as_well(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workbook's own library has an exception of its own for it."""
    closed = xlsxwriter.Workbook.close

    def close(book: Any) -> None:
        closed(book)
        raise FileCreateError(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    before = kept(site)
    monkeypatch.setattr(xlsxwriter.Workbook, "close", close)
    answer = upload(site, "台账.csv", _FAULTY)
    assert answer.status_code == 507
    assert kept(site) == before


def test_an_import_that_finds_no_room_stands_where_it_stood_and_goes_on(
    network: ServedNetwork, site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was checked; nobody should have to bring it again, nor choose again."""
    page = upload(site, "台账.csv", _GOOD)
    monkeypatch.setattr(os, "fsync", full)
    refused = confirm(site, page, on_error="stop")
    assert refused.status_code == 507
    told = text_of(refused.text)
    assert "磁盘已满" in told
    assert "确认导入" in told
    assert not [one for one in kept(site) if one.suffix == ".new"]
    assert "满盘甲" not in people(network)
    monkeypatch.undo()
    assert "导入完成" in text_of(confirm(site, refused, on_error="stop").text)
    assert "满盘甲" in people(network)


def test_a_page_shows_what_the_disk_has_and_not_what_was_meant(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not noted is asked again: an import that seems begun would go on by half."""
    page = upload(site, "台账.csv", csv_of(row("903", "满盘丙")))
    monkeypatch.setattr(sheet_jobs.Jobs, "save", full)
    refused = confirm(site, page, on_error="stop")
    assert refused.status_code == 507
    assert "确认导入" in text_of(refused.text)
    assert "继续写入" not in text_of(refused.text)


def test_a_form_whose_file_can_not_be_put_down_says_so(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large file is on the disk before any page sees it."""
    monkeypatch.setattr("starlette.requests.Request._get_form", full)
    answer = site.post("/ledger/sheets/upload", {}, files={"table": ("台账.csv", _GOOD)})
    assert answer.status_code == 507
    assert "磁盘已满" in text_of(answer.text)
