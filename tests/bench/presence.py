"""Row 7: a sweep and a recompute over a large audience, by how much of it changed; and its notes.

The reference has the same rows and no trigger: it deletes silent viewers and writes every stream.
The bench sets the time: a round is a second. Viewers who stay were heard late enough for all
rounds, so heartbeats that change nothing need not be sent.
"""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from db.connections.pool import open_connection
from tests.bench.measurements import Budget, Pairs, Row, interleave

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from db.connections.pool import Connection
    from tests.clusters import Database

STREAMS = 100_000
VIEWERS = 1_000_000
# The share of viewers who fall silent, join or switch a flag within a round, and the cost that it
# may have as a ratio to the reference: less change costs less. Each viewer is read once or twice in
# any case.
BOUNDS = {0.05: 1.25, 0.01: 0.6, 0.0: 0.4}
SHARES = tuple(BOUNDS)
# It takes seconds to prepare a round.
PAIRS = 3
CALL = 1_000
# As many as one recompute notes for the console, and what their notes may cost.
NOTED = 200
NOTES_BOUND = 1.5
START = datetime(2026, 5, 4, 12, tzinfo=UTC)

_FOLDER = Path(__file__).parent
_STREAMS = """
create schema bench;
create schema textbook;
create function bench.streams() returns bigint language sql immutable as 'select {}::bigint';
"""
_NOTES = re.compile(r",\s*-- For the console.*?limit \d+\s*\)", re.DOTALL)
_DELETE_SILENT = """
delete from textbook.active_viewers where last_active_at <= $1::timestamptz - interval '60 seconds'
"""
_WRITE_EVERY_STREAM = """
update textbook.live_streams as s
set is_published = s.live_available and exists (
    select from textbook.active_viewers as v
    where v.stream_id = s.id and v.is_active and v.is_unmuted and v.is_visible and v.is_subscribed
        and v.last_active_at > $1::timestamptz - interval '60 seconds'
)
"""


@dataclass(frozen=True, slots=True)
class Round:
    """A second, and the numbers of the viewers who do something in it."""

    now: datetime
    share: float
    silent: range
    muted: range
    unmuted: range
    joined: range


def plan_rounds(shares: Sequence[float], *, viewers: int) -> list[Round]:
    """Plan at most one change for each viewer; of a share, two fifths leave and two fifths join."""
    rounds, first, newcomer = [], 1, viewers + 1
    for number, share in enumerate(shares, start=1):
        many, few = int(share * viewers * 2 / 5), int(share * viewers / 10)
        bounds = (first, first + many, first + many + few, first + many + 2 * few)
        silent, muted, unmuted = (range(*pair) for pair in pairwise(bounds))
        joined = range(newcomer, newcomer + many)
        now = START + timedelta(seconds=number)
        rounds.append(Round(now, share, silent, muted, unmuted, joined))
        first, newcomer = bounds[-1], joined.stop
    return rounds


@dataclass(frozen=True, slots=True)
class Crowd:
    """A database with an audience, and the same audience in the textbook's tables."""

    db: Connection

    async def change(self, a_round: Round) -> None:
        """Make the changes of a round on both sides; on ours by calls of a gateway."""
        numbers = [*a_round.muted, *a_round.unmuted, *a_round.joined]
        unmuted = [number not in a_round.muted for number in numbers]
        calls = await self.db.fetch(
            "select bench.gateway_calls($1, $2, $3)", numbers, unmuted, len(numbers) // CALL + 1
        )
        for (call,) in calls:
            heard = "select * from fleet.record_heartbeats($1, $2)"
            assert not await self.db.fetch(heard, call, a_round.now)
        await self.db.execute(
            "select textbook.heartbeat($1, $2, $3)", numbers, unmuted, a_round.now
        )
        # What autovacuum would do at some time is done now: it must not affect one side only.
        await self.db.execute(
            "vacuum public.active_viewers, public.live_streams, fleet.publish_marks,"
            " textbook.active_viewers, textbook.live_streams"
        )

    async def sweep_and_recompute(self, a_round: Round) -> float:
        """Do a worker's two jobs in their usual order; return the ms they took."""
        started = time.perf_counter()
        await self.db.fetch("select * from fleet.recompute_publish_state($1)", a_round.now)
        removed = await self.db.fetchval("select fleet.sweep_viewers($1)", a_round.now)
        took_ms = (time.perf_counter() - started) * 1e3
        assert removed == len(a_round.silent), "others were swept than fell silent"
        return took_ms

    async def delete_and_rewrite(self, a_round: Round) -> float:
        """Do what the textbook does; return the ms it took."""
        started = time.perf_counter()
        deleted = await self.db.execute(_DELETE_SILENT, a_round.now)
        await self.db.execute(_WRITE_EVERY_STREAM, a_round.now)
        took_ms = (time.perf_counter() - started) * 1e3
        assert deleted == f"DELETE {len(a_round.silent)}", "others were deleted than fell silent"
        return took_ms

    async def compare_notes(self, now: datetime, *, pairs: int) -> Pairs:
        """Have streams published by the recompute, and by its text without what notes them."""
        text = await self.db.fetchval(
            "select pg_get_functiondef('fleet.recompute_publish_state(timestamptz, integer)'"
            "::regprocedure)"
        )
        without, found = _NOTES.subn("", text)
        assert found == 1, "the recompute notes its switches in another way"
        await self.db.execute(without.replace("fleet.recompute_publish_state", "bench.recompute"))
        rows = await self.db.fetch(
            "select id from public.live_streams where is_published order by id limit $1", NOTED
        )
        streams = [row["id"] for row in rows]
        return await interleave(
            lambda: self._publish(streams, "fleet.recompute_publish_state", now),
            lambda: self._publish(streams, "bench.recompute", now),
            pairs=pairs,
        )

    async def _publish(self, streams: Sequence[int], function: str, now: datetime) -> float:
        """Switch streams off and on; return the ms in which the function publishes them again."""
        for is_on in (False, True):
            await self.db.execute(
                "update public.live_streams set live_available = $1 where id = any($2)",
                is_on,
                streams,
            )
        started = time.perf_counter()
        switched = await self.db.fetch(f"select * from {function}($1)", now)
        took_ms = (time.perf_counter() - started) * 1e3
        assert len(switched) == len(streams), "others were switched"
        return took_ms

    async def check(self, a_round: Round) -> None:
        """Check that recomputing by change led to the same as recomputing everything."""
        await self.db.execute("update fleet.publish_horizon set everything_at = null")
        recompute = "select * from fleet.recompute_publish_state($1)"
        assert not await self.db.fetch(recompute, a_round.now), "a stream was overlooked"
        counted = "select * from invariants.viewer_counts_match_viewers"
        assert not await self.db.fetch(counted), "a viewer was miscounted"


