"""What work is done: plain coroutines with explicit inputs, and TASKS, the table of them all.

Knows neither the queue that wakes a task nor the clock that fires it. A new task is its own module
and its lines here; other code imports the object, never the name.
"""

from __future__ import annotations

from tasks.backfill import find_missed_events
from tasks.housekeeping import tidy_up
from tasks.leaderboard import refresh_leaderboard
from tasks.payment_events import process_payment_events
from tasks.presence import remove_stale_viewers, update_publish_state
from tasks.provider_calls import make_provider_calls
from tasks.reconciliation import prove_everything, prove_new_entries
from tasks.task import Task

# Time limits are bounds for work that hangs, far above what the work takes.
PROCESS_PAYMENT_EVENTS = Task(
    name="process_payment_events",
    function=process_payment_events,
    queue="payments",
    time_limit_ms=60_000,
)
# The task bounds each call; this is for several in a row.
MAKE_PROVIDER_CALLS = Task(
    name="make_provider_calls",
    function=make_provider_calls,
    queue="payments",
    time_limit_ms=600_000,
)
UPDATE_PUBLISH_STATE = Task(
    name="update_publish_state",
    function=update_publish_state,
    queue="clocks",
    time_limit_ms=30_000,
)
REMOVE_STALE_VIEWERS = Task(
    name="remove_stale_viewers",
    function=remove_stale_viewers,
    queue="clocks",
    time_limit_ms=60_000,
)
REFRESH_LEADERBOARD = Task(
    name="refresh_leaderboard",
    function=refresh_leaderboard,
    queue="clocks",
    time_limit_ms=900_000,
)
# An hour, as for the whole proof: after a restore into another cluster it proves everything.
PROVE_NEW_ENTRIES = Task(
    name="prove_new_entries",
    function=prove_new_entries,
    queue="clocks",
    time_limit_ms=3_600_000,
)
PROVE_EVERYTHING = Task(
    name="prove_everything",
    function=prove_everything,
    queue="clocks",
    time_limit_ms=3_600_000,
)
TIDY_UP = Task(
    name="tidy_up",
    function=tidy_up,
    queue="clocks",
    time_limit_ms=60_000,
)
# The task stops sooner by itself, and the next run goes on.
FIND_MISSED_EVENTS = Task(
    name="find_missed_events",
    function=find_missed_events,
    queue="clocks",
    time_limit_ms=720_000,
    waits_for_others=True,
)

TASKS: tuple[Task, ...] = (
    PROCESS_PAYMENT_EVENTS,
    MAKE_PROVIDER_CALLS,
    UPDATE_PUBLISH_STATE,
    REMOVE_STALE_VIEWERS,
    REFRESH_LEADERBOARD,
    PROVE_NEW_ENTRIES,
    PROVE_EVERYTHING,
    TIDY_UP,
    FIND_MISSED_EVENTS,
)
