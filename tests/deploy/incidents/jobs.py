"""What happens to jobs and books while all processes live, and the row of a buyer is locked.

In this order on one fleet, after events.py: Stripe is away.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from db.connections.pool import open_connection
from tests.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.deploy.incidents.scene import Scene


@asynccontextmanager
async def a_locked_row(scene: Scene) -> AsyncIterator[None]:
    """A session has the row of a buyer who pays, and does not end before the block does."""
    session = await open_connection(scene.fleet.database.url(), application_name="test")
    try:
        async with session.transaction():
            await session.execute("set local idle_in_transaction_session_timeout = 0")
            await session.execute(
                "select from public.profiles where id = $1 for update", scene.buyers[-1]
            )
            await scene.post_paid()
            # Another buyer's event shows that the cause is this one's alone.
            await scene.post_paid()
            yield
    finally:
        session.terminate()


async def wait_for_the_row(scene: Scene) -> None:
    """The worker has given up to wait for the lock, several times."""
    await scene.is_true("select exists (select from fleet.set_aside_events)")
    await scene.age("set_aside_events", "16 minutes", "failing_since")
    await scene.shows("coinfleet_longest_failing_seconds", lambda age: age > 900)


async def read_nothing_of_the_history(scene: Scene) -> None:
    """Stripe is away since the incident before; while it rests, a run asks nothing."""

    async def has_failed() -> bool:
        await scene.run_job("missed_events")
        found: bool = await scene.db.fetchval(
            "select exists (select from fleet.backfills where failing_since is not null)"
        )
        return found

    await eventually(has_failed)
    await scene.age("backfills", "25 hours", "reached_at")
    await scene.shows("coinfleet_history_age_seconds", lambda age: age > 86_400)


async def pause_a_job(scene: Scene) -> None:
    await scene.type("schedules", "pause", "leaderboard")
    await scene.age("schedule_pauses", "16 minutes", "paused_at")
    await scene.shows(
        "coinfleet_schedule_paused_seconds", lambda age: age > 900, schedule="leaderboard"
    )


async def break_a_proof(scene: Scene) -> None:
    """It fails at each of its three attempts; nobody waits for the pauses between them."""
    await scene.superuser.execute(
        "alter function fleet.prove_new_entries rename to prove_nothing_at_all"
    )
    await scene.run_job("new_entries_proof")

    async def has_failed() -> bool:
        await scene.db.execute(
            "update fleet.ticks set claimable_at = now()"
            " where job = 'new_entries_proof' and finished_at is null and last_error is not null"
        )
        found: bool = await scene.db.fetchval(
            "select exists (select from fleet.ticks"
            " where job = 'new_entries_proof' and outcome = 'failed')"
        )
        return found

    await eventually(has_failed, poll_s=0.1)
    await scene.shows("coinfleet_ticks_failed_total", lambda n: n > 0, schedule="new_entries_proof")


async def prove_nothing(scene: Scene) -> None:
    """The proof fails since the incident before."""
    await scene.age("proofs", "16 minutes", "started_at", "finished_at", where="kind = 'new'")
    await scene.shows("coinfleet_proof_age_seconds", lambda age: age > 900, kind="new")


async def tamper_with_a_balance(scene: Scene) -> None:
    """Somebody writes past the ledger; the nightly proof finds it."""
    buyer = scene.buyers.pop()
    await scene.superuser.execute("set session_replication_role = replica")
    await scene.superuser.execute(
        "update public.profiles set coin_balance = coin_balance + 1 where id = $1", buyer
    )
    await scene.run_job("full_proof")
    await scene.shows("coinfleet_ledger_drift", lambda n: n > 0)


JOBS: dict[str, Callable[[Scene], Awaitable[object]]] = {
    "CoinfleetHistoryNotRead": read_nothing_of_the_history,
    "CoinfleetSchedulePaused": pause_a_job,
    "CoinfleetTicksFailed": break_a_proof,
    "CoinfleetNotProved": prove_nothing,
    "CoinfleetLedgerDrift": tamper_with_a_balance,
    "CoinfleetEventKeepsFailing": wait_for_the_row,
}
