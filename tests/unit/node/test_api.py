"""The API as a client sees it: durable writes, honest reads, and changes as they come."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import pytest
from google.protobuf.message import Message

from huying.common.errors import Code, HuyingError
from huying.node.api.client import Client
from huying.node.api.types import message_class, type_name, type_names, type_number
from huying.wire.v1 import api_pb2, calls_pb2, feed_pb2, records_pb2, trust_pb2
from tests.support.drafts import draft, refusal, write
from tests.support.served_network import NAMES, ServedNetwork
from tests.support.tiny_network import COUNTY, GRID, NETWORK, TOWN, VILLAGE, event, resident

EVENT = feed_pb2.RECORD_TYPE_EVENT


RESIDENT = feed_pb2.RECORD_TYPE_RESIDENT


NO_TYPE: Any = 77


PUT = feed_pb2.KIND_PUT


def own_size(client: Client) -> int:
    status = client.status()
    return next(feed.size for feed in status.feeds if feed.origin == status.origin)


def test_a_record_written_is_read_back_whole_where_it_lives(village: Client) -> None:
    """The acknowledgement follows the durable commit, so another connection finds it at once."""
    (receipt,) = write(village, draft(event(1)))
    assert receipt.origin == f"{NETWORK}/feed/{VILLAGE}/e1"
    found = village.get(api_pb2.GetRequest(type=EVENT, record=receipt.record))
    assert records_pb2.Event.FromString(found.message) == event(1)
    assert (found.index, found.home, found.kind) == (receipt.index, VILLAGE, feed_pb2.KIND_PUT)
    assert {slot.state for slot in found.slots} == {api_pb2.SLOT_STATE_PRESENT}


def test_a_field_that_stays_in_the_village_is_named_as_withheld_above_it(
    village: Client, county: Client
) -> None:
    """The county must see that there is a phone number, and not the number."""
    (receipt,) = write(village, draft(event(2)))
    found = county.get(api_pb2.GetRequest(type=EVENT, home=VILLAGE, record=receipt.record))
    assert b"13800000000" not in found.SerializeToString()
    withheld = {
        name
        for slot in found.slots
        if slot.state == api_pb2.SLOT_STATE_WITHHELD
        for name in slot.fields
    }
    assert withheld == {"address", "description_full", "reporter_name", "reporter_phone"}
    message = records_pb2.Event.FromString(found.message)
    assert (message.category, message.description_public) == ("道路", "public 2")


def test_a_request_seen_before_is_answered_as_it_was_and_written_once(village: Client) -> None:
    """A client whose connection broke repeats itself; the village must not have two events."""
    request_id = bytes(range(16))
    (first,) = write(village, draft(event(3), request_id=request_id))
    (again,) = write(village, draft(event(3), request_id=request_id))
    assert (again.index, again.record) == (first.index, first.record)
    assert (first.repeated_request, again.repeated_request) == (False, True)


def test_a_batch_with_one_bad_draft_writes_nothing(village: Client) -> None:
    """All or none: a caller must never have to find out which half was written."""
    before = own_size(village)
    bad = records_pb2.Event(category="道路", status=records_pb2.EVENT_STATUS_REPORTED, grid="1")
    with refusal(Code.INVALID_ARGUMENT):
        write(village, draft(event(4)), draft(bad))
    assert own_size(village) == before
    records = village.list(api_pb2.ListRequest(type=EVENT, home=VILLAGE)).records
    assert not any(b"public 4" in record.message for record in records)


@pytest.mark.parametrize(
    ("bad", "code", "field"),
    [
        (api_pb2.Draft(kind=PUT, type=NO_TYPE), Code.UNKNOWN_TYPE, "type"),
        (draft(event(5), kind=feed_pb2.KIND_STEP), Code.INVALID_ARGUMENT, "kind"),
        (draft(event(5), record=b"short"), Code.INVALID_ARGUMENT, "record"),
        (draft(event(5), request_id=b"short"), Code.INVALID_ARGUMENT, "request_id"),
        (draft(event(5), kind=feed_pb2.KIND_DELETE), Code.INVALID_ARGUMENT, "record"),
        (
            draft(trust_pb2.Member(code="370830108202"), feed_pb2.RECORD_TYPE_MEMBER),
            Code.TYPE_NOT_ALLOWED,
            "members",
        ),
        (
            draft(calls_pb2.CallStep(), feed_pb2.RECORD_TYPE_CALL_STEP),
            Code.TYPE_NOT_ALLOWED,
            "TakeCallStep",
        ),
        (api_pb2.Draft(kind=PUT, type=EVENT, message=b"\xff"), Code.INVALID_ARGUMENT, "message"),
        (api_pb2.Draft(kind=PUT, type=EVENT, message=bytes(17000)), Code.ENTRY_TOO_LARGE, "16 KiB"),
        (
            draft(records_pb2.Grid(code=GRID), feed_pb2.RECORD_TYPE_GRID),
            Code.INVALID_ARGUMENT,
            "name",
        ),
    ],
)
def test_bad_input_is_refused_with_its_code_and_the_field_named(
    village: Client, bad: api_pb2.Draft, code: Code, field: str
) -> None:
    """The client rebuilds the node's own error: code, detail and what to do."""
    with pytest.raises(HuyingError) as caught:
        write(village, bad)
    assert caught.value.code is code
    assert field in caught.value.detail


