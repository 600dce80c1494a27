"""Trials of replays: the console asks for one, and a worker makes it and tells what would come.

A trial applies the events in transactions that are rolled back, batch by batch. Nothing here knows
a provider: what an event means is handed in as `interpret`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import msgspec

from db.errors import is_server_unfit, is_transient, sqlstate_of
from db.inbox.batches import ClaimedEvent, EventId
from db.inbox.claims import as_row, interpret_events
from db.operating.replaying import BATCH_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from db.connections.pool import Connection, Pool
    from db.facts import Fact
    from db.operating.matching import Match

# What a trial waits for a lock: a worker's batch goes first.
LOCK_TIMEOUT_MS = 2_000


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How many events would go from one state to another."""

    before: str
    reason_before: str | None
    state: str
    reason: str | None
    events: int


class Coins(msgspec.Struct, frozen=True, kw_only=True):
    """Coins that would move in an account, to how many people and from how many."""

    gained: int = 0
    gainers: int = 0
    lost: int = 0
    losers: int = 0


class TrialOutcome(msgspec.Struct, kw_only=True):
    """What a replay would do. Each batch was tried for itself, so none saw what another would."""

    batches: int = 0
    settled: int = 0
    """Events outside of the replay that would be settled by it."""
    failed: int = 0
    """Events of batches that could not be tried."""
    error: str | None = None
    changes: list[Change] = []
    skipped: dict[str, int] = {}
    coins: dict[str, Coins] = {}


class Trial(NamedTuple):
    """A trial that this worker has to make."""

    trial_id: int
    event_ids: list[int]
    states: list[str]


class AskedTrial(NamedTuple):
    """A trial as the person sees it who asked for it."""

    asked_at: datetime
    finished_at: datetime | None
    outcome: TrialOutcome | None
    error: str | None


async def ask_trial(database: Pool | Connection, matches: Sequence[Match], *, typed_by: str) -> int:
    """Ask for a trial of up to 10,000 events; return its number."""
    trial_id: int = await database.fetchval(
        "select fleet.ask_trial($1, $2, $3)",
        [match.event_id for match in matches],
        [match.state for match in matches],
        typed_by,
    )
    return trial_id


async def read_trial(database: Pool | Connection, trial_id: int) -> AskedTrial | None:
    """Return a trial of the last day."""
    row = await database.fetchrow(
        "select asked_at, finished_at, outcome, last_error from fleet.replay_trials where id = $1",
        trial_id,
    )
    if row is None:
        return None
    outcome = row["outcome"] and msgspec.json.decode(row["outcome"], type=TrialOutcome)
    return AskedTrial(row["asked_at"], row["finished_at"], outcome, row["last_error"])


async def make_trial(pool: Pool, interpret: Callable[[ClaimedEvent], Fact]) -> bool:
    """Make the oldest trial that was asked for; return whether there was one.

    Raises what the database does if it is unreachable: the trial is then made later.
    """
    row = await pool.fetchrow("select trial_id, event_ids, states from fleet.claim_trial()")
    if row is None:
        return False
    trial = Trial(*row)
    outcome = TrialOutcome()
    changes: Counter[tuple[str, str | None, str, str | None]] = Counter()
    skipped: Counter[str] = Counter()
    async with pool.acquire() as connection:
        for at in range(0, len(trial.event_ids), BATCH_EVENTS):
            part = slice(at, at + BATCH_EVENTS)
            states = dict(zip(trial.event_ids[part], trial.states[part], strict=True))
            outcome.batches += 1
            try:
                await _try_batch(
                    connection, trial.trial_id, at, states, interpret, outcome, changes, skipped
                )
            except Exception as error:
                # A lock or a deadlock is said; of a lost connection nothing can be said yet.
                is_lost = is_transient(error) and not isinstance(error, asyncpg.PostgresError)
                if is_lost or is_server_unfit(error):
                    raise
                outcome.failed += len(states)
                # A message may quote a value.
                outcome.error = sqlstate_of(error) or type(error).__name__
    outcome.skipped = dict(skipped)
    outcome.changes = [
        Change(before=was, reason_before=why, state=state, reason=reason, events=events)
        for (was, why, state, reason), events in sorted(changes.items(), key=str)
    ]
    told = msgspec.json.encode(outcome).decode()
    await pool.execute("select fleet.finish_trial($1, $2::jsonb, null)", trial.trial_id, told)
    return True


async def _try_batch(  # noqa: PLR0917 -- the sums of the trial
    connection: Connection,
    trial_id: int,
    at: int,
    before: Mapping[int, str],
    interpret: Callable[[ClaimedEvent], Fact],
    outcome: TrialOutcome,
    changes: Counter[tuple[str, str | None, str, str | None]],
    skipped: Counter[str],
) -> None:
    """Try a batch and add what would come of it to the sums."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"set local lock_timeout = {LOCK_TIMEOUT_MS:d}")
        rows = await connection.fetch(
            "select id, skipped, reason_before, provider, provider_event_id, event_type, payload,"
            " received_at, attempts from fleet.begin_trial_batch($1, $2, $3)",
            trial_id,
            at + 1,
            BATCH_EVENTS,
        )
        left = [row["skipped"] for row in rows if row["skipped"]]
        pending = [row for row in rows if not row["skipped"]]
        events = [ClaimedEvent(EventId(row["id"]), *tuple(row)[3:]) for row in pending]
        facts = [as_row(*each) for each in await interpret_events(connection, events, interpret)]
        outcomes = await connection.fetch(
            "select waited_s from fleet.apply_claimed_events($1::jsonb)",
            msgspec.json.encode(facts).decode(),
        )
        endings = await connection.fetch(
            "select event_id, state, reason from fleet.trial_endings($1)",
            [event.id for event in events],
        )
        moved = await connection.fetch("select * from fleet.moved_coins()")
    finally:
        await transaction.rollback()
    skipped.update(left)
    outcome.settled += sum(row["waited_s"] is not None for row in outcomes)
    reasons = {row["id"]: row["reason_before"] for row in pending}
    changes.update(
        (before[row["event_id"]], reasons[row["event_id"]], row["state"], row["reason"])
        for row in endings
    )
    for account, gained, gainers, lost, losers in moved:
        known = outcome.coins.get(account, Coins())
        outcome.coins = outcome.coins | {
            account: Coins(
                gained=known.gained + gained,
                gainers=known.gainers + gainers,
                lost=known.lost + lost,
                losers=known.losers + losers,
            )
        }
