"""A picture travels as entries, and is shown as nothing but what its digest says."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.effects import DraftEntry, Operate
from huying.common.errors import Code, HuyingError
from huying.common.late.requests import EraseRecord
from huying.common.limits import (
    ENTRY_BYTES_MAX,
    EVIDENCE_BYTES_MAX,
    EVIDENCE_PART_BYTES_MAX,
    EVIDENCE_PARTS_MAX,
    EVIDENCE_PICTURES_MAX,
)
from huying.common.records.evidence_parts import JPEG, Picture, evidence_record, join, parts_of
from huying.common.records.registry import check_write
from huying.node.cli.output import readable
from huying.node.store.evidence_queries import EvidenceState
from huying.node.store.projection_check import check_projections
from huying.wire.v1 import evidence_pb2, feed_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, event, put, raise_call

EVENT, EVIDENCE = int(feed_pb2.RECORD_TYPE_EVENT), int(feed_pb2.RECORD_TYPE_EVIDENCE)
CALL = int(feed_pb2.RECORD_TYPE_CALL)
WHOLE = bytes(range(256)) * 384  # as much as travels


def picture(of: bytes, of_type: int = EVENT) -> Picture:
    return Picture(of, of_type, "照片 1.jpg", JPEG, taken_micros=7, actor="村-01")


def faults(store) -> list:
    """What the tables say otherwise than the entries."""
    notes: list = []
    check_projections(store, lambda *note: notes.append(note))
    return notes


@pytest.fixture(scope="module")
def network():
    network = TinyNetwork()
    yield network
    network.close()


@pytest.fixture(scope="module")
def reported(network):
    return network.append(VILLAGE, put(EVENT, event(1)))[0].record


# Cut, and put together.


@given(data=st.binary(min_size=1, max_size=3 * EVIDENCE_PART_BYTES_MAX), seed=st.randoms())
def test_parts_come_together_in_any_order(data, seed):
    """A thin link, a stick and a late answer bring them as they like."""
    messages: list[Any] = [draft.message for draft in parts_of(picture(b"e" * 16), data)]
    seed.shuffle(messages)
    held = {message.part: message.data for message in messages}
    assert join(held, len(messages), sha256(data).digest()) == data


def test_a_picture_that_lacks_a_part_or_lies_is_none():
    """Half a picture with the name of a whole one would be evidence of something else."""
    digest = sha256(b"abc").digest()
    assert join({0: b"a", 1: b"b", 2: b"c"}, 3, digest) == b"abc"
    assert join({0: b"a", 2: b"c"}, 3, digest) is None
    assert join({0: b"a", 1: b"x", 2: b"c"}, 3, digest) is None
    assert join({0: b"abc"}, 0, digest) is None
    assert join(dict.fromkeys(range(9), b""), EVIDENCE_PARTS_MAX + 1, digest) is None


def test_the_largest_picture_fits_into_its_entries(network, reported):
    """A part over the limit of an entry would be refused after the person has gone home."""
    drafts = parts_of(picture(reported), WHOLE)
    assert len(WHOLE) == EVIDENCE_BYTES_MAX
    assert len(drafts) == EVIDENCE_PARTS_MAX
    assert all(draft.message.ByteSize() < ENTRY_BYTES_MAX - 1024 for draft in drafts)
    for size in (0, EVIDENCE_BYTES_MAX + 1):
        with pytest.raises(HuyingError, match="travel"):
            parts_of(picture(reported), bytes(size))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("of", b"short"),
        ("of_type", feed_pb2.RECORD_TYPE_RESIDENT),
        ("sha256", b"x"),
        ("name", "13800000000.jpg"),
        ("name", "a\nb.jpg"),
        ("media_type", "image/svg+xml"),
        ("part", 1),
        ("parts", 9),
        ("data", b""),
        ("data", bytes(EVIDENCE_PART_BYTES_MAX + 1)),
        ("data_home", b"too"),
        ("size_bytes", EVIDENCE_BYTES_MAX + 1),
    ],
)
def test_a_part_that_says_nonsense_is_not_written(field, value):
    """What stands in a feed stands for ever, so the rules come first."""
    message = parts_of(picture(b"e" * 16), b"abc")[0].message
    check_write(EVIDENCE, feed_pb2.KIND_PUT, message, VILLAGE)
    setattr(message, field, value)
    with pytest.raises(HuyingError) as caught:
        check_write(EVIDENCE, feed_pb2.KIND_PUT, message, VILLAGE)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "13800000000" not in str(caught.value)


# Through a network.


def test_a_villages_picture_is_whole_at_the_county(network, reported):
    """That is what it was taken for."""
    network.append(VILLAGE, *parts_of(picture(reported), WHOLE))
    for code in (VILLAGE, TOWN, COUNTY):
        (row,) = network.stores[code].evidence_of(reported)
        assert (row.state, row.data) == (EvidenceState.WHOLE, WHOLE)
        assert (row.home, row.name, row.parts_held, row.parts) == (VILLAGE, "照片 1.jpg", 8, 8)
        assert (row.taken_micros, row.actor, row.of_type) == (7, "村-01", EVENT)
        assert network.stores[code].evidence_counts([reported, b"x" * 16]) == {reported: 1}
        assert network.stores[code].evidence_by_digest(sha256(WHOLE).digest()) == [row]


def test_a_picture_that_stays_home_is_told_of_and_not_shown(network):
    """只留本村: the county knows that there is one, by whom, and whom to ask for it."""
    of = network.append(VILLAGE, put(EVENT, event(2)))[0].record
    network.append(VILLAGE, *parts_of(picture(of), b"a face" * 3000, stays_home=True))
    (row,) = network.stores[VILLAGE].evidence_of(of)
    assert (row.data, row.stays_home) == (b"a face" * 3000, True)
    for code in (TOWN, COUNTY):
        (row,) = network.stores[code].evidence_of(of)
        assert (row.state, row.data, row.parts_held) == (EvidenceState.WITHHELD, None, 0)
        assert (row.name, row.stays_home) == ("照片 1.jpg", True)
        assert [place.part for place in row.places] == [0, 1]
        assert all(len(place.record) == 16 for place in row.places)
        entries = network.stores[code].changes(row.places[0].origin, 0, 100)[0]
        assert not any(b"a face" in one.message for one in entries)


def test_a_countys_picture_reaches_the_parties_and_nobody_else():
    """A department's photo of the mended road goes to those who called."""
    other = "370830108202"
    network = TinyNetwork(also=[other])
    call = raise_call(network)
    to = (f"={TOWN}", f"={VILLAGE}")
    network.append(COUNTY, *parts_of(picture(call, CALL), b"mended", to=to))
    for code in (COUNTY, TOWN, VILLAGE):
        assert [row.data for row in network.stores[code].evidence_of(call)] == [b"mended"]
    assert network.stores[other].evidence_of(call) == []
    network.close()


