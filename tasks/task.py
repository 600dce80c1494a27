"""Task: what a piece of work is called, which queue wakes it and how long it may take.

Owns the class only; the tasks themselves stand in TASKS, in `tasks/__init__.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.context import Context

# Payment events have a queue to themselves, so that a long proof never makes them wait.
Queue: TypeAlias = Literal["payments", "clocks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A piece of work that a worker does when a message or a schedule asks for it.

    `name` stands in messages, and workers of the last release read those: it must not change.
    `function` ends with an error after `time_limit_ms`. A message older than `max_age_ms` is
    dropped, because another one follows soon. One that `waits_for_others`, as for a provider, runs
    while no transaction is open, because others wait for old transactions.
    """

    name: str
    function: Callable[[Context], Awaitable[Any]]
    queue: Queue
    time_limit_ms: int
    max_age_ms: int = 10_000
    waits_for_others: bool = False
