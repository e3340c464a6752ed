"""The search for canaries must find one wherever it is, or its 0 means nothing."""

from __future__ import annotations

import base64
import os
from functools import partial

import pytest

from huying.common.records.record_rules import check_fields
from huying.hub.demo.canary import UNMARKED, Canaries, scan_bytes
from huying.wire.v1 import audience_pb2, calls_pb2, records_pb2

COUNTY, TOWN, VILLAGE, OTHER = "370830000000", "370830108000", "370830108201", "370830108202"

RESIDENT = records_pb2.Resident(
    grid=f"{VILLAGE}001",
    household=bytes(16),
    name="王一二生成",
    birth_date="1960-01-31",
    sex="女",
    id_number="370830196001310020",
    phone="16000000000",
    key_population="空巢老人",
    health="高血压",
)


def planted(message=RESIDENT, origin=VILLAGE):
    canaries = Canaries()
    marked = type(message).FromString(message.SerializeToString())
    canaries.plant(marked, origin)
    return canaries, marked


def may_read(code, mark):
    return code in mark.readers


def test_every_village_only_field_is_marked_and_may_still_be_written():
    """A field left out is a field that nobody watches."""
    canaries, marked = planted()
    check_fields(marked, VILLAGE)
    for field, value in RESIDENT.ListFields():
        audience = field.GetOptions().Extensions[audience_pb2.audience]
        village_only = audience.level == audience_pb2.LEVEL_VILLAGE
        changed = getattr(marked, field.name) != value
        assert changed == (village_only and field.name not in UNMARKED), field.name
    assert canaries.planted == 6


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize(
    "spell",
    [bytes, lambda data: data.hex().encode(), base64.b64encode, base64.urlsafe_b64encode],
    ids=["raw", "hex", "base64", "base64url"],
)
def test_a_mark_is_found_in_every_spelling_at_every_offset(spell, offset):
    """A leak in a log is rarely in the bytes of the database."""
    canaries, marked = planted()
    for field in ("name", "phone", "household", "id_number"):
        value = getattr(marked, field)
        data = value.encode() if isinstance(value, str) else value
        haystack = b"noise" + spell(os.urandom(offset) + data + os.urandom(7)) + b"noise"
        scan = scan_bytes(canaries, haystack, "here", lambda _mark: False)
        assert [leak.origin for leak in scan.leaks] == [VILLAGE], field
        assert scan_bytes(canaries, haystack, "here", lambda _mark: True).permitted == 1


@pytest.mark.parametrize("cut", [slice(4, None), slice(None, -2)], ids=["head", "tail"])
def test_what_is_left_of_a_mark_still_says_whose_it_was(cut):
    """A database writes over a cell from either end; what remains is no leak where it was none."""
    canaries, marked = planted()
    left = marked.name.removeprefix(RESIDENT.name).encode()[cut]
    haystack = b"noise" + left + b"noise"
    assert scan_bytes(canaries, haystack, "home", partial(may_read, VILLAGE)).permitted == 1
    assert len(scan_bytes(canaries, haystack, "elsewhere", partial(may_read, TOWN)).leaks) == 1


def test_a_mark_that_lost_both_ends_is_a_leak():
    """Nobody can say that it was allowed."""
    canaries, marked = planted()
    bare = marked.name.removeprefix(RESIDENT.name).encode()[4:-2]
    assert len(scan_bytes(canaries, bare, "home", lambda _mark: True).leaks) == 1


def test_a_mark_knows_who_may_read_it():
    """A village's mark in its own store is no leak, and in its neighbour's it is."""
    canaries, marked = planted()
    data = marked.SerializeToString()
    for code, found in ((VILLAGE, 0), (OTHER, 6), (TOWN, 6), (COUNTY, 6)):
        scan = scan_bytes(canaries, data, code, partial(may_read, code))
        assert len(scan.leaks) == found, code


def test_a_towns_own_fields_are_marked_for_the_town_alone():
    """The county must not see whom to ring in the town, nor the village the town's notes."""
    call = calls_pb2.Call(title="灯不亮", contact_name="李四", contact_phone="16000000001")
    canaries, marked = planted(call, TOWN)
    assert marked.title == "灯不亮"
    assert marked.contact_name != "李四"
    data = marked.SerializeToString()
    for code, found in ((TOWN, 0), (COUNTY, 2), (VILLAGE, 2)):
        scan = scan_bytes(canaries, data, code, partial(may_read, code))
        assert len(scan.leaks) == found, code


def test_noise_holds_no_mark():
    """A search that finds marks in noise would be switched off."""
    canaries, _ = planted()
    scan = scan_bytes(canaries, os.urandom(1 << 20), "noise", lambda _mark: False)
    assert not scan.leaks
    assert scan.scanned_bytes == 1 << 20
