"""What work is done: plain coroutines with explicit inputs, and TASKS, the table of them all.

Nothing here knows the queue that wakes a task, nor the clock that fires it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.housekeeping import tidy_up
from tasks.leaderboard import refresh_leaderboard
from tasks.payment_events import process_payment_events
from tasks.presence import remove_stale_viewers, update_publish_state
from tasks.reconciliation import prove_everything, prove_new_entries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tasks.context import Context


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work. A message older than `max_age_ms` is dropped: another rings soon."""

    name: str
    function: Callable[[Context], Awaitable[Any]]
    queue: str
    time_limit_ms: int
    max_age_ms: int = 10_000


# Time limits are bounds for what hangs, far above what the work takes.
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("process_payment_events", process_payment_events, "payments", 60_000),
        Task("update_publish_state", update_publish_state, "clocks", 30_000),
        Task("remove_stale_viewers", remove_stale_viewers, "clocks", 60_000),
        # In another cluster, after a restore, it proves everything.
        Task("prove_new_entries", prove_new_entries, "clocks", 3_600_000),
        Task("prove_everything", prove_everything, "clocks", 3_600_000),
        Task("refresh_leaderboard", refresh_leaderboard, "clocks", 900_000),
        Task("tidy_up", tidy_up, "clocks", 60_000),
    )
}
