"""Plans of the lists of calls, found events, streams and runs, and of what retries look up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from db.console import call_list, found_list, retries, schedule_runs, stream_list
from tests.db.console.histories import History, history_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clusters import Cluster, Database

HISTORY = """
set session_replication_role = replica;
insert into fleet.inbox_events
    (provider, provider_event_id, event_type, payload_sha256, state, received_at)
select 'stripe', 'old_' || n, 'test', '', 'applied', now() - n * interval '1 s'
from generate_series({0}, 1, -1) n;
insert into fleet.provider_calls (kind, key, state, next_attempt_at)
select case n % 3 when 0 then 'app.deliver' else 'stripe.refund' end, 'key_' || n,
    case n % 500 when 1 then 'dead' when 2 then 'pending' else 'done' end, now()
from generate_series({0}, 1, -1) n;
insert into fleet.backfills
    (provider, is_scheduled, from_at, to_at, worker, started_at)
values ('stripe', true, now(), now(), 'w', now());
insert into fleet.found_events
    (event_id, backfill_id, provider, event_type, made_at, found_at, is_missed)
select n, 1, 'stripe', 'test', now(), now(), n % 2 = 0 from generate_series({0}, 1, -1) n;
insert into public.live_streams (profile_id, live_available, is_published)
select gen_random_uuid(), n % 3 = 0, n % 300 = 0 from generate_series({0}, 1, -1) n;
insert into fleet.publish_changes (stream_id, is_published)
select n % 500, n % 2 = 0 from generate_series({0}, 1, -1) n;
insert into fleet.ticks (job, tick, finished_at, outcome)
select 'job_' || n % 7, n, now(), 'done' from generate_series({0}, 1, -1) n;
insert into fleet.operator_actions (action, typed_by, reason, event_ids, call_ids)
select 'replay', 'ann', 'why', array[n], array[n] from generate_series({0}, 1, -1) n;
insert into fleet.replay_trials (event_ids, states, asked_by, finished_at, last_error)
select array[n], array['dead'], 'ann', now(), 'why' from generate_series({0}, 1, -1) n;
reset session_replication_role;
analyze;
"""


@pytest.fixture(
    scope="module",
    params=[100, *(pytest.param(n, marks=pytest.mark.long) for n in (100_000, 1_000_000))],
)
def history(
    cluster: Cluster, template: Database, request: pytest.FixtureRequest
) -> Iterator[History]:
    """A database with so many rows in each table that the pages read."""
    sql = HISTORY.format(request.param)
    # Pages look through GIN indexes that are as they are after a vacuum.
    with history_of(
        cluster,
        template,
        sql,
        request.param,
        then="vacuum fleet.operator_actions",
        off="enable_sort",
    ) as made:
        yield made


@pytest.mark.parametrize("state", [None, *call_list.STATES], ids=str)
async def test_a_list_of_calls_reads_the_ids_or_what_is_dead(
    history: History, state: str | None
) -> None:
    expected = {"provider_calls_dead_idx" if state == "dead" else "provider_calls_pkey"}
    assert await history.used(call_list.page_query(state), 2**62, "none", state) == expected
    assert await history.used(call_list.bound_query(state), 2**62) == expected


async def test_found_events_are_read_by_id(history: History) -> None:
    expected = {"found_events_pkey"}
    found = await history.used(found_list.PAGE_QUERY, 2**62, False)  # noqa: FBT003
    assert found == expected | {"inbox_events_pkey"}
    assert await history.used(found_list.BOUND_QUERY, 2**62) == expected


@pytest.mark.parametrize("shown", [None, *stream_list.SHOWN], ids=str)
async def test_a_list_of_streams_reads_the_ids_or_what_is_published(
    history: History, shown: str | None
) -> None:
    index = "live_streams_published_idx" if shown == "published" else "live_streams_pkey"
    assert await history.used(stream_list.page_query(shown), 2**62, shown == "live") == {index}
    assert await history.used(stream_list.bound_query(shown), 2**62) == {index}


async def test_switches_and_runs_are_read_from_the_newest_on(
    history: History,
) -> None:
    assert await history.used(stream_list.CHANGES_QUERY) == {"publish_changes_pkey"}
    assert await history.used(stream_list.CHANGES_OF_ONE_QUERY, 7) == {
        "publish_changes_stream_id_idx"
    }
    assert await history.used(schedule_runs.RUNS_QUERY, "job_1") == {"ticks_pkey"}


async def test_what_became_of_a_retry_is_read_by_its_notes(history: History) -> None:
    notes = {"operator_actions_pkey"}
    for query in (retries.CHANGES_QUERY, retries.UNWELL_QUERY):
        assert await history.used(query, [1, 2]) == notes | {"inbox_events_pkey"}
    assert await history.used(call_list.NOTED_QUERY, 1) == notes | {"provider_calls_pkey"}
    assert await history.used(retries.NOTE_QUERY, 7) == {"operator_actions_event_ids_idx"}
    assert await history.used(call_list.NOTE_QUERY, [7]) == {"operator_actions_call_ids_idx"}
    assert await history.used("select outcome from fleet.replay_trials where id = $1", 1) == {
        "replay_trials_pkey"
    }
