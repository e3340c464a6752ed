"""An entry's bytes: held beside the vectors, and refused in every other form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import (
    commitment,
    commitment_prefix,
    encode_leaf,
    leaf_commitment,
    leaf_slots,
    make_entry,
    make_opening,
    opening_body,
    pack_openings,
    unpack_openings,
)
from huying.common.feed.merkle import leaf_hash
from huying.common.limits import ENTRY_BYTES_MAX
from tests.support.places import DATA

VECTOR = json.loads((DATA / "feed_vectors.json").read_text())["entry"]
ORIGIN = "wenshang.example/feed/370830108201/e1"

body_slots = st.sets(
    st.integers(1, 255).filter(lambda slot: 1 <= slot % 8 <= 5), min_size=0, max_size=15
)


def test_the_leaf_of_the_vectors_is_made_byte_for_byte() -> None:
    """Commitments are signed for ever: a changed byte would orphan every old entry."""
    rows = VECTOR["openings"]
    compartments = [(row["slot"], bytes.fromhex(row["body_hex"])) for row in rows]
    salts = b"".join(bytes.fromhex(row["salt_hex"]) for row in rows)
    leaf, openings = make_entry(VECTOR["origin"], compartments, salts)
    assert leaf.hex() == VECTOR["leaf_hex"]
    assert len(leaf) == VECTOR["leaf_len"]
    assert leaf_hash(leaf).hex() == VECTOR["leaf_hash_hex"]
    prefix = commitment_prefix(VECTOR["origin"])
    for position, (row, opening) in enumerate(zip(rows, openings, strict=True)):
        assert commitment(prefix, opening).hex() == row["commitment_hex"]
        assert leaf_commitment(leaf, position).hex() == row["commitment_hex"]
        assert opening_body(opening).hex() == row["body_hex"]


@given(body_slots, st.binary(max_size=40))
def test_a_leaf_shows_its_slots_and_binds_every_opening(slots: set[int], body: bytes) -> None:
    """What is withheld stays provable only if each compartment is bound by itself."""
    compartments = [(slot, body + bytes((slot,))) for slot in sorted({0, *slots})]
    salts = bytes(range(16)) * len(compartments)
    leaf, openings = make_entry(ORIGIN, compartments, salts)
    assert leaf_slots(leaf) == bytes(slot for slot, _ in compartments)
    for position, opening in enumerate(openings):
        assert leaf_commitment(leaf, position) == commitment(commitment_prefix(ORIGIN), opening)


def test_a_commitment_holds_in_one_feed_alone() -> None:
    """An opening can't be moved to another origin's leaf."""
    opening = make_opening(3, bytes(16), b"body")
    other = commitment_prefix(ORIGIN.replace("e1", "e2"))
    assert commitment(commitment_prefix(ORIGIN), opening) != commitment(other, opening)


def leaf_of(*slots: int) -> bytes:
    return bytes((1, len(slots))) + b"".join(bytes((slot,)) + bytes(32) for slot in slots)


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"\x01",
        b"\x01\x00",
        leaf_of(),
        leaf_of(3),
        leaf_of(0, 0),
        leaf_of(0, 5, 3),
        leaf_of(0, 3, 3),
        leaf_of(0, 8),
        leaf_of(0, 6),
        leaf_of(0, 7),
        leaf_of(0, 3) + b"\x00",
        leaf_of(0, 3)[:-1],
        b"\x02" + leaf_of(0, 3)[1:],
        leaf_of(0, *(8 * n + 3 for n in range(16))),
    ],
    ids=lambda leaf: f"{len(leaf)}-{leaf[:4].hex()}",
)
def test_a_leaf_in_any_other_form_is_refused(leaf: bytes) -> None:
    """Two readings of one leaf would be two truths under one signature."""
    with pytest.raises(HuyingError) as refused:
        leaf_slots(leaf)
    assert refused.value.code is Code.BAD_LEAF


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_a_leaf_only_if_they_are_written_back_the_same(data: bytes) -> None:
    """The parser accepts exactly what the writer writes."""
    try:
        slots = leaf_slots(data)
    except HuyingError:
        return
    digests = [leaf_commitment(data, position) for position in range(len(slots))]
    assert encode_leaf(slots, digests) == data


def test_an_entry_over_16_kib_is_refused_with_the_limit_in_the_message() -> None:
    """Whoever writes too much must learn how much is allowed."""
    room = ENTRY_BYTES_MAX - (2 + 2 * 33) - 2 * 17
    salts = bytes(32)
    make_entry(ORIGIN, [(0, b""), (3, bytes(room))], salts)
    with pytest.raises(HuyingError) as refused:
        make_entry(ORIGIN, [(0, b""), (3, bytes(room + 1))], salts)
    assert refused.value.code is Code.ENTRY_TOO_LARGE
    assert "16384" in refused.value.detail


@given(st.lists(st.binary(min_size=17, max_size=300), max_size=16))
def test_openings_are_packed_and_unpacked_the_same(openings: list[bytes]) -> None:
    """The store keeps them in one value."""
    assert unpack_openings(pack_openings(openings)) == openings


@pytest.mark.parametrize("packed", [b"\x00", b"\x00\x05ab", b"\x00\x01a\x00"])
def test_a_damaged_value_in_the_store_is_called_corrupt(packed: bytes) -> None:
    """A broken row must not be served as a shorter entry."""
    with pytest.raises(HuyingError) as refused:
        unpack_openings(packed)
    assert refused.value.code is Code.CORRUPT
