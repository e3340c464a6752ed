"""Somebody else's verifier, in another language, must agree with ours in everything it judges.

`metamorphic-log` is a Rust implementation of RFC 6962, RFC 9162 and the C2SP formats, independent
of this code. Our own vectors could share our own mistakes; it does not.
"""

from __future__ import annotations

import random
from hashlib import sha256
from typing import cast

import metamorphic_log as other
import pytest

from huying.common.errors import HuyingError
from huying.common.feed.checkpoint import Checkpoint, cosign, open_checkpoint, sign_checkpoint
from huying.common.feed.merkle import (
    EMPTY_RANGE,
    EMPTY_ROOT,
    SubtreeReader,
    append,
    leaf_hash,
    root,
)
from huying.common.feed.merkle_proof import (
    consistency_proof,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from huying.common.feed.note import KeyType, Note, NoteSignature, Signer, format_note, parse_note

NAME = "wenshang.example/feed/370830100201/e1"
ORIGIN = Signer.from_seed(NAME, KeyType.ORIGIN, b"o" * 32)
TOWN = Signer.from_seed("wenshang.example/witness/370830100000", KeyType.COSIGNATURE, b"t" * 32)
KEYS = [str(ORIGIN.key)]  # it knows no witness keys, and ignores their lines as it should
# The generated binding defines its exception in a way that no type checker follows.
REFUSALS = cast(
    "tuple[type[Exception], ...]", (HuyingError, other.VerifyError, other.InternalError)
)
HASHES = [leaf_hash(b"%d" % number) for number in range(3000)]


def subtrees() -> dict[int, list[bytes]]:
    shelf: dict[int, list[bytes]] = {}
    for level, _, digest in append(EMPTY_RANGE, HASHES)[1]:
        shelf.setdefault(level, []).append(digest)
    return shelf


SHELF = subtrees()
READER = SubtreeReader(
    lambda start, stop: HASHES[start:stop],
    lambda level, start, stop: SHELF.get(level, [])[start:stop],
)


def tree_root(size: int) -> bytes:
    return root(append(EMPTY_RANGE, HASHES[:size])[0])


def note_of(size: int) -> bytes:
    return cosign(
        TOWN, sign_checkpoint(ORIGIN, Checkpoint(NAME, size, tree_root(size))), 1700000000
    )


def altered(digest: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(digest))
    return digest[:at] + bytes([digest[at] ^ 1 << chance.randrange(8)]) + digest[at + 1 :]


def judge_inclusion(*case: object) -> tuple[bool, bool]:
    return accepts(verify_inclusion, *case), accepts(other.verify_inclusion, *case)


def judge_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]
) -> tuple[bool, bool]:
    return (
        accepts(verify_consistency, old, new, old_root, new_root, proof),
        accepts(other.verify_consistency, old, new, proof, old_root, new_root),
    )


def accepts(check: object, *case: object) -> bool:
    assert callable(check)
    try:
        check(*case)
    except REFUSALS:
        return False
    return True


@pytest.mark.parametrize("number", range(8))
def test_both_accept_our_inclusion_proofs_and_refuse_altered_ones(number: int) -> None:
    """Any leaf of any tree, and one random change of the proof."""
    chance = random.Random(number)
    for _ in range(60):
        size = chance.randint(1, chance.choice([8, 300, 3000]))
        index = chance.randrange(size)
        proof, top = inclusion_proof(index, size, READER), tree_root(size)
        assert judge_inclusion(index, size, HASHES[index], proof, top) == (True, True)
        at = chance.randrange(len(proof)) if proof else 0
        changes = [
            (index, size, HASHES[index], [*proof, sha256(b"x").digest()], top),
            (index, size, altered(HASHES[index], chance), proof, top),
            (index, size, HASHES[index], proof, altered(top, chance)),
            (size + index, size, HASHES[index], proof, top),
        ]
        if proof:
            swapped = [*proof[:at], altered(proof[at], chance), *proof[at + 1 :]]
            changes.append((index, size, HASHES[index], swapped, top))
            changes.append((index, size, HASHES[index], proof[:at] + proof[at + 1 :], top))
        for case in changes:
            assert judge_inclusion(*case) == (False, False), f"seed {number}, {case[:2]}"


