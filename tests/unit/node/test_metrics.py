"""What Prometheus scrapes: honest numbers, bounded labels, every name documented."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from huying.common.effects import Direction
from huying.common.errors import Code, HuyingError
from huying.common.status import (
    DelayHistogram,
    FeedHealth,
    FeedStatus,
    NodeStatus,
    PeerStatus,
)
from huying.hub.call_metrics import CALL_METRIC_NAMES
from huying.node.monitoring.disk_use import DiskUse
from huying.node.monitoring.figures import Observed, feed_label
from huying.node.monitoring.http import MetricsServer
from huying.node.monitoring.metrics import METRIC_NAMES, NodeMetrics
from tests.support.places import ROOT

VILLAGE, TOWN, COUNTY = "370830108201", "370830108000", "370830000000"
ORIGIN = f"wenshang.example/feed/{VILLAGE}/e1"


def feed(**changes: object) -> FeedStatus:
    values: dict[str, object] = {
        "origin": ORIGIN,
        "code": VILLAGE,
        "size": 10,
        "root": bytes(32),
        "health": FeedHealth.LIVE,
        "reason": "",
        "remote_head_size": 10,
        "remote_head_observed": 1000.0,
        "lag_seconds": 0.5,
        "oldest_unapplied": None,
        "last_success": 990.0,
        "cosigned_size": 10,
        "openings_held": 20,
        "openings_withheld": 5,
        "entries_hidden": 0,
        "quarantined": 0,
        "missing": 0,
        "delay": DelayHistogram(),
    }
    return FeedStatus(**{**values, **changes})  # type: ignore[arg-type]


def peer(code: str = VILLAGE, **changes: object) -> PeerStatus:
    values: dict[str, object] = {
        "code": code,
        "direction": Direction.DOWN,
        "connected": True,
        "last_contact": 1000.0,
        "clock_offset_seconds": 0.25,
        "sent_bytes": 100,
        "received_bytes": 200,
    }
    return PeerStatus(**{**values, **changes})  # type: ignore[arg-type]


def node(*feeds: FeedStatus, peers: tuple[PeerStatus, ...] = (), **changes: object) -> NodeStatus:
    values: dict[str, object] = {
        "code": TOWN,
        "origin": f"wenshang.example/feed/{TOWN}/e1",
        "state": "live",
        "feeds": feeds,
        "peers": peers,
    }
    return NodeStatus(**{**values, **changes})  # type: ignore[arg-type]


def scrape(status: NodeStatus, **more: Any) -> dict[str, dict[str, float]]:
    """Sample name -> labels as text -> value, through the exposition format and back."""
    more = {"retry_next": {}, "certificates": {}, **more}
    observed = Observed(status, **more)
    metrics = NodeMetrics(lambda: observed, "0.1.0", TOWN)
    samples: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            samples.setdefault(sample.name, {})[labels] = sample.value
    return samples


LABEL = f"feed={VILLAGE}/e1"


def test_a_feed_that_is_up_to_date_says_so_with_its_division_code_and_epoch_as_label() -> None:
    """The label must not carry the network's name, nor anything longer than the roster is."""
    found = scrape(node(feed()))
    assert feed_label(ORIGIN) == f"{VILLAGE}/e1"
    assert found["huying_feed_size"] == {LABEL: 10}
    assert found["huying_applied_size"] == {LABEL: 10}
    assert found["huying_entries_behind"] == {LABEL: 0}
    assert found["huying_last_success_timestamp_seconds"] == {LABEL: 990}


def test_unknown_lag_is_absent_and_never_zero() -> None:
    """A dashboard that reads 0 for a village nobody has heard of is a lie."""
    unknown = feed(lag_seconds=None, remote_head_observed=None, health=FeedHealth.UNKNOWN)
    found = scrape(node(unknown))
    assert "huying_entries_behind" not in found
    assert "huying_oldest_unapplied_timestamp_seconds" not in found
    assert found["huying_remote_head_observed_timestamp_seconds"] == {LABEL: 0}


def test_what_is_known_to_be_outstanding_is_said_even_without_contact() -> None:
    """Seven entries were announced before the line was cut: at least those are missing."""
    found = scrape(node(feed(remote_head_size=17, lag_seconds=None, oldest_unapplied=900.0)))
    assert found["huying_entries_behind"] == {LABEL: 7}
    assert found["huying_oldest_unapplied_timestamp_seconds"] == {LABEL: 900}


