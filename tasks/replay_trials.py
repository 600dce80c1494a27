"""Trials of replays that people ask for at the console, who may read no payload there.

No row of TASKS: no schedule fires it and no message wakes it, because a loop of each worker looks
for trials by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.operating.trials import make_trial
from tasks.payment_events import interpret_event

if TYPE_CHECKING:
    from tasks.context import Context


async def make_replay_trials(ctx: Context) -> int:
    """Make the trials that were asked for, one after the other; return how many.

    Each is rolled back, so one that is cut short leaves nothing, and is made again.
    """
    made = 0
    while not ctx.stopping.is_set():
        if not await make_trial(ctx.pool, lambda event: interpret_event(ctx.providers, event)):
            break
        made += 1
    return made
