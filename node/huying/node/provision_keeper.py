"""What a node does about provisions by itself: rules, expiry, and the end of what was sealed.

At the home a request that can't be met is denied, and one that a rule allows is met; what was
sealed is erased, everywhere, when its time is over. At the asking node what was sealed goes when
the time is over by its own clock, or the home took it back, and a receipt says so. Everything is
decided again inside the engine's transaction, so a person who is quicker wins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from huying.common.effects import Operation
from huying.common.errors import Code, HuyingError
from huying.common.limits import PROVISION_SECONDS_MAX
from huying.common.provisions.asker import DropProvision
from huying.common.provisions.home import EndProvision, SettleProvision
from huying.node import logs
from huying.node.background import end_task
from huying.node.provision_rules import CallFacts, ProvisionRule, first_match
from huying.node.store.provision_queries import DueProvision, Provision
from huying.node.store.reader import Reader
from huying.wire.v1 import calls_pb2

if TYPE_CHECKING:
    from huying.node.services import Node

__all__ = ["WAITING", "Keeper", "ProvisionKeeper"]

WAITING: Final = "provisions_waiting"  # the count that the metrics show
ROUND_SECONDS_MAX: Final = 60.0  # a clock that is set, or a call that moved, is noticed by then
ROUND_SECONDS_MIN: Final = 1.0  # between two rounds, however much changes
RETRY_SECONDS: Final = 5.0
WAITING_MAX: Final = 1000  # looked at in one round
# A receipt is owed for what ran out since; longer ago than anything may last.
_HORIZON_MICROS: Final = int(2 * PROVISION_SECONDS_MAX * 1_000_000)
# What concerns one provision alone, and does not keep the others waiting.
_OF_ONE: Final = frozenset(
    {Code.NOT_FOUND, Code.WRONG_STAGE, Code.KEY, Code.ENTRY_TOO_LARGE, Code.INVALID_ARGUMENT}
)


class Operates(Protocol):
    """What of the runtime is used here."""

    async def operate(self, operation: Operation) -> Any:
        """Run one operation in a transaction of its own."""
        ...


class Keeper:
    """One node's rounds. `reader` blocks, so it is asked on a thread."""

    def __init__(
        self, own: str, rules: Sequence[ProvisionRule], reader: Reader, runtime: Operates
    ) -> None:
        """`own` is the node's division code."""
        self.own = own
        self.rules = rules
        self.reader = reader
        self.runtime = runtime
        self._judged: set[bytes] = set()  # requests that nothing stood against when they came
        self._failed: set[bytes] = set()  # that a rule could not give: for a person

    async def round(self, now_micros: int) -> tuple[int, int]:
        """Do what is due; how many requests wait now, and when the next thing runs out.

        Times are unix microseconds; 0: nothing runs out. Raises as the engine refuses to write.
        """
        ends = [await self._decide(now_micros), await self._end(now_micros)]
        waiting = await asyncio.to_thread(self.reader.count_undecided, self.own)
        return waiting, min((end for end in ends if end), default=0)

    async def _try(self, record: bytes, operation: Operation) -> Any:
        try:
            return await self.runtime.operate(operation)
        except HuyingError as error:
            if error.code not in _OF_ONE:
                raise
            if error.code is not Code.WRONG_STAGE:  # which is: a person was quicker
                logs.say(
                    "provision_failed",
                    provision=record.hex(),
                    code=error.code.name,
                    detail=error.detail,
                )
            self._failed.add(record)
            return None

    # At the home.

    async def _decide(self, now: int) -> int:
        """Deny and give where no person has to; when the first that still waits runs out."""
        found = await asyncio.to_thread(self.reader.undecided_provisions, self.own, WAITING_MAX)
        ends = 0
        for one in found:
            over = now >= one.request.expires_micros
            if not over:
                ends = min(ends or one.request.expires_micros, one.request.expires_micros)
            rule = ""
            if self.rules and one.record not in self._failed:
                rule = await asyncio.to_thread(self._rule, one)
            if not rule and not over and one.record in self._judged:
                continue
            self._judged.add(one.record)
            await self._try(one.record, SettleProvision((one.origin, one.index), rule))
        return ends

    def _rule(self, one: Provision) -> str:
        """The name of the rule that allows it. Blocks."""
        request, facts = one.request, None
        found = None
        if request.call and request.caller:
            found = self.reader.get_call(request.call, request.caller)
        if found is not None:
            row = found[0]
            content = calls_pb2.Call.FromString(row.message)
            facts = CallFacts(row.sequencer, row.department, row.stage, content)
        keys = [
            each.hpke_key
            for _, each in self.reader.departments(one.asker)
            if each.name == request.department and not each.closed
        ]
        return first_match(
            self.rules,
            request,
            asker=one.asker,
            own=self.own,
            call=facts,
            published_keys=keys,
        )

    # At both ends.

    async def _end(self, now: int) -> int:
        """End what is over; when the first that still runs will be."""
        found = await asyncio.to_thread(self.reader.due_provisions, self.own, now - _HORIZON_MICROS)
        ends = 0
        for due in found:
            if due.withdrawn or now >= due.until_micros:
                await self._end_one(due)
            else:
                ends = min(ends or due.until_micros, due.until_micros)
        return ends

    async def _end_one(self, due: DueProvision) -> None:
        one = await asyncio.to_thread(self.reader.get_provision, due.record)
        if one is None:
            return
        approval = None if one.approval is None else (one.approval.origin, one.approval.index)
        if due.home == self.own and due.sealed and approval is not None:
            await self._try(one.record, EndProvision(approval))
        if due.asker == self.own:
            await self._try(one.record, DropProvision((one.origin, one.index), approval))


class ProvisionKeeper:
    """Makes the rounds while the node serves."""

    def __init__(self, node: Node) -> None:
        self._node = node
        rules = node.config.disclosure.rule or ()
        self._keeper = Keeper(node.config.node.code, rules, node.reader, node.runtime)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See `services.Component`."""
        self._task = asyncio.create_task(self._go_round())

    async def stop(self) -> None:
        """See `services.Component`."""
        await end_task(self._task)

    async def _go_round(self) -> None:
        clock, runtime = self._node.clock, self._node.runtime
        seen = -1
        while True:
            wait_seconds = ROUND_SECONDS_MAX
            try:
                waiting, ends = await self._keeper.round(int(clock.now() * 1e6))
                self._node.counts[WAITING] = waiting
                if ends:
                    wait_seconds = min(wait_seconds, max(0.0, ends / 1e6 - clock.now()))
            except HuyingError as error:
                # A node that recovers, or has just started, does it in one of the next rounds.
                logs.say("provisions_failed", code=error.code.name, detail=error.detail)
                wait_seconds = RETRY_SECONDS
            except Exception as error:  # noqa: BLE001  # a defect here must not let values outlive
                # Its words stay out of the log, since they may quote a record.
                logs.say("provisions_failed", code="UNKNOWN", detail=type(error).__name__)
            await asyncio.sleep(ROUND_SECONDS_MIN)
            with contextlib.suppress(TimeoutError):
                seen = await asyncio.wait_for(runtime.wait_change(seen), wait_seconds)
