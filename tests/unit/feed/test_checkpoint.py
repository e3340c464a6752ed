"""A checkpoint binds an origin to one history, a cosignature its witness to having seen it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.canonical import encode_base64
from huying.common.feed.checkpoint import (
    Checkpoint,
    cosign,
    cosignatures,
    merge_signatures,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from huying.common.feed.merkle import EMPTY_ROOT
from huying.common.feed.note import KeyType, Note, NoteSignature, Signer, format_note, parse_note
from huying.common.limits import NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, TREE_SIZE_MAX
from tests.support.places import DATA

VECTOR: dict[str, Any] = json.loads((DATA / "feed_vectors.json").read_text())["checkpoint"]
NAME = "wenshang.example/feed/370830100201/e1"
ORIGIN = Signer.from_seed(NAME, KeyType.ORIGIN, bytes.fromhex(VECTOR["log_seed_hex"]))
TOWN = Signer.from_seed(
    "wenshang.example/witness/370830100000",
    KeyType.COSIGNATURE,
    bytes.fromhex(VECTOR["witness_seed_hex"]),
)
COUNTY = Signer.from_seed("wenshang.example/witness/370830000000", KeyType.COSIGNATURE, b"c" * 32)
ROOT = b"r" * 32
CHECKPOINT = Checkpoint(NAME, 8, ROOT)


def test_signing_and_cosigning_give_the_bytes_of_the_vectors() -> None:
    """Other people's verifiers and witnesses read our notes only if these bytes agree."""
    checkpoint = parse_checkpoint(VECTOR["text"].encode())
    assert checkpoint.body().decode() == VECTOR["text"]
    note = sign_checkpoint(ORIGIN, checkpoint)
    assert cosign(TOWN, note, VECTOR["cosign_time"]).decode() == VECTOR["note"]
    opened = open_checkpoint(VECTOR["note"].encode(), ORIGIN.key, [TOWN.key])
    assert opened.checkpoint == checkpoint
    assert cosignatures(opened.note, [TOWN.key]) == [(TOWN.name, VECTOR["cosign_time"])]


@given(st.integers(1, TREE_SIZE_MAX), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_reads_back(size: int, root: bytes) -> None:
    """Formatting and parsing are each other's inverse."""
    checkpoint = Checkpoint(NAME, size, root)
    assert parse_checkpoint(checkpoint.body()) == checkpoint
    assert open_checkpoint(sign_checkpoint(ORIGIN, checkpoint), ORIGIN.key).checkpoint == checkpoint


R64 = encode_base64(ROOT)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        NAME.encode() + b"\n8\n",
        NAME.encode() + b"\n8\n" + R64,
        NAME.encode() + b"\n8\n" + R64 + b"\nextension\n",
        NAME.encode() + b"\n8\n" + R64 + b"\n\n",
        b"\n8\n" + R64 + b"\n",
        b"example.com/log\n8\n" + R64 + b"\n",
        "汶上/feed/370830100201/e1".encode() + b"\n8\n" + R64 + b"\n",
        NAME.encode() + b"\n08\n" + R64 + b"\n",
        NAME.encode() + b"\n+8\n" + R64 + b"\n",
        NAME.encode() + b"\n-8\n" + R64 + b"\n",
        NAME.encode() + b"\n8 \n" + R64 + b"\n",
        NAME.encode() + "\n８\n".encode() + R64 + b"\n",
        NAME.encode() + b"\n%d\n" % (TREE_SIZE_MAX + 1) + R64 + b"\n",
        NAME.encode() + b"\n8\n" + encode_base64(ROOT[:-1]) + b"\n",
        NAME.encode() + b"\n8\n" + encode_base64(ROOT + b"r") + b"\n",
        NAME.encode() + b"\n8\n" + R64.rstrip(b"=") + b"\n",
        NAME.encode() + b"\n8\n" + R64.replace(b"I=", b"J=") + b"\n",
        NAME.encode() + b"\n0\n" + R64 + b"\n",
        NAME.encode() + b"\r\n8\r\n" + R64 + b"\r\n",
    ],
)
def test_a_checkpoint_out_of_form_is_refused(text: bytes) -> None:
    """Signed or not: what has two readings is no checkpoint."""
    with pytest.raises(HuyingError) as caught:
        parse_checkpoint(text)
    assert caught.value.code == Code.BAD_NOTE


def test_an_empty_feed_has_a_checkpoint_too() -> None:
    """A node that was only just set up can already be pinned and witnessed."""
    empty = Checkpoint(NAME, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(ORIGIN, empty), ORIGIN.key).checkpoint == empty


def test_only_the_origin_signs_its_checkpoints() -> None:
    """A node can't be made to sign for another feed, nor with a witness key."""
    for signer, checkpoint in [
        (ORIGIN, Checkpoint(NAME.replace("e1", "e2"), 8, ROOT)),
        (Signer.from_seed(NAME, KeyType.COSIGNATURE, b"x" * 32), CHECKPOINT),
    ]:
        with pytest.raises(HuyingError) as caught:
            sign_checkpoint(signer, checkpoint)
        assert caught.value.code == Code.KEY
    with pytest.raises(HuyingError) as caught:
        sign_checkpoint(ORIGIN, Checkpoint(NAME, 8, ROOT[:-1]))
    assert caught.value.code == Code.BAD_NOTE


