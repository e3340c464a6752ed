"""Lag is watched: a real Prometheus scrapes real nodes, an alert comes and goes with the link."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from huying.hub.fleet import Fleet, Member, Place, free_addresses
from huying.node.config import load
from huying.wire.v1 import api_pb2, feed_pb2, records_pb2
from tests.integration.cut_link import CutLink
from tests.support.places import ROOT

RULES = ROOT / "deploy" / "prometheus" / "huying.rules.yml"

COUNTY, TOWN, VILLAGE = "370830000000", "370830108000", "370830108201"
PLACES = (
    Place(COUNTY, "汶上县", None),
    Place(TOWN, "义桥镇", COUNTY),
    Place(VILLAGE, "义桥村", TOWN),
)
WAIT_SECONDS_MAX = 60.0


def hastened(rules: str) -> str:
    """The shipped rules with minutes read as seconds, so that a test need not wait for them."""
    quick, durations = re.subn(r"\b(for: |\[)(\d+)m\b", r"\g<1>\g<2>s", rules)
    quick, thresholds = re.subn(r"> 300\b", "> 5", quick)
    assert durations >= 10, "the rule file has changed its shape"
    assert thresholds >= 3, "the rule file has changed its shape"
    return quick


class Prometheus:
    """A Prometheus server on loopback, scraping once a second."""

    def __init__(self, program: str, folder: Path, targets: list[str]) -> None:
        (folder / "huying.rules.yml").write_text(hastened(RULES.read_text()))
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["huying.rules.yml"],
            "scrape_configs": [{"job_name": "huying", "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self.address = free_addresses(1)[0]
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.address}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._log.close()

    def get(self, path: str) -> dict[str, object]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self.address}/api/v1/{path}", timeout=5) as answer:
            data: dict[str, object] = json.load(answer)["data"]
            return data

    def firing(self) -> set[tuple[str, str]]:
        """(alert, instance) of every alert that fires now."""
        alerts = self.get("alerts")["alerts"]
        assert isinstance(alerts, list)
        return {
            (alert["labels"]["alertname"], alert["labels"]["instance"])
            for alert in alerts
            if alert["state"] == "firing"
        }

    def targets_up(self) -> int:
        found = self.get("query?query=sum(up)")["result"]
        assert isinstance(found, list)
        return int(found[0]["value"][1]) if found else 0


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass  # Prometheus is still starting.
        time.sleep(0.25)
    pytest.fail(f"waited {WAIT_SECONDS_MAX:.0f} s for: {what}")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path / "nodes", "watched.example") as made:
        made.make(PLACES, timing={"pulse_seconds": 1.0, "retry_seconds_max": 1.0})
        yield made


@pytest.fixture
def link(fleet: Fleet) -> Iterator[CutLink]:
    """The village's way to its town, through a relay that can be cut."""
    config = load(fleet[VILLAGE].config_file)
    assert config.parent is not None
    assert config.parent.address is not None
    relay = CutLink(config.parent.address)
    text = fleet[VILLAGE].config_file.read_text()
    fleet[VILLAGE].config_file.write_text(text.replace(config.parent.address, relay.address))
    yield relay
    relay.close()


def lags(member: Member) -> dict[str, float | None]:
    """Seconds by division code, None where unknown."""
    with member.client() as client:
        return {
            feed.origin.split("/")[-2]: feed.lag_seconds if feed.lag_known else None
            for feed in client.status().feeds
        }


def report_event(member: Member) -> None:
    event = records_pb2.Event(
        category="test",
        grid=f"{VILLAGE}001",
        status=records_pb2.EVENT_STATUS_REPORTED,
        reported_micros=int(time.time() * 1e6),
    )
    draft = api_pb2.Draft(
        kind=feed_pb2.KIND_PUT,
        type=feed_pb2.RECORD_TYPE_EVENT,
        message=event.SerializeToString(),
    )
    with member.client() as client:
        client.append(api_pb2.AppendRequest(drafts=[draft]))


def village_size(member: Member) -> int:
    with member.client() as client:
        return sum(f.size for f in client.status().feeds if f"/{VILLAGE}/" in f.origin)


@pytest.mark.timeout(240)
def test_an_alert_fires_when_a_link_is_cut_and_clears_when_it_heals(
    tmp_path: Path, fleet: Fleet, link: CutLink, require: Callable[[str], str]
) -> None:
    """The whole way an operator is told: node, metrics, scrape, rule, alert; and of the end."""
    program = require("prometheus")
    fleet.start()
    metrics = {member.code: load(member.config_file).metrics.listen for member in fleet}
    assert all(metrics.values())
    cut_alerts = {
        ("HuyingParentNoContact", metrics[VILLAGE]),
        ("HuyingChildNoContact", metrics[TOWN]),
    }
    prometheus = Prometheus(program, tmp_path, [str(one) for one in metrics.values()])
    try:
        report_event(fleet[VILLAGE])
        wait_for("three targets", lambda: prometheus.targets_up() == 3)
        wait_for("the event at the county", lambda: village_size(fleet[COUNTY]) >= 1)
        wait_for("no alert", lambda: not prometheus.firing())
        wait_for("a known lag", lambda: None not in lags(fleet[COUNTY]).values())
        assert all(lag is not None and lag < 10 for lag in lags(fleet[COUNTY]).values())

        link.cut()
        wait_for("the alerts of a cut link", lambda: cut_alerts <= prometheus.firing())
        assert lags(fleet[TOWN])[VILLAGE] is None, "no contact, so the lag is unknown, not 0"
        before = village_size(fleet[COUNTY])
        report_event(fleet[VILLAGE])

        link.heal()
        wait_for("the alerts to clear", lambda: not cut_alerts & prometheus.firing())
        wait_for("the late event", lambda: village_size(fleet[COUNTY]) > before)
        wait_for("a known lag again", lambda: None not in lags(fleet[COUNTY]).values())
    finally:
        prometheus.stop()