def test_a_peer_that_never_came_has_a_series_with_the_timestamp_zero() -> None:
    """An absent series raises no alert; an expected child that never came must raise one."""
    never = peer(last_contact=None, connected=False, clock_offset_seconds=None)
    found = scrape(node(peers=(never,)))
    label = f"direction=down,peer={VILLAGE}"
    assert found["huying_last_contact_timestamp_seconds"] == {label: 0}
    assert found["huying_peer_connected"] == {label: 0}
    assert "huying_peer_clock_offset_seconds" not in found


def test_just_one_state_of_a_feed_is_one() -> None:
    """Rules compare `feed_state{state="forked"} == 1`, so each state is a series."""
    found = scrape(node(feed(health=FeedHealth.FORKED)))["huying_feed_state"]
    assert len(found) == len(FeedHealth)
    assert [label for label, value in found.items() if value] == [f"{LABEL},state=forked"]


def test_the_delay_histogram_is_thinned_and_keeps_count_and_sum() -> None:
    """115 buckets for each of a thousand feeds would be most of the scrape."""
    delay = DelayHistogram()
    delay.observe([0.0005, 0.002, 0.03, 0.03, 5.0, 1e9])
    found = scrape(node(feed(delay=delay)))
    buckets = found["huying_replication_delay_seconds_bucket"]
    assert 15 <= len(buckets) <= 25
    by_bound = sorted((float(label.rsplit("le=", 1)[1]), value) for label, value in buckets.items())
    assert [value for _, value in by_bound] == sorted(value for _, value in by_bound)
    assert found["huying_replication_delay_seconds_count"] == {LABEL: 6}
    assert found["huying_replication_delay_seconds_sum"][LABEL] == pytest.approx(1e9 + 5.0625)


def test_failures_are_counted_by_peer_and_by_the_closed_list_of_codes() -> None:
    """`reason` comes from our enum, not from what a peer wrote."""
    status = node(failures={(VILLAGE, Code.BAD_PROOF): 3}, withheld_gaps=2, breaches=1)
    found = scrape(status)
    assert found["huying_verify_failures_total"] == {f"peer={VILLAGE},reason=bad_proof": 3}
    assert found["huying_withheld_gaps_total"] == {"": 2}
    assert found["huying_breaches_total"] == {"": 1}


def test_every_alarm_has_a_series_before_it_is_raised() -> None:
    """`increase` over a series that appears at 1 is 0: the first alarm would not be seen."""
    found = scrape(node())["huying_alarms_total"]
    for code in ("fork", "withheld", "tail_cut", "head_replayed", "key_changed"):
        assert found[f"code={code}"] == 0
    status = node(failures={("", Code.TAIL_CUT): 2, (VILLAGE, Code.TAIL_CUT): 1})
    assert scrape(status)["huying_alarms_total"]["code=tail_cut"] == 3


def test_a_planned_window_the_disk_and_open_erasures_are_told() -> None:
    """Absent where there is nothing to tell, so that a rule over them is silent."""
    bare = scrape(node())
    assert bare["huying_erasures_pending"] == {"": 0}
    assert "huying_erasures_pending_oldest_timestamp_seconds" not in bare
    assert "huying_offline_window_end_timestamp_seconds" not in bare
    assert "huying_disk_free_bytes" not in bare
    status = node(erasures_pending=2, erasure_oldest=7.0)
    use = DiskUse(10**9, 5 * 10**6, 4096)
    found = scrape(status, disk=use, offline_window=(100.0, 200.0), last_backup=77.0)
    assert found["huying_erasures_pending_oldest_timestamp_seconds"] == {"": 7.0}
    assert found["huying_disk_free_bytes"] == {"": 1e9}
    assert found["huying_database_bytes"] == {"": 5e6}
    assert found["huying_database_log_bytes"] == {"": 4096}
    assert (bare["huying_backup_timestamp_seconds"], found["huying_backup_timestamp_seconds"]) == (
        {"": 0},
        {"": 77},
    )
    assert found["huying_offline_window_start_timestamp_seconds"] == {"": 100.0}
    assert found["huying_offline_window_end_timestamp_seconds"] == {"": 200.0}


