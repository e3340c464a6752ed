"""The alert rules, judged by Prometheus' own tool: an alert nobody tested is one nobody gets."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "huying.rules.yml"


def run(promtool: str, *arguments: str) -> None:
    done = subprocess.run(
        [promtool, *arguments],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_and_the_example_configuration_are_well_formed(
    require: Callable[[str], str],
) -> None:
    """A rule file that does not parse stops Prometheus from starting, or is ignored on reload."""
    run(require("promtool"), "check", "rules", "huying.rules.yml")
    run(require("promtool"), "check", "config", "prometheus.yml")


@pytest.mark.parametrize("path", sorted(PROMETHEUS.glob("tests/*.yml")), ids=lambda path: path.stem)
def test_each_alert_fires_when_it_should_and_is_silent_when_it_should_be(
    path: Path, require: Callable[[str], str]
) -> None:
    """False alarms teach people to look away; missing ones are worse."""
    run(require("promtool"), "test", "rules", str(path.relative_to(PROMETHEUS)))


def test_each_alert_is_tested_and_has_its_page_in_the_runbook_and_no_page_is_left_over() -> None:
    """Whoever is woken must find what it means and what to do."""
    rules = RULES.read_text(encoding="utf-8")
    alerts = set(re.findall(r"alert: (\w+)", rules))
    tests = "".join(path.read_text(encoding="utf-8") for path in PROMETHEUS.glob("tests/*.yml"))
    linked = set(re.findall(r"runbook_url: docs/runbook/(\w+)\.md", rules))
    pages = {path.stem for path in (ROOT / "docs" / "runbook").glob("Huying*.md")}
    assert linked == pages
    assert linked <= alerts
    for alert in alerts:
        named = alert in tests or any(
            alert.startswith(prefix) for prefix in re.findall(r"=~\"(\w+)\.\*", tests)
        )
        assert named, f"{alert} has no test"


def test_the_rules_use_no_metric_that_the_node_does_not_serve() -> None:
    """A rule over a name that was renamed is silent for ever."""
    from huying.hub.call_metrics import CALL_METRIC_NAMES
    from huying.node.monitoring.metrics import METRIC_NAMES

    used = set(re.findall(r"\bhuying_\w+", RULES.read_text(encoding="utf-8")))
    assert used <= {*METRIC_NAMES, *CALL_METRIC_NAMES}
