"""Bundles: writing one for a neighbour, reading one, and taking what acknowledges it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from huying.common.bundles.bundle_import import ImportBundle, Imported
from huying.common.bundles.bundle_receipt import Taken, TakeReceipt, TakeShortCode
from huying.common.bundles.carriage import ExportBundle, Exported
from huying.common.codes import parse_code
from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.limits import BUNDLE_SECRET_BYTES
from huying.common.ports import Store
from huying.node import keys, renewal
from huying.node.store.bundle_ledger import SqlBundleLedger
from huying.node.store.store import SqlStore
from huying.wire.v1 import admin_pb2

if TYPE_CHECKING:
    from huying.node.admin import AdminNode

__all__ = ["export_bundle", "import_bundle", "take_receipt"]


def _open_ledger(store: Store) -> SqlBundleLedger:
    assert isinstance(store, SqlStore), "a node has no other"
    return SqlBundleLedger(store)


async def export_bundle(
    node: AdminNode, request: admin_pb2.ExportBundleRequest
) -> admin_pb2.ExportBundleResponse:
    """Write the next bundle for a neighbour. Raises HuyingError as `ExportBundle.run`."""
    operation = ExportBundle(
        recipient=parse_code(request.recipient, "recipient"),
        secret=secrets.token_bytes(BUNDLE_SECRET_BYTES),
        open_ledger=_open_ledger,
        after_last=request.after_last,
        from_start=request.from_start,
    )
    done = await node.runtime.operate(operation)
    assert isinstance(done, Exported)
    return admin_pb2.ExportBundleResponse(
        bundle=done.data, number=done.number, entries=done.entries, more=done.more
    )


async def import_bundle(
    node: AdminNode, request: admin_pb2.ImportBundleRequest
) -> admin_pb2.ImportBundleResponse:
    """Read a bundle, all of it or nothing. Raises HuyingError as `ImportBundle.run`, or KEY."""
    own = await asyncio.to_thread(_seal_keys, node)
    done = await node.runtime.operate(ImportBundle(request.bundle, own, _open_ledger))
    assert isinstance(done, Imported)
    return admin_pb2.ImportBundleResponse(
        sender=done.sender,
        number=done.number,
        entries=done.entries,
        receipt=done.receipt,
        short_code=done.code,
        skipped=done.skipped,
    )


def _seal_keys(node: AdminNode) -> list[SealKey]:
    """The keys that a bundle may be sealed to: one may have been written before a rotation."""
    folder = node.config.keys_dir
    known = [keys.load_hpke(folder), *renewal.former_hpke(folder)]
    return [SealKey(one.private_key) for one in known]


async def take_receipt(
    node: AdminNode, request: admin_pb2.TakeBundleReceiptRequest
) -> admin_pb2.TakeBundleReceiptResponse:
    """Take a receipt file, or a short code with the recipient's division code.

    Raises HuyingError as `TakeReceipt.run` and `TakeShortCode.run`; INVALID_ARGUMENT where it is
    neither or both.
    """
    if bool(request.receipt) == bool(request.short_code):
        raise HuyingError(Code.INVALID_ARGUMENT, "receipt: either the file, or a short code")
    operation: TakeReceipt | TakeShortCode = TakeReceipt(request.receipt, _open_ledger)
    if request.short_code:
        recipient = parse_code(request.recipient, "recipient")
        operation = TakeShortCode(recipient, request.short_code, _open_ledger)
    done = await node.runtime.operate(operation)
    assert isinstance(done, Taken)
    return admin_pb2.TakeBundleReceiptResponse(
        recipient=done.recipient, number=done.number, outstanding=done.outstanding
    )
