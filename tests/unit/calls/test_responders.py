"""Two people of the answering node act on one call at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.common.effects import Append, Appended
from huying.common.errors import Code
from huying.wire.v1 import calls_pb2
from tests.support.tiny_network import COUNTY, TOWN, TinyNetwork, raise_call, step


@pytest.fixture
def network() -> Iterator[TinyNetwork]:
    made = TinyNetwork()
    yield made
    made.close()


def dispatched_to(department: str) -> calls_pb2.Dispatch:
    return calls_pb2.Dispatch(department=department, deadline_micros=9)


def test_of_two_dispatches_in_one_batch_one_wins_and_the_other_is_told(
    network: TinyNetwork,
) -> None:
    """Both read the call as received; only inside the transaction does nothing come in between."""
    call = raise_call(network)
    drafts = [step(call, dispatch=dispatched_to(department)) for department in ("水务局", "住建局")]
    inputs = [Append(number, (draft,)) for number, draft in enumerate(drafts)]
    effects = network.engines[COUNTY].step(inputs)
    answers = {one.token: one for one in effects if isinstance(one, Appended)}
    assert answers[0].error is None
    refused = answers[1].error
    assert refused is not None
    assert refused.code is Code.WRONG_STAGE
    found = network.stores[COUNTY].get_call(call, TOWN)
    assert found is not None
    assert found[0].department == "水务局"


def test_a_repeated_request_is_answered_as_it_was(network: TinyNetwork) -> None:
    """A client whose answer was lost asks again; the call has moved on by its own doing."""
    call = raise_call(network)
    base = step(call, dispatch=dispatched_to("水务局"))
    draft = type(base)(base.kind, base.type, base.message, to=base.to, request_id=b"r" * 16)
    first = network.append(COUNTY, draft)
    again = network.append(COUNTY, draft)
    assert again[0].repeated
    assert again[0].index == first[0].index