def test_a_part_that_has_not_come_is_on_its_way(network):
    """The page says 7 of 8, and shows no torn picture."""
    of = network.append(VILLAGE, put(EVENT, event(3)))[0].record
    drafts = parts_of(picture(of), WHOLE)
    network.append(VILLAGE, *drafts[3:], *drafts[:2])
    (row,) = network.stores[COUNTY].evidence_of(of)
    assert (row.state, row.data) == (EvidenceState.ON_THE_WAY, None)
    assert (row.parts_held, row.parts) == (7, 8)
    network.append(VILLAGE, drafts[2])
    (row,) = network.stores[COUNTY].evidence_of(of)
    assert row.data == WHOLE


def test_what_another_node_says_of_the_same_picture_stands_apart(network):
    """Nobody can spoil a picture by writing a part of it, nor lend it another name."""
    of = network.append(VILLAGE, put(EVENT, event(4)))[0].record
    network.append(VILLAGE, *parts_of(picture(of), b"true" * 5000))
    spoilt: Any = parts_of(picture(of), b"true" * 5000)[1]
    spoilt.message.data = b"false"
    network.append(TOWN, spoilt)
    rows = {row.home: row for row in network.stores[COUNTY].evidence_of(of)}
    assert rows[VILLAGE].data == b"true" * 5000
    assert (rows[TOWN].state, rows[TOWN].data) == (EvidenceState.ON_THE_WAY, None)
    assert [r.home for r in network.stores[COUNTY].evidence_of(of, home=VILLAGE)] == [VILLAGE]


def test_the_same_picture_written_again_is_one(network):
    """A form sent twice must not show a photo twice."""
    of = network.append(VILLAGE, put(EVENT, event(5)))[0].record
    for _ in range(2):
        network.append(VILLAGE, *parts_of(picture(of), b"once"))
    assert len(network.stores[COUNTY].evidence_of(of)) == 1
    assert (
        evidence_record(of, sha256(b"once").digest(), 0) == parts_of(picture(of), b"once")[0].record
    )


def test_a_flood_of_pictures_is_cut(network):
    """A page with ten thousand photos is no page."""
    of = network.append(VILLAGE, put(EVENT, event(6)))[0].record
    many = range(EVIDENCE_PICTURES_MAX + 3)
    network.append(VILLAGE, *(parts_of(picture(of), b"%d" % n)[0] for n in many))
    assert len(network.stores[COUNTY].evidence_of(of)) == EVIDENCE_PICTURES_MAX
    assert network.stores[COUNTY].evidence_counts([of])[of] == len(many)


def test_erasing_a_part_erases_the_picture_everywhere(network):
    """A person in it may ask for that, and the tables must follow."""
    of = network.append(VILLAGE, put(EVENT, event(7)))[0].record
    network.append(VILLAGE, *(drafts := parts_of(picture(of), b"erase me" * 2000)))
    for draft in drafts:
        operation = Operate(object(), EraseRecord(draft.record, ("data",)))
        network._effects(VILLAGE, network.engines[VILLAGE].step([operation]))
    network.run()
    for code in (VILLAGE, COUNTY):
        (row,) = network.stores[code].evidence_of(of)
        assert (row.state, row.data) == (EvidenceState.ERASED, None)
        assert faults(network.stores[code]) == []


def test_a_delete_takes_a_picture_off_the_page(network):
    """The wrong photo was chosen."""
    of = network.append(VILLAGE, put(EVENT, event(8)))[0].record
    network.append(VILLAGE, *(drafts := parts_of(picture(of), b"wrong")))
    empty = evidence_pb2.Evidence()
    network.append(VILLAGE, DraftEntry(feed_pb2.KIND_DELETE, EVIDENCE, empty, drafts[0].record))
    assert network.stores[COUNTY].evidence_of(of) == []


def test_a_terminal_is_told_how_many_bytes_there_are_and_not_which() -> None:
    """Twelve thousand hex digits would push everything else off it."""
    shown = dict(readable([("name", "a.jpg"), ("data", "ab" * 12_288), ("taken_micros", 0)]))
    assert shown["data"] == "12288 字节 bytes"
    assert shown["name"] == "a.jpg"
