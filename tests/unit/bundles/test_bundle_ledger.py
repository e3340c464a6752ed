"""The bookkeeping of bundles in the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common.bundles.bundle_ledger import BundlePeer, SentBundle
from huying.common.errors import Code, HuyingError
from huying.node.store.bundle_ledger import SENT_KEPT_MAX, SqlBundleLedger
from huying.node.store.store import SqlStore
from tests.support.tiny_network import COUNTY, TOWN, identity

SIZES = {identity(COUNTY).origin: 7, identity(TOWN).origin: 2**40}


@pytest.fixture
def store() -> Iterator[SqlStore]:
    made = SqlStore.open()
    yield made
    made.close()


def test_what_is_kept_is_read_back_by_neighbour(store: SqlStore) -> None:
    """Two neighbours have two counts."""
    ledger = SqlBundleLedger(store)
    assert ledger.bundle_peer(TOWN) == BundlePeer(TOWN)
    peer = BundlePeer(TOWN, 9, 7, SIZES, 3, (b"a want", b""))
    sent = SentBundle(TOWN, 1, bytes(32), bytes(16), SIZES)
    with store.transaction():
        ledger.put_bundle_peer(BundlePeer(TOWN))
        ledger.put_bundle_peer(peer)
        ledger.add_sent_bundle(sent, 1.0)
        ledger.add_imported_bundle(TOWN, 3, b"digest", 1.0)
    assert ledger.bundle_peer(TOWN) == peer
    assert ledger.sent_bundles(TOWN) == [sent]
    assert ledger.imported_bundle(TOWN, 3) == b"digest"
    assert ledger.bundle_peer(COUNTY) == BundlePeer(COUNTY)
    assert ledger.sent_bundles(COUNTY) == []
    assert ledger.imported_bundle(COUNTY, 3) is None


def test_of_what_was_written_the_newest_are_kept(store: SqlStore) -> None:
    """A neighbour that never answers must not fill the disk."""
    ledger = SqlBundleLedger(store)
    with store.transaction():
        for number in range(1, SENT_KEPT_MAX + 11):
            ledger.add_sent_bundle(SentBundle(TOWN, number, b"", b"", SIZES), 1.0)
    kept = [sent.number for sent in ledger.sent_bundles(TOWN)]
    assert kept == list(range(SENT_KEPT_MAX + 10, 10, -1))


def test_a_transaction_that_fails_takes_its_bookkeeping_along(store: SqlStore) -> None:
    """A number without its entries would make a gap that nobody can fill."""
    ledger = SqlBundleLedger(store)

    def interrupted() -> None:
        with store.transaction():
            ledger.put_bundle_peer(BundlePeer(TOWN, 9))
            ledger.add_imported_bundle(TOWN, 3, b"digest", 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert ledger.bundle_peer(TOWN) == BundlePeer(TOWN)
    assert ledger.imported_bundle(TOWN, 3) is None


def test_bookkeeping_that_does_not_parse_is_named(store: SqlStore) -> None:
    """A disk that changed a byte must not look like a neighbour that holds nothing."""
    with store.transaction():
        row = (TOWN, 1, 1, 1, b"\xff", b"")
        store.write("INSERT INTO bundle_peers VALUES (?, ?, ?, ?, ?, ?)", [row])
    with pytest.raises(HuyingError) as caught:
        SqlBundleLedger(store).bundle_peer(TOWN)
    assert caught.value.code is Code.CORRUPT
