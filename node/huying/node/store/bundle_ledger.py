"""The bookkeeping of bundles: `huying.common.bundles.bundle_ledger` over the writer's connection.

Every neighbour has one row. Of the bundles written for it the newest are kept: as far back
a short code can still be told. Of those imported it is the number and the hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError
from sqlalchemy import bindparam, delete, desc, select

from huying.common.bundles.bundle_ledger import BundlePeer, SentBundle
from huying.common.errors import Code, HuyingError
from huying.node.store.schema import BUNDLE_PEERS, BUNDLES_IMPORTED, BUNDLES_SENT
from huying.node.store.statements import compile_sql, insert_sql, upsert_sql
from huying.node.store.store import SqlStore
from huying.wire.v1 import bundle_pb2, sync_pb2

__all__ = ["SqlBundleLedger"]

SENT_KEPT_MAX: Final = 64  # a bundle a day: two months without an acknowledgement


class SqlBundleLedger:
    """See `huying.common.bundles.bundle_ledger.BundleLedger`."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._dialect = store.dialect

    def bundle_peer(self, code: str) -> BundlePeer:
        """See `BundleLedger`. Raises HuyingError(CORRUPT)."""
        rows = self._store.select(select(BUNDLE_PEERS).where(BUNDLE_PEERS.c.code == code))
        if not rows:
            return BundlePeer(code)
        (row,) = rows
        frames = _parse(bundle_pb2.BundlePayload, row.wants).frames
        return BundlePeer(
            code, row.exported, row.confirmed, _unpack(row.acked), row.imported, tuple(frames)
        )

    def put_bundle_peer(self, peer: BundlePeer) -> None:
        """See `BundleLedger`."""
        wants = bundle_pb2.BundlePayload(frames=peer.wants).SerializeToString()
        row = (peer.code, peer.exported, peer.confirmed, peer.imported, _pack(peer.acked), wants)
        self._store.write(upsert_sql(BUNDLE_PEERS, self._dialect), [row])

    def sent_bundles(self, code: str) -> list[SentBundle]:
        """See `BundleLedger`. Raises HuyingError(CORRUPT)."""
        rows = self._store.select(
            select(BUNDLES_SENT)
            .where(BUNDLES_SENT.c.code == code)
            .order_by(desc(BUNDLES_SENT.c.number))
        )
        return [
            SentBundle(code, row.number, row.sha256, row.secret, _unpack(row.sizes)) for row in rows
        ]

    def add_sent_bundle(self, bundle: SentBundle, now: float) -> None:
        """See `BundleLedger`."""
        row = (bundle.code, bundle.number, bundle.digest, bundle.secret, _pack(bundle.sizes), now)
        self._store.write(insert_sql(BUNDLES_SENT, self._dialect), [row])
        old = delete(BUNDLES_SENT).where(
            BUNDLES_SENT.c.code == bindparam("code"), BUNDLES_SENT.c.number <= bindparam("upto")
        )
        sql = compile_sql(old, self._dialect, ["code", "upto"])
        self._store.write(sql, [(bundle.code, bundle.number - SENT_KEPT_MAX)])

    def imported_bundle(self, code: str, number: int) -> bytes | None:
        """See `BundleLedger`."""
        rows = self._store.select(
            select(BUNDLES_IMPORTED.c.sha256).where(
                BUNDLES_IMPORTED.c.code == code, BUNDLES_IMPORTED.c.number == number
            )
        )
        return rows[0][0] if rows else None

    def add_imported_bundle(self, code: str, number: int, digest: bytes, now: float) -> None:
        """See `BundleLedger`."""
        sql = insert_sql(BUNDLES_IMPORTED, self._dialect)
        self._store.write(sql, [(code, number, digest, now)])


def _pack(sizes: Mapping[str, int]) -> bytes:
    held = [sync_pb2.Held(origin=origin, size=size) for origin, size in sorted(sizes.items())]
    return sync_pb2.Hello(held=held).SerializeToString()


def _unpack(data: bytes) -> dict[str, int]:
    return {held.origin: held.size for held in _parse(sync_pb2.Hello, data).held}


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise HuyingError(Code.CORRUPT, "the bundles' bookkeeping does not parse") from None
