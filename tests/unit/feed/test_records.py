"""What may be written here, and what others wrote that must not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import split
from huying.common.limits import TEXT_CHARACTERS_MAX
from huying.common.records.registry import (
    REGISTRY,
    check_write,
    decode,
    default_to,
    with_public_text,
)
from huying.wire.v1 import calls_pb2, feed_pb2, records_pb2, trust_pb2

COUNTY = "370830000000"
TOWN = "370830108000"
VILLAGE = "370830108201"
GRID = "370830108201001"
ID = bytes(range(16))

EVENT = feed_pb2.RECORD_TYPE_EVENT
PUT, DELETE = feed_pb2.KIND_PUT, feed_pb2.KIND_DELETE
STEP, ROSTER = feed_pb2.KIND_STEP, feed_pb2.KIND_ROSTER


def event(**fields):
    return records_pb2.Event(
        **{
            "category": "噪音",
            "grid": GRID,
            "status": records_pb2.EVENT_STATUS_REPORTED,
            "reported_micros": 1,
            **fields,
        }
    )


def resident(**fields):
    return records_pb2.Resident(**{"grid": GRID, "name": "张三", **fields})


def head(record_type=EVENT, kind=PUT, record=ID):
    return feed_pb2.Head(kind=kind, type=record_type, record=record)


def body(message, level=5, readable_from=5):
    """The openings' bodies that a reader of the level has, joined."""
    parts = split(message, level)
    return b"".join(part for slot, part in parts if slot & 7 <= readable_from)


SAMPLES = [
    (feed_pb2.RECORD_TYPE_DIVISION, PUT, records_pb2.Division(code=TOWN, name="义桥镇"), TOWN),
    (
        feed_pb2.RECORD_TYPE_GRID,
        PUT,
        records_pb2.Grid(code=GRID, name="一网格", type=records_pb2.GRID_TYPE_GENERAL),
        VILLAGE,
    ),
    (
        feed_pb2.RECORD_TYPE_GRID_WORKER,
        PUT,
        records_pb2.GridWorker(grid=GRID, role=records_pb2.GRID_ROLE_WORKER, name="李四"),
        TOWN,
    ),
    (feed_pb2.RECORD_TYPE_HOUSEHOLD, PUT, records_pb2.Household(grid=GRID, number="3"), VILLAGE),
    (feed_pb2.RECORD_TYPE_RESIDENT, PUT, resident(household=bytes(16)), VILLAGE),
    (EVENT, PUT, event(), VILLAGE),
    (EVENT, DELETE, records_pb2.Event(), TOWN),
    (
        feed_pb2.RECORD_TYPE_CALL,
        PUT,
        calls_pb2.Call(sequencer=COUNTY, category="供水", village=VILLAGE, grid=GRID),
        TOWN,
    ),
    (
        feed_pb2.RECORD_TYPE_CALL_STEP,
        STEP,
        calls_pb2.CallStep(
            call=ID, caller=TOWN, answer=calls_pb2.Answer(department="水务局", text="已修复")
        ),
        COUNTY,
    ),
    (
        feed_pb2.RECORD_TYPE_MEMBER,
        ROSTER,
        trust_pb2.Member(code=VILLAGE, name="义桥西村", feed_key="f", witness_key="w"),
        TOWN,
    ),
]
LEVELS = {COUNTY: 3, TOWN: 4, VILLAGE: 5}


@pytest.mark.parametrize(("record_type", "kind", "message", "code"), SAMPLES)
def test_every_type_passes_both_doors(record_type, kind, message, code):
    """What this node writes, another must accept: the two doors must not disagree."""
    check_write(record_type, kind, message, code)
    replicated = decode(head(record_type, kind), code, body(message, LEVELS[code]))
    assert replicated == message


@pytest.mark.parametrize(("record_type", "kind", "message", "code"), SAMPLES)
def test_every_type_passes_with_all_of_it_withheld(record_type, kind, message, code):
    """A reader that may see only the head must not quarantine the entry."""
    assert decode(head(record_type, kind), code, b"") == type(message)()


