"""Late parties: what a node that joins a call is given, so that it can read the whole of it.

The `party` step tells the newcomer in a summary what the call is about, and addresses every later
step to it, too. What the sequencer wrote before is opened by a disclosure in the same commit, so
that no step falls in between. Where the newcomer holds them, it folds to the state of everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from huying.common.calls.call_fold import SequencedStep
from huying.common.codes import Origin, level, parse_origin
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import plan
from huying.common.feed.leaf import ADDRESSED
from huying.common.limits import (
    CALL_EARLIER_STEPS_MAX,
    LATE_RANGES_MAX,
    NAME_CHARACTERS_MAX,
    PARTY_SUMMARY_CHARACTERS_MAX,
)
from huying.common.masking import mask
from huying.wire.v1 import calls_pb2, feed_pb2, trust_pb2

__all__ = ["complete_party", "summary"]

_PURPOSE: Final = "参与呼叫 · party to a call"


def summary(
    code: str, role: calls_pb2.PartyRole.ValueType, content: calls_pb2.Call
) -> calls_pb2.Party:
    """What the step says to the newcomer `code` of a call's content, as the sequencer holds it."""
    return calls_pb2.Party(
        code=code,
        role=role,
        category=content.category,
        title=content.title,
        description=content.description,
        grid=content.grid,
        village=content.village,
        raised_micros=content.raised_micros,
    )


def complete_party(
    code: str, step: calls_pb2.CallStep, steps: Sequence[SequencedStep]
) -> tuple[DraftEntry, ...]:
    """Name in a `party` step what came before, and return the disclosures that open it.

    `code` is the sequencer, `steps` all that it wrote about the call, in order. Texts are masked
    and cut, so that the step fits into an entry. Raises HuyingError(INVALID_ARGUMENT) for a party
    that is not below the sequencer.
    """
    party = step.party
    if party.code == code:
        raise HuyingError(Code.INVALID_ARGUMENT, f"party.code: must lie below this node, {code}")
    party.title = mask(party.title).text[:NAME_CHARACTERS_MAX]
    party.description = mask(party.description).text[:PARTY_SUMMARY_CHARACTERS_MAX]
    indexes: dict[str, list[int]] = {}
    network = _network(steps)
    for one in steps:
        if one.call_step.number:  # else it was said aside, and is no part of the call
            indexes.setdefault(str(Origin(network, code, one.epoch)), []).append(one.index)
    del party.earlier[:]
    refs = [(origin, index) for origin, found in indexes.items() for index in found]
    for origin, index in refs[-CALL_EARLIER_STEPS_MAX:]:
        party.earlier.add(origin=origin, index=index)
    return tuple(
        draft
        for origin, found in indexes.items()
        for draft in _disclosures(code, step, origin, found)
    )


def _network(steps: Iterable[SequencedStep]) -> str:
    """The network's name, which the ref of every took holds; a call that was received has one."""
    for one in steps:
        if one.call_step.HasField("took"):
            return parse_origin(one.call_step.took.ref.origin).network
    raise HuyingError(Code.WRONG_STAGE, "party: the call has not been received")


def _disclosures(
    code: str, step: calls_pb2.CallStep, origin: str, indexes: Sequence[int]
) -> Iterable[DraftEntry]:
    """The statements that open what all parties share of these entries of one feed."""
    descriptor: Any = calls_pb2.CallStep.DESCRIPTOR
    shared = bytes(s for s in plan(descriptor, int(level(code))).slots if s & ADDRESSED)
    newcomer = step.party.code
    for at in range(0, len(indexes), LATE_RANGES_MAX):
        message = trust_pb2.Disclosure(
            ranges=[
                trust_pb2.IndexRange(start=index, stop=index + 1, slots=shared)
                for index in indexes[at : at + LATE_RANGES_MAX]
            ],
            readers=[newcomer],
            purpose=_PURPOSE,
            authority=f"party {newcomer} of call {step.call.hex()}",
            origin=origin,
        )
        kind, type_ = feed_pb2.KIND_DISCLOSE, feed_pb2.RECORD_TYPE_DISCLOSURE
        yield DraftEntry(kind, type_, message, to=(f"={newcomer}",))
