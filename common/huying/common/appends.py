"""What this node writes into its own feed: requests that wait, their checks, the sequencer's word.

A request is written within the transaction that it comes in. It waits while the parent has not yet
said what it holds of this feed, and is refused while the node must not write at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from huying.common import limits
from huying.common.effects import Append, Appended, AppendReceipt, DraftEntry, Operated
from huying.common.errors import STORE_FAULTS, Code, HuyingError
from huying.common.ports import Sequencer
from huying.wire.v1 import feed_pb2

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["Appends"]

SEQUENCED_MAX: Final = 1024  # steps a sequencer writes in one transaction

# Why nothing is written, by the node's state.
_REFUSALS: Final = {
    "recovering": Code.RECOVERING,
    "forked": Code.FORKED,
    "draining": Code.DRAINING,
}


class Appends:
    """The writing side of one engine."""

    def __init__(self, engine: Engine, sequencer: Sequencer | None) -> None:
        self.waiting: list[Append] = []  # until the parent has confirmed this feed
        self._engine = engine
        self._sequencer = sequencer
        self._sequence_due = sequencer is not None

    def take_back(self, waiting: Sequence[Append]) -> None:
        """A transaction failed: wait again for what waited before it."""
        self.waiting = list(waiting)
        self.sequence_soon()

    def sequence_soon(self) -> None:
        """Ask the sequencer at the next opportunity, whatever that brings."""
        self._sequence_due = self._sequencer is not None

    def take(self, one: Append, answers: list[Appended | Operated]) -> None:
        """Write a request now, or let it wait for the parent's word."""
        engine = self._engine
        if engine.state not in ("live", "starting") or engine.confirmed:
            answers.append(self._append(one))
        elif len(self.waiting) >= limits.APPEND_QUEUE_MAX:
            busy = HuyingError(Code.BUSY, f"{limits.APPEND_QUEUE_MAX} requests wait")
            answers.append(Appended(one.token, error=busy))
        else:
            self.waiting.append(one)

    def write_waiting(self, answers: list[Appended | Operated]) -> None:
        """The node may write now: what waited first."""
        waiting, self.waiting = self.waiting, []
        answers.extend(self._append(one) for one in waiting)

    def _append(self, one: Append) -> Appended:
        refusal = _REFUSALS.get(self._engine.state)
        if refusal is not None:
            return Appended(one.token, error=HuyingError(refusal, self._engine.identity.code))
        try:
            return Appended(one.token, self._write(one.drafts))
        except HuyingError as error:
            if error.code in STORE_FAULTS:
                raise
            return Appended(one.token, error=error)

    def _write(self, drafts: Sequence[DraftEntry]) -> tuple[AppendReceipt, ...]:
        """Append all drafts, or none, with what the sequencer adds; a receipt for each draft.

        Of two who move one call at once, the first wins and the second is told why. Whoever
        drafted the step read the call before; only here does nothing come in between. Raises as
        `Replica.append` and `Sequencer.complete`.
        """
        replica = self._engine.replica
        if self._sequencer is None:
            return replica.append(drafts)
        completed: list[DraftEntry] = []
        asked: list[int] = []  # where each draft stands among the completed ones
        requests: set[bytes] = set()
        for draft in drafts:
            asked.append(len(completed))
            is_step = draft.type == feed_pb2.RECORD_TYPE_CALL_STEP
            again = draft.request_id in requests or replica.known_request(draft.request_id)
            if is_step and not again:
                self.project()
                completed.extend(self._sequencer.complete(draft, completed))
            else:
                completed.append(draft)
            if draft.request_id:
                requests.add(draft.request_id)
        receipts = replica.append(completed)
        return tuple(receipts[at] for at in asked)

    def project(self) -> None:
        """Bring the projections up to date within the transaction."""
        calls = (feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP)
        if any(entry.head.type in calls for entry in self._engine.replica.flush()):
            self.sequence_soon()

    def say_what_is_owed(self) -> None:
        """Confirm in the own feed what children said of their own keys."""
        engine = self._engine
        if engine.state == "live" and engine.confirmed and (owed := engine.epochs.owed()):
            engine.replica.append(owed)
            self.project()

    def sequence(self) -> None:
        """Let the sequencer answer the proposals that this transaction brought."""
        self.project()
        engine = self._engine
        if self._sequencer is None or engine.state != "live" or not engine.confirmed:
            return
        if not self._sequence_due:
            return
        drafts = self._sequencer.take(SEQUENCED_MAX)
        self._sequence_due = len(drafts) >= SEQUENCED_MAX
        for draft in drafts:
            try:
                engine.replica.append((draft,))
            except HuyingError as error:
                if error.code in STORE_FAULTS:
                    raise
                # A proposal that can't be answered must not keep the others waiting.
                engine.alarm(error.code, feed=engine.identity.origin, detail=error.detail)
