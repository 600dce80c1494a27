"""PROCESSES is the one table: a process is named in no other Python module of the product."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from db.release.schema import FOLDER, login_roles
from tests.clusters import DECIDERS
from tests.workers.processes import ROOT
from workers.processes import PROCESSES, SCHEDULER, WEB, WORKER, Process
from workers.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]
MODULES = [
    path for name in ("workers", "tasks", "schedules", "db") for path in (ROOT / name).rglob("*.py")
]


def strings(path: Path) -> Iterator[str]:
    """Yield the strings of a module, but no docstring: only people read those."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
    for node in nodes:
        if (
            isinstance(node, ast.Constant)
            and node not in docstrings
            and isinstance(node.value, str)
        ):
            yield node.value


@pytest.mark.parametrize("process", LONG_LIVED, ids=str)
def test_role_address_and_module_of_a_process_stand_in_the_table_alone(process: Process) -> None:
    names = re.compile(rf"\b({process.role}|{process.address}|{process.module})\b")
    found = {
        str(path.relative_to(ROOT))
        for path in MODULES
        for text in strings(path)
        if names.search(text)
    }
    assert found == {"workers/processes.py"}


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_each_process_has_a_setting_for_its_address(process: Process) -> None:
    assert process.address.lower() in Settings.model_fields


def test_each_long_lived_process_has_a_role_and_a_policy() -> None:
    roles = {process.role for process in LONG_LIVED}
    assert roles | {f"coinfleet_{login}" for login in DECIDERS} == set(login_roles())
    policies = {path.stem for path in (FOLDER / "policies").glob("*.sql")}
    assert {process.login for process in LONG_LIVED} <= policies


def test_what_brings_in_work_stops_before_what_does_the_work() -> None:
    assert WEB.stop_by_s < SCHEDULER.stop_by_s < WORKER.stop_by_s
