"""What is scraped of calls: counts by department, and how long the first answer took."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from huying.common.limits import DEPARTMENT_LABELS_MAX
from huying.hub.call_metrics import CALL_METRIC_NAMES, CallCollector, department_labels
from huying.wire.v1 import calls_pb2
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, TinyNetwork, raise_call, step

ORIGIN = f"{NETWORK}/feed/{COUNTY}/e1"
DAY = 86400.0


@pytest.fixture
def network() -> Iterator[TinyNetwork]:
    made = TinyNetwork()
    yield made
    made.close()


def collector(network: TinyNetwork, start: int = 0) -> CallCollector:
    return CallCollector(COUNTY, ORIGIN, network.stores[COUNTY], start)


def scrape(found: CallCollector) -> str:
    registry = CollectorRegistry()
    registry.register(found)
    return generate_latest(registry).decode()


def answered(network: TinyNetwork, department: str, days: float) -> bytes:
    call = raise_call(network)
    network.append(COUNTY, step(call, dispatch=calls_pb2.Dispatch(department=department)))
    network.clock.seconds += days * DAY
    answer = calls_pb2.Answer(department=department, text="已修")
    network.append(COUNTY, step(call, answer=answer))
    return call


def test_open_calls_are_counted_by_department_and_stage(network):
    """A call that nobody has yet is the centre's, and is shown as nobody's."""
    raise_call(network)
    answered(network, "水务局", 1)
    text = scrape(collector(network))
    assert 'huying_calls_open{department="(none)",stage="received"} 1.0' in text
    assert 'huying_calls_open{department="水务局",stage="answered"} 1.0' in text
    assert 'huying_calls_overdue{department="水务局"} 0.0' in text


def test_a_breach_counts_as_overdue_until_it_is_answered(network):
    """The alert reads this gauge."""
    call = raise_call(network)
    network.append(COUNTY, step(call, dispatch=calls_pb2.Dispatch(department="水务局")))
    network.clock.seconds += 40 * DAY
    for clock in (calls_pb2.CLOCK_ACCEPT, calls_pb2.CLOCK_ANSWER):
        timeout = calls_pb2.Timeout(clock=clock, generation=1)
        network.append(COUNTY, step(call, timeout=timeout))
    assert 'huying_calls_overdue{department="水务局"} 1.0' in scrape(collector(network))
    network.append(COUNTY, step(call, answer=calls_pb2.Answer(department="水务局", text="已修")))
    assert 'huying_calls_overdue{department="水务局"} 0.0' in scrape(collector(network))


def test_the_first_answer_of_a_call_is_counted_once_and_from_the_start_of_the_process(network):
    """A histogram that went back, or counted twice, would lie to every rate that is built on it."""
    answered(network, "水务局", 1.5)
    found = collector(network)
    for _ in range(2):
        text = scrape(found)
        assert 'huying_call_answer_seconds_bucket{le="86400"} 0.0' in text
        assert 'huying_call_answer_seconds_bucket{le="172800"} 1.0' in text
        assert "huying_call_answer_seconds_count 1.0" in text
    call = answered(network, "水务局", 0.01)
    unresolved = calls_pb2.Confirm(resolved=False)
    network.append(TOWN, step(call, confirm=unresolved))
    network.append(COUNTY, step(call, answer=calls_pb2.Answer(department="水务局", text="再修")))
    text = scrape(found)
    assert 'huying_call_answer_seconds_bucket{le="3600"} 1.0' in text
    assert "huying_call_answer_seconds_count 2.0" in text
    size = next(feed.size for feed in network.stores[COUNTY].feeds() if feed.origin == ORIGIN)
    assert "huying_call_answer_seconds_count 0.0" in scrape(collector(network, size))


def test_all_that_is_served_is_listed_and_what_another_answers_is_not_counted(network):
    """The list feeds the documentation test; the town's own node answers nobody here."""
    raise_call(network)
    text = scrape(CallCollector(TOWN, f"{NETWORK}/feed/{TOWN}/e1", network.stores[TOWN], 0))
    assert set(re.findall(r"^# TYPE (huying_\w+) ", text, re.MULTILINE)) == set(CALL_METRIC_NAMES)
    assert "huying_calls_open{" not in text


def test_labels_stay_bounded_however_many_departments_there_are():
    """A label per department that somebody typed would fill the monitoring's memory."""
    labels = department_labels([f"局 {number:04}" for number in range(1000)] + [""])
    assert len(set(labels.values())) == DEPARTMENT_LABELS_MAX + 2
    assert (labels["局 0000"], labels["局 0999"], labels[""]) == ("局 0000", "(other)", "(none)")
