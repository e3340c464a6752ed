"""Bundles: six ways to be refused, each by its own name and without effect, and what they carry."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard
from sqlalchemy import select

from huying.common import limits
from huying.common.bundles import bundle
from huying.common.bundles.bundle_import import ImportBundle
from huying.common.effects import Operate, Operated
from huying.common.errors import ADVICE, Code, HuyingError
from huying.common.feed import hpke
from huying.common.feed.note import KeyType, Signer
from huying.node.store.schema import METADATA
from huying.wire.v1 import bundle_pb2, sync_pb2
from tests.support.carried_network import Archipelago, Far, ledger_of, seal_key
from tests.support.handmade import event_draft, hello
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE, MemoryMark, identity


@pytest.fixture
def sea() -> Iterator[Archipelago]:
    made = Archipelago()
    yield made
    made.close()


def dump(node: Far) -> dict[str, list[tuple]]:
    """Every row of every table."""
    return {
        table.name: sorted(map(tuple, node.store.select(select(table))), key=repr)
        for table in METADATA.sorted_tables
    }


def code_of(node: Far, data: bytes) -> Code:
    """Why a bundle is refused."""
    with pytest.raises(HuyingError) as caught:
        node.take_bundle(data)
    return caught.value.code


def refusal(node: Far, data: bytes) -> HuyingError:
    """Why a bundle is refused; nothing at all may have changed."""
    before, sizes = dump(node), {o: f.size for o, f in node.engine.replica.feeds.items()}
    members = node.engine.roster.pins()
    with pytest.raises(HuyingError) as caught:
        node.take_bundle(data)
    assert dump(node) == before
    assert {o: f.size for o, f in node.engine.replica.feeds.items()} == sizes
    assert node.engine.roster.pins() == members
    return caught.value


def written(node: Far, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        node.write(event_draft(number))


def chain(sea: Archipelago, count: int) -> list[bytes]:
    """Bundles of the village, each joining on to the one before."""
    found = []
    for number in range(count):
        written(sea.village, 2, 2 * number)
        found.append(sea.village.export(TOWN, after_last=True).data)
    return found


# Six messages.


def test_each_of_the_six_has_a_message_of_its_own(sea: Archipelago) -> None:
    """An operator with a stick in the hand must know what to do next, and only that."""
    first, second, third, fourth = chain(sea, 4)
    county = sea.town.export(COUNTY).data
    sea.town.take_bundle(first)
    found = {
        "twice": refusal(sea.town, first),
        "truncated": refusal(sea.town, second[:-1]),
        "tampered": refusal(sea.town, second[:-1] + bytes((second[-1] ^ 1,))),
        "for another node": refusal(sea.town, county),
    }
    sea.town.take_bundle(second)
    found["number 3 missing"] = refusal(sea.town, fourth)
    sea.town.take_bundle(third)
    sea.town.take_bundle(fourth)
    # One that was never imported, and of which nothing is needed any more.
    old = sea.village.export(TOWN).data
    written(sea.village, 1, 100)
    sea.town.take_bundle(sea.village.export(TOWN).data)
    found["out of order"] = refusal(sea.town, old)
    assert {what: error.code for what, error in found.items()} == {
        "twice": Code.BUNDLE_REPEATED,
        "truncated": Code.BUNDLE_TRUNCATED,
        "tampered": Code.BUNDLE_TAMPERED,
        "for another node": Code.BUNDLE_NOT_FOR_US,
        "number 3 missing": Code.BUNDLE_GAP,
        "out of order": Code.BUNDLE_OUT_OF_ORDER,
    }
    assert len({ADVICE[error.code].zh for error in found.values()}) == 6
    assert len({ADVICE[error.code].en for error in found.values()}) == 6
    assert "number 3 of 370830108201 is missing" in found["number 3 missing"].detail
    assert sea.town.size(VILLAGE) == 9


def test_every_truncation_is_refused_and_changes_nothing(sea: Archipelago) -> None:
    """A stick that was pulled out early."""
    written(sea.village, 2)
    data = sea.village.export(TOWN).data
    before = dump(sea.town)
    for size in range(len(data)):
        assert code_of(sea.town, data[:size]) is Code.BUNDLE_TRUNCATED, size
    assert dump(sea.town) == before
    sea.town.take_bundle(data)


def test_every_changed_byte_is_refused_and_changes_nothing(sea: Archipelago) -> None:
    """A stick that was in other hands. The name follows from what the byte was part of."""
    written(sea.village, 2)
    data = sea.village.export(TOWN).data
    found = set()
    before = dump(sea.town)
    for at in range(len(data)):
        for bit in (0x01, 0x80):
            found.add(code_of(sea.town, data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]))
    assert dump(sea.town) == before
    assert Code.BUNDLE_TAMPERED in found
    # A length that grew reads as a file that ends early, a recipient as another's; both are true.
    assert found <= {
        Code.BUNDLE_TAMPERED,
        Code.BUNDLE_TRUNCATED,
        Code.BUNDLE_NOT_FOR_US,
        Code.NOT_ENROLLED,
    }
    for extra in (b"\x00", data):
        assert refusal(sea.town, data + extra).code is Code.BUNDLE_TAMPERED
    assert sea.town.take_bundle(data).entries == 2


def test_a_fault_in_the_middle_leaves_nothing_behind(
    sea: Archipelago, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle's entries, its number and its receipt are one transaction."""
    written(sea.village, 3)
    data = sea.village.export(TOWN).data
    conversation = sea.town.engine.conversation
    honest = type(conversation).take
    for frame in range(1, 4):
        calls: list[object] = []

        def failing(self, session, message, *, calls=calls, frame=frame):
            calls.append(message)
            replies = honest(self, session, message)
            if len(calls) == frame:
                raise MemoryError
            return replies

        monkeypatch.setattr(type(conversation), "take", failing)
        before = dump(sea.town)
        (answer,) = (
            one
            for one in sea.town.engine.step(
                [Operate("test", ImportBundle(data, [seal_key(TOWN)], ledger_of))]
            )
            if isinstance(one, Operated)
        )
        if len(calls) < frame:
            assert frame > 2, "the bundle has a segment and a pulse"
            break
        assert answer.error is not None
        assert dump(sea.town) == before
        assert sea.town.size(VILLAGE) == 0


