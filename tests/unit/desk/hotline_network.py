"""The trusted network with a desk at every node: handlers are asked as the API asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from huying.common.effects import AppendReceipt, DraftEntry, Operation
from huying.common.orders import order_record
from huying.hub.desk import hotline as desk
from huying.node import keys, logs, renewal
from huying.node.desk import hotline as node_desk
from huying.node.store.database import sqlite_url
from huying.node.store.reader import FileReader
from huying.node.store.store import SqlStore
from huying.wire.v1 import hotline_pb2
from tests.support import trusted_network
from tests.support.carried_network import seal_key, sealed_pin
from tests.support.tiny_network import COUNTY, NETWORK, VILLAGE
from tests.support.trusted_network import OTHER, Network

CREATED = 1_699_000_000_000_000  # unix microseconds, before the network's clock
PHONE = "16012345678"
FIRST = order_record("12345", "000001")
NEW, CHANGED, SAME, ERASED, REFUSED = 1, 2, 3, 4, 5  # what became of a row


class _Runtime:
    """`Runtime` over one engine; what it writes has travelled when it returns."""

    def __init__(self, network: Network, code: str) -> None:
        self._network = network
        self._code = code
        self.appends: list[int] = []  # how many drafts each was of

    async def append(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        self.appends.append(len(drafts))
        answer = self._network.write(self._code, *drafts)
        if answer.error is not None:
            raise answer.error
        return answer.receipts

    async def operate(self, operation: Operation) -> Any:
        answer = self._network.operate(self._code, operation)
        if answer.error is not None:
            raise answer.error
        return answer.result


class HotlineNetwork:
    """County, town, two villages. The county knows the villages' keys by their parent's word."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        files = iter(range(100))
        self.files: list[Path] = []

        def open_store() -> SqlStore:
            self.files.append(folder / f"{next(files)}.db")
            return SqlStore.open(sqlite_url(self.files[-1]))

        patch.setattr(trusted_network, "SqlStore", SimpleNamespace(open=open_store))
        patch.setattr(trusted_network, "pin", sealed_pin)
        patch.setattr(keys, "load_hpke", lambda code: SimpleNamespace(private_key=_private(code)))
        patch.setattr(renewal, "former_hpke", lambda _code: [])
        self.said: list[tuple[str, dict[str, object]]] = []
        patch.setattr(logs, "say", lambda event, **values: self.said.append((event, values)))
        self.network = Network()
        self.nodes: dict[str, Any] = {}
        for code, path in zip(self.network.nodes, self.files, strict=True):
            self.nodes[code] = SimpleNamespace(
                config=SimpleNamespace(
                    node=SimpleNamespace(code=code, network=NETWORK), keys_dir=code
                ),
                runtime=_Runtime(self.network, code),
                reader=FileReader(sqlite_url(path)),
            )
        for code in (VILLAGE, OTHER):
            self.network.engine(COUNTY).roster.add(sealed_pin(code))

    def close(self) -> None:
        for node in self.nodes.values():
            node.reader.close()
        self.network.close()

    def file(self, code: str) -> Path:
        return self.files[list(self.network.nodes).index(code)]

    def ask(self, code: str, method: str, request: Any) -> Any:
        module: Any = desk if hasattr(desk, method) and method in desk.__all__ else node_desk
        return asyncio.run(getattr(module, method)(self.nodes[code], request))

    def imports(self, *orders: hotline_pb2.Order, **options: Any):
        """The county imports orders; row numbers from 2."""
        request = hotline_pb2.ImportOrdersRequest(**options)
        for number, one in enumerate(orders, 2):
            request.rows.add(number=number, order=one)
        return self.ask(COUNTY, "import_orders", request)

    def show(self, code: str, record: bytes):
        return self.ask(code, "show_order", hotline_pb2.ShowOrderRequest(record=record))

    def orders(self, code: str, **wish: Any):
        found = self.ask(code, "list_orders", hotline_pb2.ListOrdersRequest(**wish))
        return list(found.orders)

    def step(self, code: str, method: str, record: bytes, **said: Any):
        return self.ask(code, method, hotline_pb2.OrderStepRequest(record=record, **said))

    def assign(self, record: bytes, handler: str):
        request = hotline_pb2.AssignOrderRequest(record=record, handler=handler, actor="c1")
        return self.ask(COUNTY, "assign_order", request)

    def size(self, code: str = COUNTY) -> int:
        """Entries of a node's own feed."""
        return self.network.held(code, trusted_network.origin(code, 1))


def _private(code: Any) -> bytes:
    return seal_key(str(code))._private_key.private_bytes_raw()


def order(number: int = 1, *, handler: str = VILLAGE, **fields: Any) -> hotline_pb2.Order:
    return hotline_pb2.Order(
        **{
            "source": "12345",
            "source_id": f"{number:06d}",
            "handler": handler,
            "category": "路灯",
            "descriptor": f"第{number}号路灯不亮",
            "created_micros": CREATED + number,
            "contact_name": f"来电人{number}生成",
            "contact_phone": PHONE,
            "contact_address": f"生成路{number}号",
            **fields,
        }
    )


def outcomes(response: Any) -> list[int]:
    """What became of each row of an import."""
    return [row.outcome for row in response.rows]
