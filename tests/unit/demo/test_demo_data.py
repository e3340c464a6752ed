"""The demo's input is real where it can be, and plainly generated where it must be."""

from __future__ import annotations

from collections import Counter
from datetime import date
from random import Random

from huying.common.codes import is_within
from huying.common.masking import mask
from huying.common.records.registry import check_write
from huying.hub.demo.divisions import read_divisions
from huying.hub.demo.people import fake_id_number, village_drafts
from huying.hub.demo.requests import draft_of, event_of, read_requests, settled, shift_micros
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2

COUNTY = "370830000000"
TOWN = "370830108000"
VILLAGE = "370830108201"
TODAY = date(2026, 11, 22)
NOW_MICROS = 1_795_000_000_000_000
CANARY = "canary7f3a"


def test_the_divisions_are_one_county_with_its_towns_and_villages():
    """A lost row would leave a village without a town to dial."""
    divisions = read_divisions()
    assert Counter(row.level for row in divisions.values()) == {3: 1, 4: 15, 5: 495}
    assert divisions[TOWN].name == "义桥镇"
    for row in divisions.values():
        assert row.code == COUNTY or is_within(row.code, divisions[row.parent].code)


def test_a_generated_village_may_be_written_and_is_the_same_for_the_same_seed():
    """The demo starts from scratch each time; what differs then must not be the input."""
    drafts = list(village_drafts(VILLAGE, households=60, seed=1, today=TODAY, grid_households=20))
    for draft in drafts:
        check_write(draft.type, draft.kind, draft.message, VILLAGE)
    again = list(village_drafts(VILLAGE, households=60, seed=1, today=TODAY, grid_households=20))
    assert drafts == again
    kinds = Counter(draft.type for draft in drafts)
    assert kinds[feed_pb2.RECORD_TYPE_GRID] == kinds[feed_pb2.RECORD_TYPE_GRID_WORKER] == 3
    assert kinds[feed_pb2.RECORD_TYPE_HOUSEHOLD] == 60
    assert 60 * 2 < kinds[feed_pb2.RECORD_TYPE_RESIDENT] < 60 * 4


def test_every_generated_person_says_so():
    """Nobody may take a screenshot of the demo for a file about a person."""
    for draft in village_drafts(VILLAGE, households=30, seed=2, today=TODAY):
        message = draft.message
        if isinstance(message, records_pb2.Household):
            assert message.generated
            assert message.head_name.endswith("生成")
        if isinstance(message, records_pb2.Resident):
            assert message.generated
            assert message.name.endswith("生成")


def test_no_generated_id_number_is_valid():
    """A number that checks out could be somebody's."""
    rng = Random(3)
    weights = [2**exponent % 11 for exponent in range(17, -1, -1)]
    for _ in range(500):
        number = fake_id_number(rng, COUNTY, TODAY, rng.choice("男女"))
        digits = [10 if one == "X" else int(one) for one in number]
        assert sum(w * d for w, d in zip(weights, digits, strict=True)) % 11 != 1


def test_a_canary_stands_in_the_village_only_texts_and_may_be_written():
    """The leak test searches for it in every other node's files."""
    drafts = list(village_drafts(VILLAGE, households=5, seed=4, today=TODAY, canary=CANARY))
    for draft in drafts:
        check_write(draft.type, draft.kind, draft.message, VILLAGE)
    residents = [d.message for d in drafts if d.type == feed_pb2.RECORD_TYPE_RESIDENT]
    for message in residents:
        assert isinstance(message, records_pb2.Resident)
        assert CANARY in message.name
        assert CANARY in message.id_number


def test_every_request_becomes_an_event_and_a_call_that_may_be_written():
    """All of the real stream must pass the strict door, not only its first rows."""
    requests = read_requests()
    assert len(requests) == 1000
    shift = shift_micros(requests, NOW_MICROS)
    rng = Random(5)
    reported = []
    for request in requests:
        event = event_of(request, grid=f"{VILLAGE}001", shift=shift, rng=rng, canary=CANARY)
        check_write(feed_pb2.RECORD_TYPE_EVENT, feed_pb2.KIND_PUT, event, VILLAGE)
        done = settled(event, request, shift=shift, now_micros=NOW_MICROS)
        assert event.reported_micros <= done.settled_micros <= NOW_MICROS
        check_write(feed_pb2.RECORD_TYPE_EVENT, feed_pb2.KIND_PUT, done, VILLAGE)
        draft = draft_of(event, bytes(16), village=VILLAGE, sequencer=COUNTY)
        draft.state = calls_pb2.DRAFT_STATE_WAITING
        check_write(feed_pb2.RECORD_TYPE_CALL_DRAFT, feed_pb2.KIND_PUT, draft, TOWN)
        reported.append(event.reported_micros)
        assert event.reporter_phone in event.description_full
        for text in (event.description_public, event.address, draft.description):
            assert CANARY not in text
            assert event.reporter_name not in text
            assert not mask(text).hits
    assert reported == sorted(reported)
    assert reported[-1] == NOW_MICROS


def test_a_share_of_the_requests_is_beyond_the_town():
    """Calls are the exception: most matters are settled where they arise."""
    share = sum(request.beyond_town for request in read_requests()) / 1000
    assert 0.2 < share < 0.5
