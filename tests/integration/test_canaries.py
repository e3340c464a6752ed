"""No reader ever holds what the rule denies it: marks in private fields, searched for everywhere.

The nodes capture every frame and log at debug level, and the search runs while they do, so it sees
their write-ahead logs too.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.limits import ENTRY_BYTES_MAX
from huying.hub.demo.canary import scan_bytes, scan_node
from huying.hub.demo.command import scan_fleet
from huying.hub.demo.plan import NETWORK, TIMING, Sizes, places, villages
from huying.hub.demo.play import Play
from huying.hub.fleet import Fleet
from huying.node.config import load
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A fleet that has played a small demo, still up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUYING_LOG__LEVEL", "debug")
        with Fleet(tmp_path_factory.mktemp("net"), NETWORK) as fleet:
            fleet.make(places(), timing=dict(TIMING), capture=True)
            fleet.start()
            play = Play(fleet, Sizes(households=42, requests=100, requests_per_second=30))
            asyncio.run(play.run())
            yield SimpleNamespace(fleet=fleet, play=play, canaries=play.canaries)


def test_no_mark_is_where_it_may_not_be(played):
    """Databases, write-ahead logs, logs, metrics and frames of all seven nodes."""
    assert played.canaries.planted > 100
    scan = scan_fleet(played.fleet, played.canaries)
    assert scan.leaks == []
    assert scan.permitted >= played.canaries.planted


def test_the_search_sees_the_write_ahead_logs_and_the_frames(played):
    """Files that are not searched leak nothing."""
    config = load(played.fleet[VILLAGE].config_file)
    wal = config.database_file.with_name(config.database_file.name + "-wal")
    assert wal.stat().st_size > 0
    assert b'"level": "debug"' in played.fleet[VILLAGE].log_file.read_bytes()
    for member in played.fleet:
        capture = load(member.config_file).capture_dir
        assert capture is not None
        assert sum(file.stat().st_size for file in capture.iterdir()) > 10_000


def test_the_search_finds_a_mark_where_it_is(played):
    """Negative control: each village's own database, taken for another node's, is full of leaks."""
    for village in villages():
        member = played.fleet[village]
        data = load(member.config_file).data_dir
        here = scan_node(played.canaries, village, data, data=data, capture=None)
        assert here.permitted > 20
        assert here.leaks == []
        elsewhere = scan_node(played.canaries, COUNTY, data, data=data, capture=None)
        assert len(elsewhere.leaks) == here.permitted
        assert {leak.origin for leak in elsewhere.leaks} == {village}


def test_a_towns_own_fields_are_found_there_and_nowhere_else(played):
    """The marks are not just the villages': a town's contacts and notes stay in the town."""
    data = load(played.fleet[TOWN].config_file).data_dir
    as_village = scan_node(played.canaries, VILLAGE, data, data=data, capture=None)
    assert TOWN in {leak.origin for leak in as_village.leaks}


def test_a_refused_write_leaves_no_mark_in_log_or_answer(played):
    """What a person mistyped is as private as what they meant."""
    event = records_pb2.Event(
        category="x",
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=1,
        description_full="x",
        reporter_name="x",
        reporter_phone="1",
    )
    before = played.canaries.planted
    played.canaries.plant(event, VILLAGE)
    assert played.canaries.planted > before
    wrong = {
        Code.INVALID_ARGUMENT: {"reporter_phone": "x" + event.reporter_phone},
        Code.ENTRY_TOO_LARGE: {"description_full": event.description_full * ENTRY_BYTES_MAX},
    }
    with played.fleet[VILLAGE].client() as client:
        for code, fields in wrong.items():
            message = records_pb2.Event.FromString(event.SerializeToString())
            for name, value in fields.items():
                setattr(message, name, value)
            with pytest.raises(HuyingError) as refusal:
                client.append(
                    api_pb2.AppendRequest(
                        drafts=[
                            api_pb2.Draft(
                                kind=feed_pb2.KIND_PUT,
                                type=feed_pb2.RECORD_TYPE_EVENT,
                                message=message.SerializeToString(),
                            )
                        ]
                    )
                )
            assert refusal.value.code is code
            answer = str(refusal.value).encode()
            assert not scan_bytes(played.canaries, answer, "answer", lambda _: False).leaks
    assert scan_fleet(played.fleet, played.canaries).leaks == []


def test_an_idle_village_node_is_resident_in_under_100_mb(played):
    """A village runs on what it has: an old office machine, beside everything else.

    Started again, since what a node holds just after a burst is its page cache.
    """
    member = played.fleet[VILLAGE]
    assert member.stop() == 0
    member.start()
    member.wait_ready()
    with member.client() as client:
        resident_bytes = client.status().resident_bytes
    print(f"idle village node: {resident_bytes / 1e6:.1f} MB resident")
    assert resident_bytes < 100_000_000