@asynccontextmanager
async def open_crowd(
    database: Database, rounds: Sequence[Round], *, streams: int = STREAMS, viewers: int = VIEWERS
) -> AsyncIterator[Crowd]:
    """Fill a new database with the audience that the rounds need."""
    # As a superuser, who may switch triggers and foreign keys off while a million rows are written.
    db = await open_connection(
        database.url("superuser"),
        application_name="bench",
        command_timeout_s=None,
        statement_timeout="0",
    )
    try:
        await fill(db, rounds, streams=streams, viewers=viewers)
        yield Crowd(db)
    finally:
        db.terminate()


async def fill(db: Connection, rounds: Sequence[Round], *, streams: int, viewers: int) -> None:
    """Write streams, viewers and the profiles of those who will join; publish what is watched."""
    await db.execute(_STREAMS.format(streams) + (_FOLDER / "crowd.sql").read_text())
    await db.execute("set session_replication_role = replica")
    await db.execute("select bench.add_streams()")
    # The profiles of viewers who are there already are never read.
    await db.execute("select bench.add_profiles($1, $2)", viewers + 1, rounds[-1].joined.stop)
    indexes = [text for (text,) in await db.fetch("select bench.drop_indexes()")]
    busy: list[tuple[range, datetime | None, bool]] = []
    for each in rounds:
        busy += [
            # They have been silent for a minute half a second before they are looked at.
            (each.silent, each.now - timedelta(seconds=60.5), True),
            (each.muted, None, True),
            (each.unmuted, None, False),
        ]
    rest = range(rounds[-1].unmuted.stop, viewers + 1)
    for numbers, heard_at, unmuted in (*busy, (rest, None, True)):
        await db.execute(
            "select bench.add_viewers($1, $2, $3, $4, $5)",
            *(numbers.start, numbers.stop, START, heard_at, unmuted),
        )
    for text in indexes:
        await db.execute(text)
    await db.execute("select bench.count_viewers()")
    await db.execute("set session_replication_role = origin")
    await db.execute("select fleet.recompute_publish_state($1)", START)
    await db.execute("select textbook.copy()")
    await db.execute("vacuum (analyze)")


async def measure(
    database: Database, *, pairs: int, streams: int = STREAMS, viewers: int = VIEWERS
) -> list[Row]:
    """Measure rounds of each share in turn; each side is first in half of them."""
    rounds = plan_rounds(SHARES * min(pairs, PAIRS), viewers=viewers)
    costs = {share: Pairs() for share in SHARES}
    async with open_crowd(database, rounds, streams=streams, viewers=viewers) as crowd:
        for number, each in enumerate(rounds):
            await crowd.change(each)
            taken = costs[each.share]
            sides = [
                (crowd.sweep_and_recompute, taken.ours),
                (crowd.delete_and_rewrite, taken.reference),
            ]
            for sample, values in sides if number % 2 == 0 else reversed(sides):
                values.append(await sample(each))
        await crowd.check(rounds[-1])
        # A sample takes milliseconds.
        noted = await crowd.compare_notes(rounds[-1].now, pairs=5 * pairs)
    return rows(costs, noted, of=f"of {viewers:,} viewers on {streams:,} streams")


def rows(costs: dict[float, Pairs], noted: Pairs, *, of: str) -> list[Row]:
    """Return the rows: the time for the largest share, and each ratio."""
    seconds = [ms / 1e3 for ms in costs[SHARES[0]].ours]
    return [
        Row(
            7,
            f"sweep and recompute, {_percent(SHARES[0])} {of} changed",
            median(seconds),
            Budget(2.0, at_most=True, unit="s"),
            spread=(min(seconds), max(seconds)),
        ),
        *(
            Row.of_ratio(
                7,
                f"sweep and recompute, {_percent(share)} changed, against every stream written",
                pairs,
                budget=Budget(BOUNDS[share], at_most=True),
                unit="ms",
            )
            for share, pairs in costs.items()
        ),
        Row.of_ratio(
            7,
            f"recompute that publishes {NOTED} streams, noted for the console, against not noted",
            noted,
            budget=Budget(NOTES_BOUND, at_most=True),
            unit="ms",
        ),
    ]


def _percent(share: float) -> str:
    return f"{share * 100:g} %" if share else "nothing"
