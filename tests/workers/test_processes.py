"""PROCESSES is the one table: a process is named in no other Python module of the product."""

from __future__ import annotations

import re

import pytest

from db.release.schema import FOLDER, login_roles
from tests.clusters import DECIDERS
from tests.strings import modules_that_spell
from workers.processes import PROCESSES, SCHEDULER, WEB, WORKER, Process
from workers.settings import Settings

LONG_LIVED = [process for process in PROCESSES.values() if process.is_long_lived]


@pytest.mark.parametrize("process", LONG_LIVED, ids=str)
def test_role_address_and_module_of_a_process_stand_in_the_table_alone(process: Process) -> None:
    names = re.compile(rf"\b({process.role}|{process.address}|{process.module})\b")
    assert modules_that_spell(names) == {"workers/processes.py"}


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