def test_a_county_reads_an_event_without_its_village_fields():
    """The common case of every entry that goes up."""
    whole = event(address="3号", description_full="全文", reporter_phone="1")
    seen = decode(head(), VILLAGE, body(whole, readable_from=3))
    assert seen == event()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (event(category=""), "category: missing"),
        (event(status=0), "status: missing"),
        (event(status=99), "status: 99 is unknown here; one of EVENT_STATUS_REPORTED"),
        (event(category="长" * 201), "category: 201 characters, 200 at most; shorten it"),
        (event(description_full="长" * (TEXT_CHARACTERS_MAX + 1)), "4000 at most"),
        (event(description_full="a\x1b[31m"), "description_full: holds a control character"),
        (event(description_public="找13800138000"), "description_public: holds a phone"),
        (event(grid="37083010820100"), "grid: a grid code has 15 digits"),
        (event(grid="370830108202001"), f"grid: this grid is not in {VILLAGE}"),
        (event(reporter_phone="call me"), "reporter_phone: not a phone number"),
        (event(reporter_phone="1" * 33), "reporter_phone: over 32 characters"),
        (event(reported_micros=2**63), "reported_micros: 9223372036854775808 is over"),
    ],
)
def test_a_write_is_refused_with_the_field_the_limit_and_what_to_do(message, words):
    """The person at the desk reads this sentence and must be able to act on it."""
    with pytest.raises(HuyingError) as caught:
        check_write(EVENT, PUT, message, VILLAGE)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert words in caught.value.detail


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"birth_date": "19900101"}, "birth_date: not a date; write it as 2026-01-31"),
        ({"birth_date": "1990-02-30"}, "birth_date: not a date"),
        ({"household": b"short"}, "household: 5 bytes, 16 are needed"),
        ({"id_number": "无"}, "id_number: not an ID number"),
        ({"sex": "M"}, "sex: must be one of 男, 女"),
    ],
)
def test_a_residents_fields_are_checked_without_repeating_them(fields, words):
    """A refusal goes to logs; a person's data must not."""
    with pytest.raises(HuyingError) as caught:
        check_write(feed_pb2.RECORD_TYPE_RESIDENT, PUT, resident(**fields), VILLAGE)
    assert words in caught.value.detail
    assert str(next(iter(fields.values()))) not in caught.value.detail.replace("M,", "")


def test_a_nested_field_is_named_with_its_path():
    """'department: missing' alone would leave the reader guessing in which message."""
    step = calls_pb2.CallStep(call=ID, caller=TOWN, dispatch=calls_pb2.Dispatch())
    with pytest.raises(HuyingError, match=r"dispatch\.department: missing"):
        check_write(feed_pb2.RECORD_TYPE_CALL_STEP, STEP, step, COUNTY)


@pytest.mark.parametrize("record_type", sorted(REGISTRY))
def test_only_the_listed_tiers_write_a_type_whichever_door_it_takes(record_type):
    """A village that writes calls, or a county that writes residents, is a fault or an attack."""
    spec = REGISTRY[record_type]
    kind = min(spec.kinds)
    codes = ["370000000000", "370800000000", COUNTY, TOWN, VILLAGE]
    for level, code in enumerate(codes, 1):
        if level in spec.levels:
            decode(head(record_type, kind), code, b"")
            continue
        for door in (
            lambda code=code: decode(head(record_type, kind), code, b""),
            lambda code=code: check_write(record_type, kind, spec.message_class(), code),
        ):
            with pytest.raises(HuyingError) as caught:
                door()
            assert caught.value.code is Code.TYPE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("record_type", "kind", "code", "message"),
    [
        (EVENT, PUT, VILLAGE, event(grid="370830108202001")),
        (EVENT, PUT, TOWN, event(grid="370830101200001")),
        (feed_pb2.RECORD_TYPE_GRID, PUT, VILLAGE, records_pb2.Grid(code="370830108202001")),
        (feed_pb2.RECORD_TYPE_DIVISION, PUT, TOWN, records_pb2.Division(code=VILLAGE)),
        (feed_pb2.RECORD_TYPE_MEMBER, ROSTER, TOWN, trust_pb2.Member(code=TOWN)),
        (feed_pb2.RECORD_TYPE_MEMBER, ROSTER, TOWN, trust_pb2.Member(code=COUNTY)),
        (feed_pb2.RECORD_TYPE_MEMBER, ROSTER, TOWN, trust_pb2.Member(code="junk")),
        (feed_pb2.RECORD_TYPE_CALL, PUT, TOWN, calls_pb2.Call(sequencer=VILLAGE)),
        (feed_pb2.RECORD_TYPE_CALL, PUT, TOWN, calls_pb2.Call(sequencer=TOWN)),
        (feed_pb2.RECORD_TYPE_CALL, PUT, TOWN, calls_pb2.Call(village="370830101200")),
        (feed_pb2.RECORD_TYPE_CALL_STEP, STEP, TOWN, calls_pb2.CallStep(caller=COUNTY)),
    ],
)
def test_a_record_about_another_region_is_refused(record_type, kind, code, message):
    """One owner per record: a village must not write about its neighbour."""
    with pytest.raises(HuyingError) as caught:
        decode(head(record_type, kind), code, message.SerializeToString())
    assert caught.value.code is Code.WRONG_REGION


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "no protobuf"),
        (b"\n\x02\xff\xfe", "text that is not UTF-8"),
        (event(descriptor="a\0b").SerializeToString(), "a NUL, which PostgreSQL refuses"),
        (event(grid="abc").SerializeToString(), "no grid code"),
        (event(reported_micros=2**64 - 1).SerializeToString(), "over a signed 64-bit integer"),
        (event().SerializeToString() + event().SerializeToString(), "every field twice"),
    ],
)
def test_a_record_that_no_database_takes_is_refused(data, why):
    """One such value would fail the transaction, and with it the feed."""
    with pytest.raises(HuyingError) as caught:
        decode(head(), VILLAGE, data)
    assert caught.value.code is Code.BAD_RECORD, why