def test_an_entry_over_sixteen_kibibytes_is_refused_where_it_is_written(village: Client) -> None:
    """The limit is in the message, so the writer knows what to shorten."""
    big = event(6)
    big.description_full = "长" * 4000
    big.address = "址" * 200
    big.reporter_name = "名" * 200
    big.description_public = "公" * 2000
    with refusal(Code.ENTRY_TOO_LARGE) as caught:
        write(village, draft(big))
    assert "16384" in caught.value.detail


def test_a_list_comes_in_pages_that_neither_repeat_nor_leave_out(village: Client) -> None:
    """The cursor is the key itself, so rows written meanwhile shift nothing."""
    write(village, *(draft(resident(n), RESIDENT) for n in range(7)))
    seen: list[bytes] = []
    token = b""
    while True:
        page = village.list(api_pb2.ListRequest(type=RESIDENT, limit=3, page_token=token))
        assert len(page.records) <= 3
        seen += [record.record for record in page.records]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) >= 7
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    "request_",
    [
        api_pb2.ListRequest(type=EVENT, limit=1001),
        api_pb2.ListRequest(type=EVENT, home="12"),
        api_pb2.ListRequest(type=EVENT, page_token=b"junk"),
        api_pb2.ListRequest(type=NO_TYPE),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    village: Client, request_: api_pb2.ListRequest
) -> None:
    """Silently clamping or ignoring an argument shows the wrong rows to somebody."""
    with refusal(Code.INVALID_ARGUMENT):
        village.list(request_)


def test_what_is_not_there_is_not_found(village: Client) -> None:
    """Unknown is an answer of its own, apart from bad input."""
    with refusal(Code.NOT_FOUND):
        village.get(api_pb2.GetRequest(type=EVENT, record=bytes(16)))
    with refusal(Code.NOT_FOUND):
        village.get_call(api_pb2.GetCallRequest(call=bytes(16)))


def test_a_call_goes_its_whole_way_through_the_api_of_three_nodes(
    town: Client, county: Client, village: Client
) -> None:
    """乡呼县应: the town raises, the county dispatches and answers, the town confirms."""
    call = calls_pb2.Call(category="道路", title="路灯不亮", village=VILLAGE, contact_name="李某")
    raised = town.raise_call(api_pb2.RaiseCallRequest(call=call))
    at_county = county.get_call(api_pb2.GetCallRequest(call=raised.call))
    assert at_county.stage == api_pb2.CALL_STAGE_RECEIVED
    assert at_county.content.sequencer == COUNTY
    assert at_county.content.contact_name == ""

    def step(client: Client, **kind: Message) -> api_pb2.CallStepResponse:
        message = calls_pb2.CallStep(call=raised.call, **kind)  # type: ignore[arg-type]
        return client.take_call_step(api_pb2.TakeCallStepRequest(step=message))

    with refusal(Code.WRONG_STAGE):
        step(county, answer=calls_pb2.Answer(department="交通局", text="修"))
    with refusal(Code.NOT_A_PARTY):
        step(town, dispatch=calls_pb2.Dispatch(department="交通局"))
    step(county, dispatch=calls_pb2.Dispatch(department="交通局", deadline_micros=9))
    with refusal(Code.NOT_A_PARTY):
        step(county, answer=calls_pb2.Answer(department="水务局", text="不归我管"))
    step(county, answer=calls_pb2.Answer(text="已修好"))
    step(town, confirm=calls_pb2.Confirm(resolved=True, satisfaction=5))
    for client in (town, county, village):
        found = client.get_call(api_pb2.GetCallRequest(call=raised.call))
        assert found.stage == api_pb2.CALL_STAGE_CONFIRMED
        assert (found.department, found.satisfaction) == ("交通局", 5)
        assert not any(each.pending or each.void for each in found.steps)
    kinds = {each.step.WhichOneof("step") for each in found.steps}
    assert kinds == {None, "took", "dispatch", "answer", "confirm"}
    listed = county.list_calls(api_pb2.ListCallsRequest(department="交通局")).calls
    assert [each.call for each in listed] == [raised.call]
    assert not county.list_calls(api_pb2.ListCallsRequest(department="交通局", open=True)).calls
    status = county.status()
    counts = (status.calls_raised, status.calls_answered, status.calls_confirmed)
    assert min(counts) >= 1


def test_a_step_asked_for_twice_with_one_request_id_is_taken_once(
    town: Client, county: Client
) -> None:
    """The node was killed between its commit and its answer; the clerk's program asks again.

    By then the step itself has moved the call on, so it is out of place.
    """
    call = calls_pb2.Call(category="道路", title="井盖缺失", village=VILLAGE)
    raised = town.raise_call(api_pb2.RaiseCallRequest(call=call))
    step = calls_pb2.CallStep(call=raised.call, dispatch=calls_pb2.Dispatch(department="水务局"))
    request = api_pb2.TakeCallStepRequest(step=step, request_id=secrets.token_bytes(16))
    first, second = county.take_call_step(request), county.take_call_step(request)
    assert not first.receipt.repeated_request
    assert second.receipt.repeated_request
    assert (second.receipt.index, second.receipt.record) == (
        first.receipt.index,
        first.receipt.record,
    )
    request.request_id = secrets.token_bytes(16)
    with refusal(Code.WRONG_STAGE):
        county.take_call_step(request)


