"""Calls in every state of a queue, taken there by the API, beside the consoles that show them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huying.common.errors import HuyingError
from huying.wire.v1 import api_pb2, calls_pb2
from tests.support.tiny_network import COUNTY, TOWN
from tests.unit.console.call_console import CallConsoles, call_consoles

DAY = 86_400.0


class QueueDesk:
    """Moves calls on; `consoles` show them."""

    def __init__(self, consoles: CallConsoles) -> None:
        self.consoles = consoles
        self.served = consoles.served
        self._clients = {code: self.served.client(code) for code in (COUNTY, TOWN)}
        self._number = 0

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def now(self) -> float:
        return self.served.network.clock.seconds

    def raise_call(self, title: str, *steps: dict[str, Any], **fields: Any) -> str:
        """A call that took these steps, each `{kind: content}` of the county; its hex id."""
        call = self.consoles.raise_call(title, **fields)
        for step in steps:
            self.step(call, COUNTY, **step)
        return call

    def step(self, call: str, at: str = COUNTY, **kind: Any) -> None:
        """One step at a node. Raises HuyingError."""
        self._number += 1
        step = calls_pb2.CallStep(call=bytes.fromhex(call), actor="测-01", **kind)
        request = api_pb2.TakeCallStepRequest(
            step=step, request_id=self._number.to_bytes(16, "big")
        )
        self._clients[at].take_call_step(request)

    def refuses(self, call: str, **kind: Any) -> bool:
        try:
            self.step(call, COUNTY, **kind)
        except HuyingError:
            return True
        return False

    def view(self, call: str) -> api_pb2.CallView:
        return self._clients[COUNTY].get_call(api_pb2.GetCallRequest(call=bytes.fromhex(call)))

    def pass_time(self, seconds: float) -> None:
        """The clock goes on; no timer runs here, so what ran out is not written."""
        self.served.network.clock.seconds += seconds

    def urges(self, call: str) -> int:
        return self.view(call).urges


def dispatch(department: str, *helpers: str, **fields: Any) -> dict[str, Any]:
    return {"dispatch": {"department": department, "co_handlers": list(helpers), **fields}}


@contextmanager
def queue_desk(folder: Path) -> Iterator[QueueDesk]:
    with call_consoles(folder) as consoles:
        desk = QueueDesk(consoles)
        try:
            yield desk
        finally:
            desk.close()
