"""What an operator asks of a node, one module per topic, one coroutine per method of `Admin`.

A handler takes the node and the request and returns the response. The running node serves them over
gRPC (`huying.node.api.admin_service`); while none runs, the operator's own command calls them
(`huying.node.admin.offline`), so that every operation works either way.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from huying.common.errors import Code, HuyingError

if TYPE_CHECKING:
    from huying.node.config import Config
    from huying.node.membership.late_enrolment import LateEnrolment
    from huying.node.monitoring.figures import Observed
    from huying.node.monitoring.history import History
    from huying.node.runtime import Runtime
    from huying.node.store.reader import Reader

__all__ = ["METHODS", "AdminNode", "Handler", "handler"]


@dataclass(frozen=True, slots=True)
class AdminNode:
    """The node, as its operator's requests need it."""

    config: Config
    runtime: Runtime
    reader: Reader  # read-only; its methods block, so call them on a thread
    enrolment: LateEnrolment
    # What a node that runs sees of itself; None where an operator's command stands in for it.
    observe: Callable[[], Observed] | None = None
    history: History | None = None


Handler = Callable[[AdminNode, Any], Awaitable[Any]]

# Where each method of huying.wire.v1.Admin is handled: module of this package, and function.
METHODS: Final[Mapping[str, tuple[str, str]]] = {
    "ShowRoster": ("roster", "show_roster"),
    "EnrolByFile": ("roster", "enrol_by_file"),
    "Revoke": ("trust", "revoke"),
    "Confirm": ("trust", "confirm"),
    "Accept": ("trust", "accept"),
    "RotateKey": ("trust", "rotate_key"),
    "ListStranded": ("trust", "list_stranded"),
    "BeginEpoch": ("recovery", "begin_epoch"),
    "ShowRecovery": ("recovery", "show_recovery"),
    "Erase": ("erasure", "erase"),
    "Disclose": ("disclosure", "disclose"),
    "ShowSubject": ("subject", "show_subject"),
    "ExportBundle": ("bundles", "export_bundle"),
    "ImportBundle": ("bundles", "import_bundle"),
    "TakeBundleReceipt": ("bundles", "take_receipt"),
    "PutBack": ("sealed", "put_back"),
    "CompareNote": ("notes", "compare_note"),
    "RetryQuarantined": ("quarantine", "retry"),
    "SkipQuarantined": ("quarantine", "skip"),
    "ShowTrouble": ("trouble", "show_trouble"),
    "ShowFigures": ("figures", "show_figures"),
    "ShowHistory": ("figures", "show_history"),
}


def handler(method: str) -> Handler:
    """The handler of a method; its module is loaded now. Raises HuyingError(INVALID_ARGUMENT)."""
    try:
        module, function = METHODS[method]
    except KeyError:
        raise HuyingError(Code.INVALID_ARGUMENT, f"no operation {method}") from None
    found: Handler = getattr(importlib.import_module(f"huying.node.admin.{module}"), function)
    return found
