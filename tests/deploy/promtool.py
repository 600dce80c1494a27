"""Prometheus' own rules engine: it says which alerts fire over scrapes of web processes.

Reads no fleet itself. A scrape that is missing is a process that did not answer.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.monitoring import ALERTS, METRIC, rules, samples

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: apt-get install prometheus"
)
# Minutes. Whatever a rule waits for has passed by then, and the longest range is an hour.
HEALTHY_FOR, BROKEN_FOR = 65, 30
NAMED = {name for rule in rules().values() for name in METRIC.findall(rule["expr"])}


def ask(*words: str | Path) -> None:
    """Run promtool; fail with what it says unless it is content."""
    assert PROMTOOL is not None
    run = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr + run.stdout


def judge(tests: Sequence[Mapping[str, object]], folder: Path) -> None:
    """Run the tests that `firing` has made over the alert rules."""
    suite = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": list(tests)}
    file = folder / "alerts_test.yml"
    file.write_text(yaml.safe_dump(suite), encoding="utf-8")
    ask("test", "rules", file)


def firing(
    alert: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    happened: Collection[str] = (),
) -> dict[str, object]:
    """Return a test of promtool: nothing fires before, and the alert some time after.

    `before` and `after` are scrapes by web process. Alerts whose causes have `happened` earlier, on
    the same fleet, may fire before.
    """
    series = [
        {
            "series": with_instance(name, web),
            "values": values(name, was, became),
        }
        for web in before | after
        for was, became in [(samples(before.get(web, "")), samples(after.get(web, "")))]
        for name in was | became
        if name.partition("{")[0] in NAMED
    ]
    others = f'ALERTS{{alertstate="firing", alertname!~"{"|".join(happened)}"}}'
    fires = f'max(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    return {
        "name": alert,
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": f"count by (alertname) ({others})",
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
