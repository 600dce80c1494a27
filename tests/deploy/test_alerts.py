"""Each alert fires by its cause, and nothing before it; rules add up only what may be added up."""

from __future__ import annotations

import re
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
from tests.deploy.promtool import ask, firing, judge, needs_promtool
from workers.receiving.fleet_metrics import FleetMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

    from tests.deploy.conftest import Scrapes

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"
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
@needs_promtool
def test_each_alert_fires_by_its_cause_and_by_nothing_before(
    scrapes: dict[str, Scrapes], tmp_path: Path
) -> None:
    """Prometheus' own rules engine runs them, over the scrapes of two web processes."""
    tests = [
        firing(alert, dict.fromkeys(WEBS, before), dict.fromkeys(WEBS, after))
        for alert in rules()
        for before, after in [scrapes[alert]]
    ]
    judge(tests, tmp_path)


@pytest.mark.long
@needs_promtool
def test_prometheus_can_read_each_expression_of_the_board(tmp_path: Path) -> None:
    rules = [
        {"record": f"board:{no}", "expr": each.replace("$__rate_interval", "5m")}
        for no, each in enumerate(all_expressions().values())
    ]
    file = tmp_path / "board.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    ask("check", "rules", file)


@pytest.mark.long
@needs_promtool
def test_prometheus_takes_its_configuration() -> None:
    ask("check", "config", ALERTS.with_name("prometheus.yml"))
