"""Plans of the doctor's questions: they read open work alone, however much history there is."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from db.health.heard import HEARD, LATELY, REFUSED
from db.health.stranded import (
    DEAD,
    LEASED,
    LOOKED_AT_MAX,
    SUSPECTS,
    TICKS,
    TRIALS,
    WAITING,
)
from tests.db.console.histories import History, history_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clusters import Cluster, Database

# One event in 500 is open; those of the app are few, and nothing but submissions came of Google.
HISTORY = """
set session_replication_role = replica;
insert into fleet.inbox_events
    (provider, provider_event_id, event_type, payload_sha256, state, reason, starts, received_at,
     next_attempt_at)
select case n % 2 when 0 then 'stripe' else 'google' end,
    case n % 2 when 0 then 'evt_' else 'client:' end || n, 'test', '',
    case n % 500 when 1 then 'waiting' when 3 then 'pending' when 5 then 'dead' else 'applied' end,
    case n % 500 when 1 then 'no_purchase_yet' when 5 then 'failed' end,
    case n % 1000 when 3 then 1 else 0 end,
    now() - n * interval '1 s', now()
from generate_series({0}, 1, -1) n;
insert into fleet.provider_calls (kind, key, request, state, lease_until, next_attempt_at)
select 'stripe.refund', 'k' || n, '{{}}', case n % 500 when 1 then 'pending' else 'done' end,
    case n % 500 when 1 then now() - interval '1 hour' end, now()
from generate_series({0}, 1, -1) n;
insert into fleet.ticks (job, tick, finished_at, outcome)
select 'job ' || n % 7, n, case when n > 7 then now() end, case when n > 7 then 'done' end
from generate_series({0}, 1, -1) n;
insert into fleet.replay_trials (event_ids, states, asked_by, finished_at, last_error)
select '{{1}}', '{{dead}}', 'ann', case when n > 7 then now() end, case when n > 7 then 'x' end
from generate_series({0}, 1, -1) n;
reset session_replication_role;
analyze;
"""
DAYS = timedelta(days=3)
QUESTIONS = [
    (SUSPECTS, (LOOKED_AT_MAX,), "inbox_events_suspect_idx"),
    (WAITING, (DAYS, LOOKED_AT_MAX), "inbox_events_waiting_idx"),
    (DEAD, (LOOKED_AT_MAX,), "inbox_events_dead_idx"),
    (TRIALS, (DAYS, LOOKED_AT_MAX), "replay_trials_open_idx"),
    (LEASED, (DAYS, LOOKED_AT_MAX), "provider_calls_leased_idx"),
    (TICKS, (DAYS, LOOKED_AT_MAX), "ticks_unfinished_idx"),
    (REFUSED, (LATELY, ["malformed"]), "inbox_events_pkey"),
    (HEARD, (["app", "google", "stripe"],), "one_row_an_event"),
]


@pytest.fixture(
    scope="module",
    params=[
        100,
        pytest.param(100_000, marks=pytest.mark.long),
        pytest.param(1_000_000, marks=pytest.mark.long),
    ],
)
def history(
    cluster: Cluster, template: Database, request: pytest.FixtureRequest
) -> Iterator[History]:
    """A database with so much history."""
    sql = HISTORY.format(request.param)
    with history_of(cluster, template, sql, request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("sql", "values", "expected"), QUESTIONS, ids=[each[2] for each in QUESTIONS]
)
async def test_a_question_reads_the_index_of_what_is_open(
    history: History, sql: str, values: tuple[object, ...], expected: str
) -> None:
    assert await history.used(sql, *values) == {expected}