@pytest.mark.parametrize("number", range(8))
def test_both_accept_our_consistency_proofs_and_refuse_altered_ones(number: int) -> None:
    """Any two sizes of one feed, and one random change of the proof."""
    chance = random.Random(number)
    for _ in range(60):
        new = chance.randint(1, chance.choice([8, 300, 3000]))
        old = chance.randint(1, new)
        proof = consistency_proof(old, new, READER)
        old_root, new_root = tree_root(old), tree_root(new)
        assert judge_consistency(old, new, old_root, new_root, proof) == (True, True)
        changes = [
            (old, new, altered(old_root, chance), new_root, proof),
            (old, new, old_root, altered(new_root, chance), proof),
            (old, new, old_root, new_root, [*proof, new_root]),
            (new + 1, new, old_root, new_root, proof),
        ]
        if proof:
            at = chance.randrange(len(proof))
            swapped = [*proof[:at], altered(proof[at], chance), *proof[at + 1 :]]
            changes.append((old, new, old_root, new_root, swapped))
            changes.append((old, new, old_root, new_root, proof[:at] + proof[at + 1 :]))
        for case in changes:
            assert judge_consistency(*case) == (False, False), f"seed {number}, {case[:2]}"


@pytest.mark.parametrize("number", range(4))
def test_both_judge_one_way_about_random_sizes_and_indexes(number: int) -> None:
    """A proof for one place, shown for another: right or wrong, the two verifiers agree."""
    chance = random.Random(number)
    for _ in range(300):
        size, claimed = chance.randint(1, 20), chance.randint(1, 20)
        index, shown = chance.randrange(size), chance.randrange(20)
        proof = inclusion_proof(index, size, READER)
        ours, theirs = judge_inclusion(shown, claimed, HASHES[index], proof, tree_root(size))
        assert ours == theirs, f"seed {number}: {index}/{size} shown as {shown}/{claimed}"
        old, new = sorted((size, claimed))
        path = consistency_proof(old, new, READER)
        other_old, other_new = chance.randint(1, 20), chance.randint(1, 20)
        ours, theirs = judge_consistency(other_old, other_new, tree_root(old), tree_root(new), path)
        assert ours == theirs, f"seed {number}: {old}→{new} shown as {other_old}→{other_new}"


def test_it_reads_and_verifies_our_cosigned_checkpoints() -> None:
    """The origin's signature, in a note that also has a witness's line."""
    for size in (0, 1, 37, 3000):
        note = note_of(size).decode()
        assert other.verify_signed_note(note, KEYS) == 1
        head = other.checkpoint_verify(note, KEYS)
        assert (head.origin, head.size, head.root) == (NAME, size, tree_root(size))


def test_it_verifies_what_our_witness_signed() -> None:
    """It has no cosignatures, so the signed message is shown to it as a note of its own."""
    line = parse_note(note_of(37)).signatures[1]
    message = b"cosignature/v1\ntime 1700000000\n" + Checkpoint(NAME, 37, tree_root(37)).body()
    plain = Signer.from_seed(TOWN.name, KeyType.ORIGIN, b"t" * 32).key
    signature = NoteSignature(plain.name, plain.key_id, line.signature[8:])
    shown = format_note(Note(message, (signature,))).decode()
    assert other.verify_signed_note(shown, [str(plain)]) == 1


def test_it_checks_proofs_against_our_checkpoints() -> None:
    """The whole chain that an outside auditor would run."""
    older, newer = note_of(100).decode(), note_of(3000).decode()
    proof = consistency_proof(100, 3000, READER)
    other.checkpoint_verify_consistency(older, newer, KEYS, proof)
    other.checkpoint_verify_inclusion(
        newer, KEYS, 1234, HASHES[1234], inclusion_proof(1234, 3000, READER)
    )
    with pytest.raises(REFUSALS):
        other.checkpoint_verify_consistency(older, newer, KEYS, proof[1:])
    with pytest.raises(REFUSALS):
        other.checkpoint_verify_inclusion(
            newer, KEYS, 1235, HASHES[1234], inclusion_proof(1234, 3000, READER)
        )


def test_what_it_refuses_of_an_altered_note_we_refuse_too() -> None:
    """We may be stricter, never more lenient: every bit of a note is flipped once."""
    note, accepted = note_of(37), 0
    for at in range(len(note)):
        for bit in range(8):
            changed = note[:at] + bytes([note[at] ^ 1 << bit]) + note[at + 1 :]
            if accepts(open_checkpoint, changed, ORIGIN.key):
                accepted += 1
                assert other.verify_signed_note(changed.decode(), KEYS) == 1
    assert accepted > 0, "a witness's line that nobody here knows may change"


def test_empty_trees_agree() -> None:
    """Size 0 is the corner where implementations differ most."""
    assert tree_root(0) == EMPTY_ROOT
    assert other.checkpoint_parse(Checkpoint(NAME, 0, EMPTY_ROOT).body().decode()).size == 0
