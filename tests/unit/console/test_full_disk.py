"""The disk is full while somebody submits a form: nothing is done, nothing typed is lost."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.errors import Code, HuyingError
from huying.wire.v1 import feed_pb2
from tests.support.console_site import PASSWORD, ConsoleUnderTest, forms_of, text_of
from tests.support.older_program import an_older_program
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import TOWN, VILLAGE, event, put

HERE = f"/operations/quarantine/{VILLAGE}/e1"
REASON = "来源确认是测试数据, 由村文书 <b>王</b> 核对"
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024  # as shutil has it


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    """The town's node, on which four entries of the village stand in quarantine."""
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("net"), patch)

        async def write() -> None:
            with an_older_program(lambda one: getattr(one, "category", "") == "道路"):
                drafts = [put(feed_pb2.RECORD_TYPE_EVENT, event(number)) for number in range(4)]
                network.network.append(VILLAGE, *drafts)

        network.thread.run(write())
        yield network
        network.close()


@pytest.fixture(scope="module")
def technician(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(served, TOWN) as site:
        site.sign_in("technician")
        yield site


def waiting(served: ServedNetwork) -> list[int]:
    return [row.index for row in served.readers[TOWN].list_quarantined(waiting=True).rows]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk on which next to nothing is free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**9, 10**9, 1000))
    return monkeypatch


def test_a_form_is_refused_before_anything_is_done_and_its_page_keeps_what_was_typed(
    served: ServedNetwork, technician: ConsoleUnderTest, full: pytest.MonkeyPatch
) -> None:
    """A reason that took ten minutes must not be gone because a log filled the disk."""
    index = waiting(served)[0]
    page = technician.get(f"{HERE}/{index}")
    answer = technician.fill(page, "/skip", reason=REASON)
    assert answer.status_code == 507
    told = text_of(answer.text)
    assert "磁盘快满了" in told
    assert "没有写入任何内容" in told
    assert "由村文书 &lt;b&gt;王&lt;/b&gt; 核对" in told
    assert index in waiting(served), "nothing was done"
    (kept,) = [form for form in forms_of(answer.text) if form.action == f"{HERE}/{index}/skip"]
    (sent,) = [form for form in forms_of(page.text) if form.action.endswith("/skip")]
    assert kept.fields == {**sent.fields, "reason": REASON}, "the same request id, too"
    full.undo()
    assert technician.post(kept.action, kept.fields).status_code == 303
    assert index not in waiting(served)


def test_a_draft_is_not_said_to_be_kept(
    technician: ConsoleUnderTest, full: pytest.MonkeyPatch
) -> None:
    """The script tells from the answer whether it may say that the draft is safe."""
    form = {"draft_key": "skip", "reason": REASON}
    assert technician.post("/drafts", form).status_code == 507
    full.undo()
    assert technician.post("/drafts", form).status_code == 204


def test_pages_are_read_on_a_full_disk(
    technician: ConsoleUnderTest, full: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what fills the disk must be able to look."""
    for path in ("/operations", "/operations/machine", "/operations/quarantine"):
        assert technician.get(path).status_code == 200


def test_a_deed_whose_row_can_not_be_written_is_not_said_to_be_undone(
    served: ServedNetwork, technician: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk filled up between the two: "nothing was written" would have it done twice."""
    index = waiting(served)[0]
    page = technician.get(f"{HERE}/{index}")

    def refuse(*_: Any, **__: Any) -> None:
        raise HuyingError(Code.DISK_FULL, "console.db: SQLITE_FULL")

    monkeypatch.setattr(technician.site.audit, "write", refuse)
    answer = technician.fill(page, "/skip", reason=REASON)
    assert answer.status_code == 507
    assert index not in waiting(served), "the node has it"
    told = text_of(answer.text)
    assert "这一步可能已经写入" in told
    assert "没有写入任何内容" not in told


def test_no_secret_is_given_back(technician: ConsoleUnderTest, full: pytest.MonkeyPatch) -> None:
    """A password in a page is one that the next person at the desk reads in its source."""
    form = {"password": PASSWORD, "new_password": "x", "note": "写给自己的话"}
    answer = technician.post("/drafts", form)
    assert answer.status_code == 507
    assert PASSWORD not in answer.text
    assert "写给自己的话" not in answer.text