def test_a_note_without_the_origins_signature_is_refused() -> None:
    """A witness's word alone says nothing; nor does a key of the same name."""
    note = cosign(TOWN, sign_checkpoint(ORIGIN, CHECKPOINT), 5)
    parsed = parse_note(note)
    witness_only = format_note(Note(parsed.text, parsed.signatures[1:]))
    other = Signer.from_seed(NAME, KeyType.ORIGIN, b"o" * 32)
    next_epoch = Signer.from_seed(NAME.replace("e1", "e2"), KeyType.ORIGIN, b"o" * 32)
    as_witness = Signer.from_seed(NAME, KeyType.COSIGNATURE, bytes.fromhex(VECTOR["log_seed_hex"]))
    for data, key in [
        (witness_only, ORIGIN.key),
        (note, other.key),
        (note, next_epoch.key),
        (cosign(as_witness, note, 5), as_witness.key),
        (sign_checkpoint(other, CHECKPOINT), ORIGIN.key),
    ]:
        with pytest.raises(HuyingError) as caught:
            open_checkpoint(data, key)
        assert caught.value.code == Code.BAD_SIGNATURE


def test_a_known_witness_with_a_false_line_rejects_the_note() -> None:
    """The tree may be honest; whoever passed this note on is not."""
    note = parse_note(cosign(TOWN, sign_checkpoint(ORIGIN, CHECKPOINT), 5))
    town = note.signatures[1]
    false = NoteSignature(town.name, town.key_id, (6).to_bytes(8, "big") + town.signature[8:])
    data = format_note(Note(note.text, (note.signatures[0], false)))
    assert open_checkpoint(data, ORIGIN.key).checkpoint == CHECKPOINT
    with pytest.raises(HuyingError) as caught:
        open_checkpoint(data, ORIGIN.key, [TOWN.key])
    assert caught.value.code == Code.BAD_SIGNATURE


def test_a_witness_replaces_its_own_line_and_leaves_the_others() -> None:
    """A fresh timestamp at the same size must not grow the note."""
    note = cosign(COUNTY, cosign(TOWN, sign_checkpoint(ORIGIN, CHECKPOINT), 5), 6)
    again = open_checkpoint(cosign(TOWN, note, 9), ORIGIN.key).note
    assert cosignatures(again, [TOWN.key, COUNTY.key]) == [(TOWN.name, 9), (COUNTY.name, 6)]
    assert len(again.signatures) == 3
    with pytest.raises(HuyingError) as caught:
        cosign(ORIGIN, note, 9)
    assert caught.value.code == Code.KEY


def test_a_note_full_of_junk_still_takes_a_cosignature() -> None:
    """Otherwise a relay that appends lines could keep a feed unwitnessed."""
    note = parse_note(sign_checkpoint(ORIGIN, CHECKPOINT))
    many = tuple(NoteSignature(f"junk{at}", b"1234", b"x") for at in range(15))
    large = (NoteSignature("large", b"1234", b"x" * 48_000),)
    for junk in (many, large, large + many[:14]):
        full = format_note(Note(note.text, note.signatures + junk))
        data = cosign(TOWN, full, 5)
        assert len(data) <= NOTE_BYTES_MAX
        opened = open_checkpoint(data, ORIGIN.key, [TOWN.key])
        assert len(opened.note.signatures) <= NOTE_SIGNATURES_MAX
        assert cosignatures(opened.note, [TOWN.key]) == [(TOWN.name, 5)]


def test_merging_keeps_the_newest_word_of_every_witness() -> None:
    """Cosignatures of one checkpoint arrive over several paths, in any order."""
    note = sign_checkpoint(ORIGIN, CHECKPOINT)
    ours = cosign(TOWN, note, 5)
    theirs = cosign(COUNTY, cosign(TOWN, note, 7), 6)
    keys = [TOWN.key, COUNTY.key]
    expected = [(COUNTY.name, 6), (TOWN.name, 7)]
    for left, right in [(ours, theirs), (theirs, ours)]:
        for trusted in (None, [ORIGIN.key, *keys]):
            merged = merge_signatures(left, right, trusted)
            opened = open_checkpoint(merged, ORIGIN.key)
            assert sorted(cosignatures(opened.note, keys)) == expected
            assert merge_signatures(merged, merged) == merged


def test_merging_with_keys_takes_no_strangers_line_and_no_false_one() -> None:
    """A line that nobody here can check must not push out one that was checked."""
    ours = cosign(TOWN, sign_checkpoint(ORIGIN, CHECKPOINT), 5)
    parsed = parse_note(ours)
    stranger = NoteSignature("stranger", b"1234", b"x")
    town = parsed.signatures[1]
    late = NoteSignature(town.name, town.key_id, (2**62).to_bytes(8, "big") + bytes(64))
    padded = format_note(Note(parsed.text, (*parsed.signatures, stranger)))
    assert merge_signatures(ours, padded, [TOWN.key]) == ours
    with pytest.raises(HuyingError) as caught:
        merge_signatures(ours, format_note(Note(parsed.text, (late,))), [TOWN.key])
    assert caught.value.code == Code.BAD_SIGNATURE


def test_notes_of_two_texts_do_not_merge() -> None:
    """Signatures belong to one text."""
    with pytest.raises(HuyingError) as caught:
        merge_signatures(
            sign_checkpoint(ORIGIN, CHECKPOINT),
            sign_checkpoint(ORIGIN, Checkpoint(NAME, 9, ROOT)),
        )
    assert caught.value.code == Code.BAD_NOTE