def test_retries_and_certificates_are_timestamps() -> None:
    """The age is for the rule to compute: a stuck exporter must not look fresh."""
    found = scrape(node(), retry_next={COUNTY: 1234.5}, certificates={TOWN: 2e9})
    assert found["huying_retry_next_timestamp_seconds"] == {f"peer={COUNTY}": 1234.5}
    assert found["huying_certificate_expiry_timestamp_seconds"] == {f"peer={TOWN}": 2e9}


def test_appends_and_commits_are_counted_where_they_happen() -> None:
    """They are measured by the writer, not derived from snapshots that come once a second."""
    metrics = NodeMetrics(lambda: Observed(node(), {}, {}), "0.1.0", TOWN)
    metrics.observe_append(0.004)
    metrics.observe_commit(37)
    text = generate_latest(metrics.registry).decode()
    assert 'huying_append_seconds_bucket{le="0.005"} 1.0' in text
    assert 'huying_commit_entries_bucket{le="32.0"} 0.0' in text
    assert 'huying_commit_entries_bucket{le="64.0"} 1.0' in text
    assert f'huying_build_info{{code="{TOWN}",version="0.1.0"}} 1.0' in text


def test_each_metric_has_a_heading_in_the_documentation_and_no_heading_is_left_over() -> None:
    """Whoever meets a series on a dashboard must find what it means."""
    text = (ROOT / "docs" / "METRICS.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## (huying_\w+)$", text, re.MULTILINE)) == {
        *METRIC_NAMES,
        *CALL_METRIC_NAMES,
    }


def test_what_is_served_is_what_is_listed() -> None:
    """The list in the code feeds the documentation test, so it must be complete itself."""
    delay = DelayHistogram()
    delay.observe([0.1])
    status = node(
        feed(delay=delay, oldest_unapplied=1.0),
        peers=(peer(),),
        failures={(VILLAGE, Code.BAD_NOTE): 1},
        erasure_oldest=1.0,
    )
    disk = DiskUse(5, 5, 5)
    observed = Observed(status, {TOWN: 1.0}, {TOWN: 1.0}, disk, None, (1.0, 2.0))
    metrics = NodeMetrics(lambda: observed, "0.1.0", TOWN)
    text = generate_latest(metrics.registry).decode()
    served = set(re.findall(r"^# TYPE (huying_\w+) ", text, re.MULTILINE))
    # The client adds a gauge of the time of creation beside each counter and histogram.
    assert {name for name in served if not name.endswith("_created")} == set(METRIC_NAMES)


@contextmanager
def serving(state: str = "live", status: NodeStatus | None = None) -> Iterator[MetricsServer]:
    observed = Observed(status or node(feed()), {}, {})
    metrics = NodeMetrics(lambda: observed, "0.1.0", TOWN)
    server = MetricsServer("127.0.0.1", 0, metrics.registry, lambda: state)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def get(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_and_health_are_served_and_nothing_else_is() -> None:
    """Prometheus scrapes one path, a supervisor asks the other."""
    with serving() as server:
        status, text = get(server, "/metrics")
        assert status == 200
        assert "huying_feed_size" in text
        assert get(server, "/healthz") == (200, '{"state": "live"}')
        assert get(server, "/")[0] == 404
        assert get(server, "/metrics", "POST")[0] == 405


@pytest.mark.parametrize("state", ["starting", "recovering", "draining"])
def test_a_node_that_does_not_serve_is_not_healthy(state: str) -> None:
    """A supervisor must not send work to a node that refuses to write."""
    with serving(state) as server:
        assert get(server, "/healthz") == (503, f'{{"state": "{state}"}}')


def test_a_stopped_server_leaves_no_thread_and_frees_its_address() -> None:
    """A node that restarts binds the same address again."""
    with serving() as server:
        port = server.port
    assert not [thread for thread in threading.enumerate() if thread.name == "huying-metrics"]
    metrics = NodeMetrics(lambda: Observed(node(), {}, {}), "0.1.0", TOWN)
    again = MetricsServer("127.0.0.1", port, metrics.registry, lambda: "live")
    with pytest.raises(HuyingError, match=f"127.0.0.1:{port} can't be bound") as refusal:
        MetricsServer("127.0.0.1", port, metrics.registry, lambda: "live")
    assert refusal.value.code is Code.CONFIG
    again.stop()
