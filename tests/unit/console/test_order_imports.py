"""A table of hotline orders: checked, put right, imported once, and thrown away."""

from __future__ import annotations

import dataclasses
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from huying.common.limits import ORDER_IMPORT_SECONDS, ORDER_IMPORTS_MAX
from huying.common.orders import order_record
from huying.hub.web.order_jobs import Job, JobFolder, JobState
from huying.hub.web.order_runs import runs_of
from huying.hub.web.server import is_idle
from huying.node.web.upkeep import tidy_imports
from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.order_desk import know_keys
from tests.unit.console.town_desk import PHONE, Town, open_town, wait_for

MAPPING = """\
source = "s"
[columns]
source_id = "id"
created = "at"
category = "kind"
description = "what"
contact_phone = "phone"
[handler]
column = "who"
"""
HEADER = "id,at,kind,what,phone,who\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("orders")) as opened:
        know_keys(opened)
        yield opened


# --- importing --------------------------------------------------------------------------------


def row(
    number: int, *, who: str = VILLAGE, what: str = "一号灯不亮", at: str = "2023-10-01"
) -> str:
    return f"i{number},{at},路灯,{what},{PHONE},{who}\n"


def upload(
    town: Town, table: bytes, name: str = "工单.csv", own: str = MAPPING, **more: str
) -> Any:
    page = town.county.get("/orders/import")
    (form,) = [one for one in forms_of(page.text) if one.action == "/orders/import"]
    files = {"sheet": (name, table)}
    if own:
        files["mapping_file"] = ("map.toml", own.encode())
    return town.county.post("/orders/import", {**form.fields, **more}, files=files)


def settled(town: Town, location: str) -> Any:
    """The file's page, once nothing works on it any more."""

    def look() -> Any:
        page = town.county.get(location)
        assert page.status_code == 200
        return None if "http-equiv" in page.text else page

    return wait_for(look)


def imported(town: Town, number: int) -> bool:
    record = order_record("s", f"i{number}")
    return bool(town.served.readers[COUNTY].find_orders(record))


def test_a_table_with_bad_rows_keeps_the_good_ones_out_until_confirmed(town: Town) -> None:
    """As on the command line: first all errors, nothing written, then somebody says so."""
    town.county.sign_in("centre")
    table = HEADER + row(1) + row(2, who="nowhere") + row(3, at="2023-11-05") + row(1)
    sent = upload(town, table.encode())
    assert sent.status_code == 303, text_of(sent.text)
    size = town.feed_size(COUNTY)
    page = settled(town, sent.headers["location"])
    told = text_of(page.text)
    assert "2 行有误,还没有写入任何内容" in told
    assert "不是12位区划代码" in told
    assert "编号与第 2 行相同" in told
    assert town.feed_size(COUNTY) == size
    assert not imported(town, 1)
    errors = town.county.get(sent.headers["location"] + "/errors.csv")
    assert errors.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in errors.text.splitlines()] == ["\ufeffrow", "3", "5"]
    assert PHONE not in errors.text
    assert "只导入无误的 2 行" in page.text
    assert town.county.fill(page, "/confirm").status_code == 303
    done = settled(town, sent.headers["location"])
    assert "导入完成" in done.text
    assert imported(town, 1)
    assert imported(town, 3)
    assert not imported(town, 2)
    size = town.feed_size(COUNTY)
    assert town.county.fill(page, "/confirm").status_code == 303
    settled(town, sent.headers["location"])
    assert town.feed_size(COUNTY) == size
    job = sent.headers["location"].rpartition("/")[2]
    assert town.audited(COUNTY, "orders-import") == [(job, "done")]


