"""乡呼县应: the life of a call.

Every call has one sequencer, the node that answers. Another party's step is a *proposal* in that
party's own feed; it counts when the sequencer writes a `took` that accepts it, and is *void*, with
a reason, when the took refuses it. The state is folded from the sequencer's entries alone, in the
order of their indexes, and reads no timestamp: so it is the same on every node, whatever arrives
when, and of two parties who act at once exactly one wins and the other is told why.

A call is known by its caller and its id together: nobody can speak for another's call by using its
id. This is the public face of

- `call_state`: what the steps add up to;
- `call_rules`: who may take which step, and when, as tables;
- `call_moves`: what each step changes;
- `call_marks`: what the sequencer printed about the clocks;
- `call_fold`: the fold over them;
- `call_judge`: the verdict on a proposal, and the refusal before a step is written.

docs/CALLS.md has the whole life.
"""

from __future__ import annotations

from huying.common.calls.call_fold import Folding, SequencedStep, advance, fold, is_aside
from huying.common.calls.call_judge import Proposal, Verdict, check_own_step, check_proposal, judge
from huying.common.calls.call_rules import OWN_STEPS, PROPOSALS, Role, allowed_steps
from huying.common.calls.call_state import CallStage, CallState, Place, VoidReason

__all__ = [
    "OWN_STEPS",
    "PROPOSALS",
    "CallStage",
    "CallState",
    "Folding",
    "Place",
    "Proposal",
    "Role",
    "SequencedStep",
    "Verdict",
    "VoidReason",
    "advance",
    "allowed_steps",
    "check_own_step",
    "check_proposal",
    "fold",
    "is_aside",
    "judge",
]
