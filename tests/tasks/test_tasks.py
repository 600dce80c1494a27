"""TASKS: each task stands in it once, and its name nowhere else."""

from __future__ import annotations

import re

import pytest

import tasks
from tasks import TASKS
from tasks.task import Task
from tests.strings import modules_that_spell


def test_each_task_has_its_own_name() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_each_task_of_the_module_stands_in_the_table() -> None:
    assert {each for each in vars(tasks).values() if isinstance(each, Task)} == set(TASKS)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_name_of_a_task_stands_in_one_product_module(task: Task) -> None:
    assert modules_that_spell(re.compile(rf"\A{task.name}\Z")) == {"tasks/__init__.py"}