def test_the_refused_rows_come_back_are_mended_and_are_taken(town: Town) -> None:
    """Whoever mends forty rows of ten thousand wants these forty, and brings that file."""
    town.county.sign_in("centre")
    table = HEADER + row(71) + row(72, who="nowhere")
    location = upload(town, table.encode()).headers["location"]
    page = settled(town, location)
    assert f"{location}/faulty.xlsx" in page.text
    sent = town.county.get(f"{location}/faulty.xlsx")
    book = CalamineWorkbook.from_filelike(io.BytesIO(sent.content))
    cells = book.get_sheet_by_index(0).to_python()
    assert cells[0] == ["错误 / 怎么改", "原来的行号", *HEADER.strip().split(",")]
    assert "不是12位区划代码" in str(cells[1][0])
    assert [line[1:3] for line in cells[1:]] == [[3, "i72"]]
    job = location.rpartition("/")[2]
    assert town.audited(COUNTY, "orders-faulty") == [(job, "done")]
    (file,) = (town.county.config.console_dir / "imports" / job).glob("faulty.*")
    assert file.stat().st_mode & 0o077 == 0
    cells[1][cells[0].index("who")] = VILLAGE
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        sheet = made.add_worksheet()
        for number, line in enumerate(cells):
            sheet.write_row(number, 0, line)
    again = settled(town, upload(town, out.getvalue(), "mended.xlsx").headers["location"])
    assert "全部行无误" in again.text
    town.county.fill(again, "/confirm")
    settled(town, again.url.path)
    assert imported(town, 72)
    town.county.sign_in("centre", login="another")
    assert town.county.get(f"{location}/faulty.xlsx").status_code == 404
    town.county.sign_in("centre")
    town.county.post(f"{location}/drop")
    assert not file.exists()


def test_the_table_itself_goes_when_it_was_imported(town: Town) -> None:
    """It holds callers' contacts; until then nobody but the console's user reads it."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(11, at="2023-08-01")).encode())
    page = settled(town, sent.headers["location"])
    folder = town.county.config.console_dir / "imports"
    job = sent.headers["location"].rpartition("/")[2]
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in (folder / job).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert list((folder / job).glob("sheet.*"))
    town.county.fill(page, "/confirm")
    settled(town, sent.headers["location"])
    assert not list((folder / job).glob("sheet.*"))
    assert PHONE.encode() not in b"".join(one.read_bytes() for one in (folder / job).iterdir())


def test_a_file_is_its_owner_s_alone_and_one_form_is_one_file(town: Town) -> None:
    """Another person of the same role sees nothing of it; a double click uploads once."""
    town.county.sign_in("centre")
    page = town.county.get("/orders/import")
    (form,) = [one for one in forms_of(page.text) if one.action == "/orders/import"]
    files = {"sheet": ("a.csv", (HEADER + row(21)).encode()), "mapping_file": ("m", MAPPING)}
    first = town.county.post("/orders/import", form.fields, files=files)
    second = town.county.post("/orders/import", form.fields, files=files)
    location = first.headers["location"]
    assert second.headers["location"] == location
    shown = settled(town, location)
    town.county.sign_in("centre", login="another")
    for path in (location, f"{location}/errors.csv"):
        assert town.county.get(path).status_code == 404
    for action in ("confirm", "drop"):
        assert town.county.post(f"{location}/{action}").status_code == 404
    assert location not in town.county.get("/orders/import").text
    town.county.sign_in("centre", login="bound", area=TOWN)
    assert town.county.get("/orders/import").status_code == 404
    town.county.sign_in("centre")
    assert town.county.fill(shown, "/drop").status_code == 303
    assert town.county.get(location).status_code == 404
    assert not imported(town, 21)


def bomb() -> bytes:
    """A workbook that unpacks to more than anybody's table."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"xl/{number}.xml", bytes(100 * 1024 * 1024))
    return out.getvalue()


def test_files_that_are_no_table_are_refused_with_words(town: Town) -> None:
    """A zip bomb, a page by another name, a table without the mapping's columns, no good row."""
    town.county.sign_in("centre")
    size = town.feed_size(COUNTY)
    for name, data, words in (
        ("b.xlsx", bomb(), "解压"),
        ("p.csv", b"<html><script>alert(1)</script></html>", "与后缀"),
        ("c.csv", b"a,b\n1,2\n", "缺少"),
        ("n.csv", (HEADER + row(31, who="x")).encode(), "没有一行可以导入"),
    ):
        sent = upload(town, data, name)
        assert sent.status_code == 303
        page = settled(town, sent.headers["location"])
        assert words in page.text, (name, text_of(page.text))
        assert "/confirm" not in page.text
        town.county.fill(page, "/drop")
    for name, own in (("a.exe", MAPPING), ("a.csv", ""), ("a", MAPPING)):
        answer = upload(town, b"x", name, own, mapping="../../etc")
        assert answer.status_code == 400, name
    assert town.feed_size(COUNTY) == size