def test_a_store_that_fails_at_the_commit_leaves_nothing_behind(
    sea: Archipelago, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills up while the bundle is imported; later it is imported as if nothing was."""
    written(sea.village, 3)
    data = sea.village.export(TOWN).data

    def full(*_arguments: object) -> None:
        raise HuyingError(Code.DISK_FULL, "SQLITE_FULL")

    with monkeypatch.context() as patch:
        patch.setattr("huying.node.store.bundle_ledger.SqlBundleLedger.add_imported_bundle", full)
        assert refusal(sea.town, data).code is Code.DISK_FULL
    assert sea.town.take_bundle(data).entries == 3


# Who may send.


def forged(
    sea: Archipelago, sender: str, signer: Signer, *, frames: tuple[bytes, ...] = (), **header
) -> bytes:
    """A bundle to the town by whoever holds these keys."""
    values = {"network": NETWORK, "sender": sender, "recipient": TOWN, "number": 1, **header}
    payload = bundle_pb2.BundlePayload(frames=frames, secret=bytes(16))
    made = bundle_pb2.BundleHeader(**values)
    return bundle.seal_bundle(made, payload, seal_key(TOWN).public_key, signer)[0]


def stranger(code: str, epoch: int = 1) -> Signer:
    return Signer.from_seed(f"{NETWORK}/feed/{code}/e{epoch}", KeyType.ORIGIN, b"\x09" * 32)


def test_a_bundle_counts_by_its_senders_key_alone(sea: Archipelago) -> None:
    """To seal something needs no secret; a stranger's bundle must not get past the signature."""
    beside = "370830108999"
    cases = {
        "another key under the village's name": (VILLAGE, stranger(VILLAGE), Code.BUNDLE_TAMPERED),
        "a later epoch that nobody named": (VILLAGE, stranger(VILLAGE, 2), Code.NOT_ENROLLED),
        "a node nobody knows": (beside, stranger(beside), Code.NOT_ENROLLED),
        "one node's bundle in another's name": (
            COUNTY,
            identity(VILLAGE).feed_signer,
            Code.BUNDLE_TAMPERED,
        ),
    }
    for what, (sender, signer, code) in cases.items():
        assert refusal(sea.town, forged(sea, sender, signer)).code is code, what


@pytest.mark.parametrize("what", ["a stranger's", "an old one"])
def test_no_bundle_is_the_parents_word_that_all_is_back(sea: Archipelago, what: str) -> None:
    """A node without a mark would go on behind what the bundle shows, and sign a size twice."""
    written(sea.town, 1)
    image = sea.town.store.image()
    old = sea.county.export(TOWN).data
    written(sea.town, 1, 1)
    sea.carry(sea.town, sea.county)
    mark = MemoryMark(identity(TOWN).origin)
    mark._mark = None
    restored = Far(TOWN, sea.clock, image, mark=mark)
    size = restored.size(TOWN)
    if what == "an old one":
        restored.take_bundle(old)
    else:
        frames = (hello(COUNTY).SerializeToString(),)
        data = forged(sea, COUNTY, stranger(COUNTY, 9), frames=frames)
        assert refusal(restored, data).code is Code.NOT_ENROLLED
    for _ in range(5):
        sea.clock.seconds += 100
        restored.engine.step([])
    assert (restored.engine.state, restored.size(TOWN)) == ("recovering", size)
    restored.take_bundle(sea.county.export(TOWN).data)
    assert restored.engine.recovery.needed_size() == sea.county.size(TOWN) > size
    restored.store.close()


def test_a_node_that_is_no_neighbour_gets_no_bundle_and_sends_none(sea: Archipelago) -> None:
    """A bundle goes where a link would: to the parent and to the children."""
    with pytest.raises(HuyingError) as caught:
        sea.county.export(VILLAGE)
    assert caught.value.code is Code.NOT_ENROLLED
    data = forged(sea, VILLAGE, identity(VILLAGE).feed_signer, recipient=COUNTY)
    assert refusal(sea.county, data).code is Code.NOT_ENROLLED


def test_a_bundle_of_another_network_is_not_for_us(sea: Archipelago) -> None:
    """Two districts may both have a stick lying about."""
    data = forged(sea, VILLAGE, identity(VILLAGE).feed_signer, network="elsewhere.example")
    assert refusal(sea.town, data).code is Code.BUNDLE_NOT_FOR_US


def test_without_a_key_to_seal_to_nothing_is_written(sea: Archipelago) -> None:
    """Rather no bundle than one that anybody can read."""
    pin = sea.village.engine.roster.pin(TOWN)
    assert pin is not None
    sea.village.engine.roster.describe(dataclasses.replace(pin, hpke_key=b""))
    before = dump(sea.village)
    with pytest.raises(HuyingError) as caught:
        sea.village.export(TOWN)
    assert caught.value.code is Code.KEY
    assert dump(sea.village) == before


# Hostile content, truly signed and sealed.


def sealed_content(sea: Archipelago, packed: bytes, size_bytes: int) -> bytes:
    signer = identity(VILLAGE).feed_signer
    header = bundle_pb2.BundleHeader(
        network=NETWORK,
        sender=VILLAGE,
        recipient=TOWN,
        origin=signer.name,
        number=1,
        payload_bytes=size_bytes,
    ).SerializeToString()
    label = b"huying/bundle/v1\n"
    sealed = hpke.seal(packed, seal_key(TOWN).public_key, label + header)
    signature = signer.sign_raw(label + header + hashlib.sha256(sealed).digest())
    made = bundle_pb2.Bundle(header=header, sealed=sealed, signature=signature)
    return b"HUYINGB1" + made.SerializeToString()


def test_a_bomb_is_refused_before_it_is_unpacked(
    sea: Archipelago, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes may say that they are gigabytes, or not say it."""
    monkeypatch.delattr(zstandard, "ZstdDecompressor")
    large = 256 * limits.MIB
    bomb = zstandard.ZstdCompressor().compress(bytes(large))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(limits.MIB))
    for packed, size_bytes in (
        (bomb, large),
        (bomb, limits.BUNDLE_PAYLOAD_BYTES_MAX),
        (bomb, 100),
        (silent, limits.MIB),
    ):
        error = refusal(sea.town, sealed_content(sea, packed, size_bytes))
        assert error.code is Code.BUNDLE_TAMPERED


def test_content_that_does_not_unpack_is_refused(sea: Archipelago) -> None:
    """No frame of zstd, no message, or more than one."""
    for packed, size_bytes in (
        (b"", 0),
        (b"not a frame at all", 18),
        (zstandard.ZstdCompressor().compress(b"\xff" * 40), 40),
        (zstandard.ZstdCompressor().compress(b"") * 2, 0),
        (zstandard.ZstdCompressor().compress(b""), 0),
    ):
        error = refusal(sea.town, sealed_content(sea, packed, size_bytes))
        assert error.code is Code.BUNDLE_TAMPERED


@pytest.mark.parametrize(
    "frames",
    [
        (b"\xff\xff",),
        (sync_pb2.Frame(ack=sync_pb2.Ack(origin="x")).SerializeToString(),),
        (
            sync_pb2.Frame(
                hello=sync_pb2.Hello(version_min=9, version_max=9, network=NETWORK, code=VILLAGE)
            ).SerializeToString(),
        ),
        (
            sync_pb2.Frame(
                hello=sync_pb2.Hello(version_min=1, version_max=1, network=NETWORK, code=COUNTY)
            ).SerializeToString(),
        ),
        (bytes(limits.FRAME_BYTES_MAX + 1),),
    ],
)
def test_frames_that_no_honest_node_writes_are_refused_whole(
    sea: Archipelago, frames: tuple[bytes, ...]
) -> None:
    """A neighbour that turned hostile can at worst waste its own bundle."""
    refusal(sea.town, forged(sea, VILLAGE, identity(VILLAGE).feed_signer, frames=frames))


def test_a_number_that_no_counter_reaches_is_refused(sea: Archipelago) -> None:
    """It would not fit the database, and a node must not stop for it."""
    signer = identity(VILLAGE).feed_signer
    headers: list[dict[str, Any]] = [{"number": 2**63}, {"number": 0}, {"number": 5, "after": 5}]
    for header in headers:
        assert refusal(sea.town, forged(sea, VILLAGE, signer, **header)).code is (
            Code.BUNDLE_TAMPERED
        )
