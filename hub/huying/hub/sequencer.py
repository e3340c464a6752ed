"""The answering node's part in a call: every proposal that arrives is judged, in one order.

The engine asks for drafts inside the transaction that applied the proposals, and appends them in
the same one, so a proposal is stored and judged together or not at all. Drafts of one batch are
folded as they are made: of two confirmations that arrive together the second meets the state that
the first left.
"""

from __future__ import annotations

from typing import Protocol

from huying.common.call_drafts import answer_draft, dispatch_draft, took_draft
from huying.common.calls import (
    CallState,
    Proposal,
    SequencedStep,
    advance,
    check_own_step,
    fold,
    judge,
)
from huying.common.effects import DraftEntry
from huying.common.ports import Clock
from huying.wire.v1 import calls_pb2

__all__ = ["CallSequencer", "ProposalStore", "answer_draft", "dispatch_draft"]

_CallKey = tuple[str, bytes]  # caller and id


class ProposalStore(Protocol):
    """What the sequencer asks of the store, inside the engine's transaction."""

    def pending_proposals(self, sequencer: str, limit: int) -> list[Proposal]:
        """Proposals of calls whose sequencer is that node, on which it has written no `took`.

        At most `limit`; those of one feed in the order of their indexes.
        """
        ...

    def sequenced_steps(self, sequencer: str, caller: str, call: bytes) -> list[SequencedStep]:
        """Everything the sequencer wrote about that call, by epoch and index."""
        ...


class CallSequencer:
    """Judges what is pending. Holds no state: all of it is in the feeds."""

    def __init__(self, code: str, store: ProposalStore, clock: Clock) -> None:
        self._code = code
        self._store = store
        self._clock = clock

    def take(self, limit: int) -> list[DraftEntry]:
        """A `took` for each pending proposal, at most `limit`, in the order to be appended.

        The caller appends them in the transaction it is in. A proposal that an earlier took names
        gets none: it has its answer.
        """
        states: dict[_CallKey, CallState] = {}
        drafts: list[DraftEntry] = []
        for proposal in self._store.pending_proposals(self._code, limit):
            key = (proposal.caller, proposal.call)
            state = states.get(key)
            if state is None:
                state = fold(self._store.sequenced_steps(self._code, *key))
            if (proposal.origin, proposal.index) not in state.taken:
                verdict = judge(state, proposal.home, proposal.message)
                draft = took_draft(self._code, state, proposal, verdict)
                drafts.append(draft)
                assert isinstance(draft.message, calls_pb2.CallStep)
                # Its index is given when it is appended; no verdict depends on it.
                state = advance(state, SequencedStep(-1, draft.message))
            states[key] = state
        return drafts

    def complete(self, draft: DraftEntry) -> DraftEntry:
        """See `huying.common.ports.Sequencer`. Raises as `check_own_step`."""
        step = draft.message
        if isinstance(step, calls_pb2.CallStep) and step.WhichOneof("step") in (
            "dispatch",
            "answer",
        ):
            steps = self._store.sequenced_steps(self._code, step.caller, step.call)
            check_own_step(fold(steps), step)
        return draft