def test_a_took_is_never_a_persons_to_write(county: Client) -> None:
    """The sequencer judges; an operator with a token must not judge in its name."""
    step = calls_pb2.CallStep(call=bytes(16), took=calls_pb2.Took(accepted=True))
    with refusal(Code.INVALID_ARGUMENT):
        county.take_call_step(api_pb2.TakeCallStepRequest(step=step))


def test_a_watch_gives_what_was_and_what_comes_in_order_and_resumes_at_its_cursor(
    served: ServedNetwork, county: Client, village: Client
) -> None:
    """A program beside the county follows every entry exactly once, over restarts."""
    origin = f"{NETWORK}/feed/{VILLAGE}/e1"
    start = next(f.size for f in county.status().feeds if f.origin == origin)
    cursor = [
        api_pb2.Position(origin=feed.origin, index=feed.size) for feed in county.status().feeds
    ]
    (before,) = write(village, draft(event(70)))
    got: list[api_pb2.Change] = []
    first_came, enough = threading.Event(), threading.Event()

    def follow() -> None:
        for change in county.watch(api_pb2.WatchRequest(cursor=cursor, types=[EVENT])):
            got.append(change)
            first_came.set()
            if len(got) == 3:
                enough.set()
                return

    thread = threading.Thread(target=follow)
    thread.start()
    assert first_came.wait(10)
    later = write(village, draft(event(71)), draft(event(72)))
    assert enough.wait(10)
    thread.join()
    assert [change.record.index for change in got] == [
        start,
        *(receipt.index for receipt in later),
    ]
    assert before.index == start
    again = county.watch(
        api_pb2.WatchRequest(cursor=[got[0].next], types=[EVENT]), timeout_seconds=5
    )
    resumed = next(each for each in again if each.record.origin == origin)
    assert resumed.record.index == later[0].index
    again.close()


def test_a_watch_with_a_cursor_that_is_none_is_refused(county: Client) -> None:
    """A mistyped origin would otherwise start every feed again from its first entry."""
    bad = api_pb2.WatchRequest(cursor=[api_pb2.Position(origin="nonsense", index=1)])
    with refusal(Code.INVALID_ARGUMENT):
        next(county.watch(bad, timeout_seconds=5))


def test_watches_are_bounded_and_end_with_their_reader(
    served: ServedNetwork, county: Client
) -> None:
    """Each holds a place among the calls; an operator's screen must still be answered."""
    cursor = [api_pb2.Position(origin=feed.origin, index=0) for feed in county.status().feeds]
    open_ = [county.watch(api_pb2.WatchRequest(cursor=cursor)) for _ in range(16)]
    for stream in open_:
        next(stream)
    with refusal(Code.BUSY):
        next(county.watch(api_pb2.WatchRequest(cursor=cursor)))
    for stream in open_:
        stream.close()
    assert county.status().code == COUNTY


def test_the_status_names_keys_feeds_peers_and_an_unknown_lag_as_unknown(
    served: ServedNetwork, town: Client
) -> None:
    """Nothing on a status page may look better than it is known to be."""
    served.settle()
    status = town.status()
    assert (status.network, status.code, status.name) == (NETWORK, TOWN, NAMES[TOWN])
    assert status.verifier_key.startswith(f"{NETWORK}/feed/{TOWN}/e1+")
    assert status.witness_key.startswith(f"{NETWORK}/witness/{TOWN}+")
    assert status.version == "0.1.0"
    assert status.resident_bytes > 1_000_000
    feeds = {feed.origin.split("/")[2]: feed for feed in status.feeds}
    assert set(feeds) == {COUNTY, TOWN, VILLAGE}
    assert feeds[VILLAGE].name == NAMES[VILLAGE]
    assert feeds[VILLAGE].openings_withheld > 0
    for feed in status.feeds:
        assert feed.lag_known or feed.lag_seconds == 0
    directions = {peer.code: peer.direction for peer in status.peers}
    assert directions == {COUNTY: "up", VILLAGE: "down"}
    retry = {peer.code: peer.retry_next_micros for peer in status.peers}
    assert retry == {COUNTY: 1_700_000_100_000_000, VILLAGE: 0}


def test_types_go_by_one_name_everywhere() -> None:
    """The command line, JSON and the proto must not disagree on what a thing is called."""
    for name in type_names():
        assert type_name(type_number(name)) == name
        assert message_class(type_number(name)) is not None
    assert type_number("grid-worker") == feed_pb2.RECORD_TYPE_GRID_WORKER
    with refusal(Code.INVALID_ARGUMENT) as caught:
        type_number("nonsense")
    assert "household" in caught.value.detail
