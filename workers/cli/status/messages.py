"""What `coinfleet status` says of messages to the app: paused, given up, or late."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from db.outbox.deliveries import read_pause, read_undelivered
from workers.cli.status.faults import Fault
from workers.cli.words import counted, duration

if TYPE_CHECKING:
    from db.connections.pool import Pool

# A worker sends a message within seconds.
UNTRIED_AFTER = timedelta(minutes=1)
# A passing cause has passed by then.
FAILING_AFTER = timedelta(minutes=15)
AGAIN = "coinfleet replay deliveries"


async def find_untold(pool: Pool) -> list[Fault]:
    """Return a fault if the app wants no messages or takes none, and one if some were given up."""
    return [
        fault
        for fault in (await _find_pause(pool) or await _find_late(pool), await _find_dead(pool))
        if fault is not None
    ]


async def _find_pause(pool: Pool) -> Fault | None:
    pause = await read_pause(pool)
    if pause is None:
        return None
    waiting = await read_undelivered(pool, state="pending")
    return Fault(
        "app_told_nothing",
        f"the app is told nothing for {duration(pause.paused_s)} ({pause.reason}):"
        f" {counted(waiting.messages if waiting else 0, 'message')} waiting",
        f"mend its address, then: `{AGAIN}`",
    )


async def _find_late(pool: Pool) -> Fault | None:
    late = await read_undelivered(pool, state="pending", longer_than=UNTRIED_AFTER)
    if late is None:
        return None
    what = f"{counted(late.messages, 'message')} to the app"
    if late.failing_s is None:
        return Fault(
            "messages_untried",
            f"{what} untried, the oldest for {duration(late.oldest_s)}, because no worker can send"
            " them",
            "set APP_EVENTS_URL and APP_EVENTS_SECRETS for `worker`",
        )
    if late.failing_s < FAILING_AFTER.total_seconds():
        return None
    return Fault(
        "messages_not_taken",
        f"{what} not taken, the oldest ({late.oldest_id}) for {duration(late.oldest_s)}:"
        f" {late.last_error or 'not tried yet'}; attempts go on",
    )


async def _find_dead(pool: Pool) -> Fault | None:
    dead = await read_undelivered(pool, state="dead")
    if dead is None:
        return None
    return Fault(
        "messages_dead",
        f"given up: {counted(dead.messages, 'message')} to the app, the oldest {dead.oldest_id}"
        f" ({dead.last_error})",
        f"mend the cause, then have them sent again: `{AGAIN} --dead`",
    )
