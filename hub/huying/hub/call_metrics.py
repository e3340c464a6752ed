"""What Prometheus scrapes of the calls that this node answers: how many, how late, how long.

docs/METRICS.md has a heading for each name. Labels are bounded: stages are a closed list, and a
department beyond the first DEPARTMENT_LABELS_MAX by name counts as `(other)`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from huying.common.calls.call_state import CallStage
from huying.common.limits import DEPARTMENT_LABELS_MAX, LIST_ENTRIES_MAX
from huying.wire.v1 import calls_pb2, feed_pb2

if TYPE_CHECKING:
    from huying.node.services import Component, Node
    from huying.node.store.call_queries import CallLoad, CallRow, CallStepRow
    from huying.node.store.record_queries import RecordRow

__all__ = ["CALL_METRIC_NAMES", "CallCollector", "call_metrics_component"]

_OPEN: Final = "huying_calls_open"
_OVERDUE: Final = "huying_calls_overdue"
_ANSWER: Final = "huying_call_answer_seconds"
CALL_METRIC_NAMES: Final = (_OPEN, _OVERDUE, _ANSWER)
OTHER_DEPARTMENTS: Final = "(other)"
NO_DEPARTMENT: Final = "(none)"
_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR
# Natural time, from an hour to two months: deadlines are in working days, but so is no rate.
_BOUNDS_SECONDS: Final = tuple(
    [_HOUR, 4 * _HOUR, 12 * _HOUR] + [days * _DAY for days in (1, 2, 3, 5, 7, 10, 15, 20, 30, 60)]
)
_PAGES_MAX: Final = 20  # of the own feed, in one scrape; the rest follows in the next


class CallReads(Protocol):
    """What is read of the calls; the methods block, on the scraping thread."""

    def call_loads(self, sequencer: str) -> list[CallLoad]:
        """Open calls, by department and stage."""
        ...

    def changes(
        self, origin: str, start: int, limit: int, types: Iterable[int] = ()
    ) -> tuple[list[RecordRow], int]:
        """Entries of a feed from `start` on, and where to go on."""
        ...

    def get_call(self, call: bytes, caller: str = "") -> tuple[CallRow, list[CallStepRow]] | None:
        """A call."""
        ...


class CallCollector(Collector):
    """Samples of the calls of one answering node.

    The histogram counts from the start of the process, as Prometheus expects: `start` is the size
    of the own feed then.
    """

    def __init__(self, code: str, origin: str, reader: CallReads, start: int) -> None:
        self._code = code
        self._origin = origin
        self._reader = reader
        self._next = start
        self._counts = [0] * (len(_BOUNDS_SECONDS) + 1)
        self._total_seconds = 0.0

    def collect(self) -> Iterator[Metric]:
        """All three families, each with help, even where it has no sample now."""
        opened = GaugeMetricFamily(
            _OPEN, "Open calls that this node answers.", labels=("department", "stage")
        )
        overdue = GaugeMetricFamily(
            _OVERDUE,
            "Open calls whose clock ran out at the answering side.",
            labels=("department",),
        )
        loads = self._reader.call_loads(self._code)
        labels = department_labels(load.department for load in loads)
        by_stage: dict[tuple[str, str], int] = defaultdict(int)
        late: dict[str, int] = defaultdict(int)
        for load in loads:
            label = labels[load.department]
            by_stage[label, _stage(load.stage)] += load.open
            late[label] += load.overdue
        for (department, stage), count in sorted(by_stage.items()):
            opened.add_metric([department, stage], count)
        for department, count in sorted(late.items()):
            overdue.add_metric([department], count)
        self._read_answers()
        answer = HistogramMetricFamily(
            _ANSWER, "Seconds from the receipt of a call to its first answer."
        )
        bounds = [*(f"{bound:g}" for bound in _BOUNDS_SECONDS), "+Inf"]
        buckets = [
            (bound, float(count))
            for bound, count in zip(bounds, accumulate(self._counts), strict=True)
        ]
        answer.add_metric([], buckets, self._total_seconds)
        yield from (opened, overdue, answer)

    def _read_answers(self) -> None:
        types = (feed_pb2.RECORD_TYPE_CALL_STEP,)
        for _ in range(_PAGES_MAX):
            rows, following = self._reader.changes(
                self._origin, self._next, LIST_ENTRIES_MAX, types
            )
            for row in rows:
                self._count(row)
            if following == self._next:
                return
            self._next = following

    def _count(self, row: RecordRow) -> None:
        step = calls_pb2.CallStep.FromString(row.message)
        if step.WhichOneof("step") not in ("answer", "review"):
            return
        found = self._reader.get_call(step.call, step.caller)
        if found is None or found[0].first_answered_micros != row.time_micros:
            return
        seconds = (row.time_micros - found[0].received_micros) / 1e6
        self._counts[bisect_left(_BOUNDS_SECONDS, seconds)] += 1
        self._total_seconds += seconds


def department_labels(departments: Iterable[str]) -> dict[str, str]:
    """A label for each department; at most DEPARTMENT_LABELS_MAX of their own, and two more."""
    known = sorted(set(departments) - {""})
    labels = {
        department: department if place < DEPARTMENT_LABELS_MAX else OTHER_DEPARTMENTS
        for place, department in enumerate(known)
    }
    return {**labels, "": NO_DEPARTMENT}


def _stage(stage: int) -> str:
    return CallStage(stage).name.lower()


class _Registered:
    """Puts the collector beside the node's own."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        feeds = self._node.runtime.status().feeds
        origin = self._node.facts.origin
        size = next((feed.size for feed in feeds if feed.origin == origin), 0)
        code = self._node.config.node.code
        self._node.collectors.append(CallCollector(code, origin, self._node.reader, size))

    async def stop(self) -> None:
        """The reader is the node's."""


def call_metrics_component(node: Node) -> Component | None:
    """The metrics of the calls, or None where the configuration names no address for metrics."""
    return None if node.config.metrics.listen is None else _Registered(node)
