"""What a technician does about a node's trouble: inspect, retry, skip, hand on evidence.

A deed is done once, whoever clicks twice; it says who did it and why, and shows nobody's data to
somebody who only has to know that data flows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from huying.common.integrity.evidence import ForkEvidence
from huying.wire.v1 import feed_pb2
from tests.support.console_site import ConsoleUnderTest, forms_of, text_of
from tests.support.handmade import HandmadeFeed
from tests.support.older_program import an_older_program
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.operations_desk import EVIL, HERE, indexes, quarantined_town, trail


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with quarantined_town(tmp_path_factory.mktemp("network")) as network:
        yield network


def test_an_entry_is_shown_with_its_head_and_nobodys_data_until_it_is_asked_for(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The bytes may be a person's: they are shown on purpose, and the trail says so."""
    index = indexes(served)[0]
    page = technician.get(f"{HERE}/{index}").text
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "未知的记录类型" in page
    assert "未显示" in page
    hidden = re.findall(r'class="hexdump">([0-9a-f]+)<', page)
    opened = technician.get(f"{HERE}/{index}?bytes=1").text
    assert len(re.findall(r'class="hexdump">([0-9a-f]+)<', opened)) > len(hidden) == 1
    shown = ("quarantine-bytes-shown", f"{VILLAGE}/e1#{index}", "done", "")
    assert trail(technician).count(shown) == 1
    technician.sign_in("admin")
    page = technician.get(f"{HERE}/{index}?bytes=1").text
    assert len(re.findall(r'class="hexdump">', page)) == 1, "an administrator may not"


def test_what_a_peer_or_a_person_wrote_is_text_on_every_page(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A reason is read by whoever comes after; it must not run in their browser."""
    index = indexes(served, waiting=True)[-1]
    page = technician.get(f"{HERE}/{index}")
    answer = technician.fill(page, "/skip", reason=EVIL)
    assert answer.status_code == 303
    for path in (
        "/operations/quarantine?show=all",
        "/operations/quarantine?show=skipped",
        f"{HERE}/{index}",
    ):
        text = technician.get(path).text
        assert EVIL not in text
        assert "&lt;script&gt;" in text


def test_a_skip_is_done_once_says_who_and_why_and_ends_the_alert(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """A double click, and another technician with an old page, change nothing of the first word."""
    before = served.observe(TOWN).status
    (feed,) = [one for one in before.feeds if one.code == VILLAGE]
    index = indexes(served, waiting=True)[-1]
    page = technician.get(f"{HERE}/{index}")
    refused = technician.fill(page, "/skip", reason=" ")
    assert refused.status_code == 400
    assert "输入有误" in refused.text
    assert technician.fill(page, "/skip", reason="来源确认是测试数据").status_code == 303
    assert technician.fill(page, "/skip", reason="再点一次").status_code == 303
    (after,) = [one for one in served.observe(TOWN).status.feeds if one.code == VILLAGE]
    assert after.quarantined == feed.quarantined - 1
    text = text_of(technician.get("/operations/quarantine?show=skipped").text)
    assert "来源确认是测试数据" in text
    assert "测-technician" in text
    assert "再点一次" not in text
    told = [row[2:] for row in trail(technician) if row[1].endswith(f"#{index}")]
    assert told[:3] == [("done", "repeated"), ("done", "done"), ("refused", "INVALID_ARGUMENT")]


def test_a_retry_lets_the_entry_take_effect_once_and_a_second_click_finds_nothing(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The upgrade has come; the village's event is there, one time."""
    index = indexes(served, waiting=True)[0]
    reader = served.readers[TOWN]
    count = len(reader.list_records(feed_pb2.RECORD_TYPE_EVENT).rows)
    page = technician.get(f"{HERE}/{index}")
    answer = technician.fill(page, "/retry")
    assert answer.status_code == 303
    assert "1 条已生效" in text_of(technician.get(answer.headers["location"]).text)
    again = technician.fill(page, "/retry")
    assert again.status_code == 303
    assert "没有变化" in technician.get(again.headers["location"]).text
    assert len(reader.list_records(feed_pb2.RECORD_TYPE_EVENT).rows) == count + 1
    assert index not in indexes(served)
    done = ("quarantine-retry", f"{VILLAGE}/e1#{index}", "done", "applied")
    assert trail(technician).count(done) == 1


def test_a_retry_that_is_refused_again_says_why_and_stays(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The program is as old as before."""
    index = indexes(served, waiting=True)[0]
    with an_older_program(lambda one: getattr(one, "category", "") == "道路", EVIL):
        answer = technician.fill(technician.get(f"{HERE}/{index}"), "/retry")
        page = technician.get(answer.headers["location"]).text
    assert "仍不被接受" in page
    assert EVIL not in page
    assert index in indexes(served, waiting=True)
    assert trail(technician)[0][2:] == ("done", "refused UNKNOWN_TYPE")


def test_all_of_a_feed_are_judged_again_by_one_button(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """Nobody clicks a thousand times after an upgrade."""
    waiting = indexes(served, waiting=True)
    page = technician.get(f"/operations/quarantine?feed={VILLAGE}/e1")
    (form,) = [one for one in forms_of(page.text) if one.action == HERE]
    fields = {**form.fields, "index": [str(one) for one in (*waiting, 99_999)]}
    answer = technician.post(HERE, fields)
    assert answer.status_code == 303
    assert indexes(served, waiting=True) == []
    assert f"{len(waiting)} 条已生效" in text_of(technician.get(answer.headers["location"]).text)
    assert technician.post(HERE, fields).status_code == 303, "sent twice"


def test_a_fork_is_shown_and_its_evidence_convinces_whoever_has_the_key(
    served: ServedNetwork, technician: ConsoleUnderTest
) -> None:
    """The file is what was signed, byte for byte."""
    assert "没有。" in technician.get("/operations/trouble").text
    tiny, patch = served.network, pytest.MonkeyPatch()
    engine = tiny.engines[TOWN]
    origin = f"wenshang.example/feed/{COUNTY}/e1"
    one, other = HandmadeFeed(COUNTY).put_many(1), HandmadeFeed(COUNTY).put_many(1)
    other._entropy.token(16)
    other.put()
    one.put()
    evidence = ForkEvidence(one.note(), other.note())
    kept = engine.replica.feeds[origin]

    async def freeze() -> None:
        engine.replica.begin()
        with tiny.stores[TOWN].transaction():
            engine.replica.freeze(origin, evidence)
            engine.replica.commit()

    async def thaw() -> None:
        with tiny.stores[TOWN].transaction():
            tiny.stores[TOWN].put_feed(kept)
        engine.replica.feeds[origin] = kept

    served.thread.run(freeze())
    try:
        page = technician.get("/operations/trouble").text
        assert origin in page
        path = f"/operations/trouble/evidence/{COUNTY}/e1"
        answer = technician.get(path)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.content == evidence.first + b"\n" + evidence.second
        told = technician.get(f"{path}?format=json").json()
        notes = [note.encode() for note in told["notes"]]
        ForkEvidence(*notes).verify(one.identity.feed_signer.key)
        overview = technician.get("/operations").text
        assert 'class="verdict bad"' in overview
        assert "签出了两份互相矛盾的历史" in overview
        assert trail(technician)[0][0] == "fork-evidence"
    finally:
        served.thread.run(thaw())
        patch.undo()
