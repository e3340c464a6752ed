"""The village's own part: answers what was asked of it, while the node serves.

Questions arrive as entries of the nodes above. Each is answered once; one that came too early is
answered when its month is over, so the list is gone through every hour as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from huying.common.census.tally import tally_draft
from huying.common.census.template import months_over
from huying.common.errors import Code, HuyingError
from huying.node import logs
from huying.node.background import end_task
from huying.node.census.census_count import Home, unanswered, work_out
from huying.node.census.census_templates import answered_names, shipped
from huying.wire.v1 import census_pb2

if TYPE_CHECKING:
    from huying.node.services import Node

__all__ = ["CensusAnswers"]

HOUR_SECONDS: Final = 3600.0
GATHER_SECONDS: Final = 0.2  # a register that is being entered changes many times a second


class CensusAnswers:
    """Runs beside the API of a village."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reader = node.reader
        self._task: asyncio.Task[None] | None = None
        self._mark: object = None  # of the questions gone through
        self._due = 0.0  # monotonic

    async def start(self) -> None:
        """See `services.Component`."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """See `services.Component`."""
        await end_task(self._task)

    async def _follow(self) -> None:
        seen = -1
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HOUR_SECONDS):
                    seen = await self._node.runtime.wait_change(seen)
            await asyncio.sleep(GATHER_SECONDS)
            try:
                mark = await asyncio.to_thread(self._reader.questions_mark)
                now = self._node.clock.monotonic()
                if mark != self._mark or now >= self._due:
                    await self.run_once()
                    self._mark, self._due = mark, now + HOUR_SECONDS
            except HuyingError as error:
                # A node that recovers, or drains, answers later.
                logs.say("questions_wait", code=error.code.name, detail=error.detail)
                self._mark = None
            except Exception as error:  # noqa: BLE001  # a defect must not end all answers
                # Its words stay out of the log, since they may quote a record.
                logs.say("questions_wait", code="UNKNOWN", detail=type(error).__name__)
                self._mark = None

    async def run_once(self) -> int:
        """Answer what is open now; how many. Raises as the engine refuses to write."""
        home = self._home()
        answers = 0
        for asked, verdict in await asyncio.to_thread(lambda: list(unanswered(self._reader, home))):
            tally = await asyncio.to_thread(work_out, self._reader, home, asked, verdict)
            try:
                receipts = await self._node.runtime.append([tally_draft(tally)])
            except HuyingError as error:
                if error.code is not Code.INVALID_ARGUMENT:
                    raise
                # A question whose own words can't stand in a record must not hold up the others.
                logs.say("question_not_answered", detail=error.detail)
                continue
            if not receipts[0].repeated:
                answers += 1
                logs.say(
                    "question_answered",
                    template=tally.template,
                    month=tally.month,
                    verdict=census_pb2.TallyVerdict.Name(tally.verdict),
                )
        return answers

    def _home(self) -> Home:
        return Home(
            code=self._node.config.node.code,
            templates=shipped(),
            answered=answered_names(self._node.config.ask),
            months=months_over(int(self._node.clock.now() * 1e6)),
        )
