"""A call as a test of its page begins, dispatched, in hand or under review; and its forms."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from huying.common.policies import shipped_policy
from huying.wire.v1 import feed_pb2
from tests.support.console_site import forms_of
from tests.support.tiny_network import COUNTY, put
from tests.unit.console.call_console import HELPER, LEAD, CallConsoles

__all__ = ["dispatched", "form_of", "handling", "reviewing"]


def dispatched(consoles: CallConsoles, call: str, **fields: str) -> str:
    fields = {"department": LEAD, f"help.{HELPER}": "1", **fields}
    consoles.step(consoles.as_centre(), call, "dispatch", **fields)
    return call


def handling(consoles: CallConsoles, call: str) -> str:
    dispatched(consoles, call)
    consoles.step(consoles.as_department(), call, "accept")
    return call


def form_of(page: Any, step: str) -> Any:
    """The form of a step on a call's page."""
    return next(one for one in forms_of(page.text) if one.action.endswith(f"/steps/{step}"))


_VERSIONS = itertools.count(1)


@contextmanager
def reviewing(consoles: CallConsoles) -> Iterator[None]:
    """While it lasts, calls that are received have their answers reviewed."""
    for required in (True, False):
        policy = shipped_policy()
        policy.review_required = required
        policy.version = next(_VERSIONS)
        consoles.served.network.append(COUNTY, put(feed_pb2.RECORD_TYPE_POLICY, policy))
        if required:
            yield
