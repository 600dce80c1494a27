"""The alert rules and the board as data, and the metrics that their expressions name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
ALERTS = FOLDER / "alerts.yml"
BOARD = FOLDER / "board.json"

METRIC = re.compile(r"\bcoinfleet_[a-z_]+")


def rules() -> dict[str, dict[str, Any]]:
    """The alert rules, by name."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> Iterator[dict[str, Any]]:
    """The panels of the board, rows left out."""
    board = json.loads(BOARD.read_text(encoding="utf-8"))
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def board_expressions() -> dict[str, list[str]]:
    """The expressions of each panel, by its title."""
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in panels()}


def all_expressions() -> dict[str, str]:
    """Every expression of rules and board, by where it stands."""
    found = {name: str(rule["expr"]) for name, rule in rules().items()}
    for title, expressions in board_expressions().items():
        found |= {f"{title} {no}": each for no, each in enumerate(expressions)}
    return found


def families(text: str) -> list[Metric]:
    """The metrics of a scrape."""
    return list(text_string_to_metric_families(text))


def samples(text: str) -> dict[str, float]:
    """The samples of a scrape, each under its name and labels as PromQL writes them."""
    return {
        sample.name + labels_of(sample.labels): sample.value
        for family in families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def labels_of(labels: dict[str, str]) -> str:
    """Labels in braces; empty without any."""
    inner = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{inner}}}" if inner else ""
