"""Each alert fires by its cause, and nothing before it; rules add up only what may be added up."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from db.health.vital_signs import VitalSigns
from tests.deploy.causes import CAUSES
from tests.deploy.monitoring import (
    ALERTS,
    METRIC,
    all_expressions,
    families,
    rules,
    samples,
)
from workers.receiving.fleet_metrics import FleetMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tests.deploy.conftest import Scrapes

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
PROMTOOL = shutil.which("promtool")
# Minutes. Whatever a rule waits for has passed by then, and the longest range is an hour.
HEALTHY_FOR, BROKEN_FOR = 65, 30
NAMED = {name for rule in rules().values() for name in METRIC.findall(rule["expr"])}
NOTHING_YET = VitalSigns([], None, 0, None, None, [], [])
WEBS = ("web-1:8000", "web-2:8000")


def test_each_alert_has_a_cause_and_an_entry_in_the_runbook() -> None:
    text = OPERATING.read_text(encoding="utf-8")
    assert (
        set(CAUSES) == set(rules()) == set(re.findall(r"^### (Coinfleet\w+)$", text, re.MULTILINE))
    )


def test_the_cause_of_each_alert_moves_a_metric_that_its_rule_names(
    scrapes: dict[str, Scrapes],
) -> None:
    unmoved = []
    for alert, rule in rules().items():
        before, after = (samples(text) for text in scrapes[alert])
        moved = {name for name in before | after if before.get(name) != after.get(name)}
        if not any(name.startswith(tuple(METRIC.findall(rule["expr"]))) for name in moved):
            unmoved.append(alert)
    assert unmoved == []


def test_each_metric_that_a_rule_or_the_board_names_exists(scrapes: dict[str, Scrapes]) -> None:
    known = names_of(families(scrapes["CoinfleetBacklog"].before))
    named = {name for each in all_expressions().values() for name in METRIC.findall(each)}
    assert named - known == set()


def test_each_metric_is_on_the_board_and_in_the_manual(scrapes: dict[str, Scrapes]) -> None:
    expressions = " ".join(all_expressions().values())
    manual = OPERATING.read_text(encoding="utf-8")
    known = {family.name for family in families(scrapes["CoinfleetBacklog"].before)}
    metrics = {name for name in known if not name.endswith("_created")}
    assert {name for name in metrics if name not in expressions} == set()
    assert {name for name in metrics if name not in manual} == set()


def test_what_the_database_says_is_never_added_up_over_processes() -> None:
    collector = FleetMetrics()
    collector.signs = NOTHING_YET
    of_fleet = names_of(collector.collect())
    wrong = []
    for where, expression in all_expressions().items():
        for found in METRIC.finditer(expression):
            innermost = innermost_aggregation(expression[: found.start()])
            allowed = {"max", "min"} if found[0] in of_fleet else {"sum", "max", "min", "absent"}
            if innermost not in allowed:
                wrong.append((where, found[0], innermost))
    assert wrong == []


def names_of(metrics: Iterable[Metric]) -> set[str]:
    """The names under which samples of these metrics are asked for."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        metric.name + suffix for metric in metrics for suffix in suffixes.get(metric.type, ("",))
    }


def innermost_aggregation(before: str) -> str | None:
    """The aggregation whose parenthesis is the last one open, rates left out."""
    opened: list[str] = []
    for found in re.finditer(r"(\w+)?(?:\s+by\s*\([^)]*\))?\s*\(|\)", before):
        if found[0] == ")":
            opened.pop()
        else:
            opened.append(found[1] or "")
    kept = [name for name in opened if name not in {"rate", "increase", "abs", ""}]
    return kept[-1] if kept else None


@pytest.mark.long
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_each_alert_fires_by_its_cause_and_by_nothing_before(
    scrapes: dict[str, Scrapes], tmp_path: Path
) -> None:
    """Prometheus' own rules engine runs them, over the scrapes of two web processes."""
    tests = [firing(alert, scrapes[alert]) for alert in rules()]
    suite = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert PROMTOOL is not None
    run = subprocess.run(
        [PROMTOOL, "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr + run.stdout


@pytest.mark.long
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_can_read_each_expression_of_the_board(tmp_path: Path) -> None:
    rules = [
        {"record": f"board:{no}", "expr": each.replace("$__rate_interval", "5m")}
        for no, each in enumerate(all_expressions().values())
    ]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    assert PROMTOOL is not None
    run = subprocess.run(
        [PROMTOOL, "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr + run.stdout


@pytest.mark.long
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
def test_prometheus_takes_its_configuration() -> None:
    file = ALERTS.with_name("prometheus.yml")
    assert PROMTOOL is not None
    run = subprocess.run(
        [PROMTOOL, "check", "config", file], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr + run.stdout


def firing(alert: str, scrapes: Scrapes) -> dict[str, object]:
    """A test of promtool: nothing fires while all is well, and the alert some time after."""
    before, after = (samples(text) for text in scrapes)
    series = [
        {"series": with_instance(name, web), "values": values(name, before, after)}
        for name in before | after
        if name.partition("{")[0] in NAMED
        for web in WEBS
    ]
    fires = f'max(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {
        "name": alert,
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{HEALTHY_FOR}m",
                "exp_samples": [],
            },
            {
                "expr": fires,
                "eval_time": f"{HEALTHY_FOR + BROKEN_FOR}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
        ],
    }


def with_instance(name: str, web: str) -> str:
    """The series with the label that Prometheus adds to it."""
    metric, _, labels = name.partition("{")
    return f'{metric}{{instance="{web}"' + (f",{labels}" if labels else "}")


def values(name: str, before: dict[str, float], after: dict[str, float]) -> str:
    """The values of a series: gauges keep what they were set to, counters go on as they did."""
    was, became = before.get(name), after.get(name)
    healthy = f"_x{HEALTHY_FOR + 1}" if was is None else f"{was}x{HEALTHY_FOR}"
    if became is None:
        return f"{healthy} stale _x{BROKEN_FOR}"
    grows = name.partition("{")[0].endswith(("_total", "_bucket", "_count", "_sum"))
    step = became - (was or 0) if grows else 0
    return f"{healthy} {became}+{step}x{BROKEN_FOR}"