def test_an_origin_can_not_show_the_town_another_category_than_the_county():
    """Merging lets the later compartment win: the town alone would read the second category."""
    county = event(category="一").SerializeToString()
    town = records_pb2.Event(category="二").SerializeToString()
    decode(head(), VILLAGE, county)
    with pytest.raises(HuyingError, match="twice"):
        decode(head(), VILLAGE, county + town)


def test_an_unknown_type_and_a_bad_record_id_have_their_own_names():
    """The first is mended by an upgrade, the second never."""
    with pytest.raises(HuyingError) as caught:
        decode(head(99), VILLAGE, b"")
    assert caught.value.code is Code.UNKNOWN_TYPE
    with pytest.raises(HuyingError) as caught:
        decode(head(record=b"short"), VILLAGE, b"")
    assert caught.value.code is Code.BAD_HEAD


def test_a_newer_nodes_enum_value_and_field_pass():
    """N and N−1 interoperate: what is unknown here is kept, not refused."""
    newer = event(status=17).SerializeToString() + b"\xf8\x3f\x01"
    assert decode(head(), VILLAGE, newer).SerializeToString() == newer


@given(st.binary(max_size=60), st.sampled_from(sorted(REGISTRY)))
def test_no_bytes_do_more_than_raise_a_named_refusal(data, record_type):
    """The receive path must survive whatever a peer sends."""
    spec = REGISTRY[record_type]
    code = {1: "370000000000", 3: "370830000000", 4: TOWN, 5: VILLAGE}[min(spec.levels)]
    codes = []
    try:
        decode(head(record_type, min(spec.kinds)), code, data)
    except HuyingError as error:
        codes.append(error.code)
    assert set(codes) <= {Code.BAD_RECORD, Code.WRONG_REGION}


@pytest.mark.parametrize(
    ("record_type", "code", "message", "expected"),
    [
        (feed_pb2.RECORD_TYPE_DIVISION, COUNTY, records_pb2.Division(), (f"{COUNTY}/*",)),
        (feed_pb2.RECORD_TYPE_MEMBER, TOWN, trust_pb2.Member(), (f"{TOWN}/*",)),
        (feed_pb2.RECORD_TYPE_DIVISION, VILLAGE, records_pb2.Division(), ()),
        (feed_pb2.RECORD_TYPE_CALL, TOWN, calls_pb2.Call(village=VILLAGE), (f"={VILLAGE}",)),
        (feed_pb2.RECORD_TYPE_CALL, TOWN, calls_pb2.Call(), ()),
        (EVENT, TOWN, event(), ()),
    ],
)
def test_what_goes_down_by_itself(record_type, code, message, expected):
    """Default deny: only what a type's rule names goes down, and from a village nothing."""
    assert default_to(record_type, code, message) == expected


def test_a_public_description_is_masked_and_a_written_one_stays():
    """The clerk's own wording, once confirmed, is not replaced."""
    derived = with_public_text(event(description_full="李四13800138000报告"))
    assert derived.description_public == "李四〔手机号〕报告"
    kept = with_public_text(event(description_full="甲", description_public="乙"))
    assert kept.description_public == "乙"