def test_names_in_a_table_are_shown_as_text_and_never_become_formulas(town: Town) -> None:
    """The file's name, and the columns of its errors, are somebody else's words."""
    town.county.sign_in("centre")
    mapping = MAPPING.replace('"what"', "'=cmd|<script>alert(1)</script>'")
    header = HEADER.replace("what", "=cmd|<script>alert(1)</script>")
    sent = upload(
        town,
        (header + row(41) + row(42, what="字" * 5000)).encode(),
        "../<img src=x onerror=alert(1)>.csv",
        own=mapping,
    )
    page = settled(town, sent.headers["location"])
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;.csv</h1>" in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    errors = town.county.get(sent.headers["location"] + "/errors.csv").text
    assert ",=cmd" not in errors
    assert "'=cmd" in errors
    town.county.fill(page, "/drop")


def test_a_mapping_at_fault_names_its_line(town: Town) -> None:
    """Who wrote the mapping mends it, so the page says where."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(51)).encode(), own=MAPPING.replace("[columns]", "[colums]"))
    page = settled(town, sent.headers["location"])
    assert "mapping.toml line 2" in page.text
    town.county.fill(page, "/drop")


def test_an_import_that_was_cut_off_says_so_and_is_done_by_pressing_again(town: Town) -> None:
    """The pages were started again in the middle; nothing pretends to go on, nothing doubles."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(61, at="2023-07-01")).encode())
    location = sent.headers["location"]
    settled(town, location)
    runs = runs_of(town.county.site)
    assert town.county.person is not None
    job = runs.jobs.find(location.rpartition("/")[2], town.county.person.id)
    assert job is not None
    runs.jobs.save(dataclasses.replace(job, state=JobState.IMPORTING))
    page = town.county.get(location)
    assert "中途被打断" in page.text
    assert not imported(town, 61)
    town.county.fill(page, "/confirm")
    assert "导入完成" in settled(town, location).text
    assert imported(town, 61)


def test_the_pages_do_not_end_for_want_of_visitors_while_a_table_is_imported(town: Town) -> None:
    """Whoever brought it closed the page: nobody asks for one, and the import is in its middle."""
    site = town.county.site
    assert is_idle(0, site)
    assert not is_idle(1, site)
    runs = runs_of(site)
    assert runs.reserve("e" * 32)
    assert not is_idle(0, site)
    runs.release("e" * 32)
    assert is_idle(0, site)


def test_contacts_go_though_nobody_looks_at_the_form_again(town: Town) -> None:
    """Whoever brought the file went home: the hourly upkeep removes it."""
    site = town.county.site
    jobs = runs_of(site).jobs
    made = site.clock.now() - ORDER_IMPORT_SECONDS - 1
    jobs.begin(Job("d" * 32, "p", "a", "m", made), io.BytesIO(PHONE.encode()), ".csv")

    async def work() -> None:
        await tidy_imports(site)

    assert town.county._client.portal is not None
    town.county._client.portal.call(work)
    assert jobs.find("d" * 32, "p") is None


def test_files_wait_an_hour_and_just_a_few_of_them(tmp_path: Path) -> None:
    """What holds contacts does not lie about, and nobody fills the disk with it."""
    folder = JobFolder(tmp_path / "imports")
    for number in range(ORDER_IMPORTS_MAX):
        folder.begin(Job(f"{number:032x}", "p", "a", "m", 100.0), io.BytesIO(b"x"), ".csv")
    full = Job("f" * 32, "p", "a", "m", 101.0)
    with pytest.raises(Exception, match="BUSY"):
        folder.begin(full, io.BytesIO(b"x"), ".csv")
    folder.busy.add(f"{0:032x}")
    later = dataclasses.replace(full, created=100.0 + ORDER_IMPORT_SECONDS + 1)
    folder.begin(later, io.BytesIO(b"x"), ".csv")
    assert [one.id for one in folder.of("p")] == [later.id, f"{0:032x}"]


def test_an_upload_that_begins_is_not_taken_for_an_old_one(tmp_path: Path) -> None:
    """Another person opens the form in the moment before the first line of it is on the disk."""
    folder = JobFolder(tmp_path)
    place = tmp_path / ("a" * 32)
    place.mkdir()
    made = place.stat().st_mtime
    folder.forget_old(made + 1)
    assert place.exists()
    folder.forget_old(made + ORDER_IMPORT_SECONDS + 1)
    assert not place.exists()


def test_what_lies_in_the_imports_folder_is_asked_by_whole_ids_alone(town: Town) -> None:
    """No part of an address becomes a path."""
    town.county.sign_in("centre")
    for name in ("..%2f..%2fkeys", "state.json", "0" * 31, "A" * 32 + "g"):
        assert town.county.get(f"/orders/import/{name}").status_code == 404
    assert re.fullmatch("[0-9a-f]{32}", Job("a" * 32, "", "", "", 0.0).id)
