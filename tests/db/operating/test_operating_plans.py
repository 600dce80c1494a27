"""Plans at 100,000 rows: what operators ask and do costs the same however long history is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.facts import Verdict
from db.operating.calls import find_calls, find_dead_calls, replay_calls
from db.operating.matching import INDEXED_STATES, STEP_IDS, Filter, Match, find_events
from db.operating.rates import read_newest_rates, read_stale_rates
from db.operating.replaying import Request, replay
from db.operating.stories import LINES_MAX, tell
from db.operating.subjects import find_subjects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from db.connections.pool import Connection
    from db.operating.stories import Happening
    from db.operating.subjects import Subject
    from tests.clusters import Cluster, Database

pytestmark = pytest.mark.long

ROWS = 100_000
# Of many rows, each question may read so many.
FEW = 500
BIG_TABLES = (
    "coin_purchases",
    "disputes",
    "fx_rates",
    "gifts",
    "inbox_events",
    "ledger_entries",
    "live_streams",
    "operator_actions",
    "payment_halves",
    "payment_keys",
    "profiles",
    "provider_calls",
    "refunds",
)
REQUEST = Request(typed_by="ann@desk", reason="a test", filter={})

HISTORY = f"""
set session_replication_role = replica;
create temporary table old as
select n, now() - n * interval '10 s' as at from generate_series(1, {ROWS}) as n;

insert into fleet.inbox_events (
    provider, provider_event_id, event_type, payload, payload_sha256, state, reason, received_at
)
select
    'stripe', 'old_' || n, 'test', '{{}}', '',
    case when n % 20000 = 1 then 'held' when n % 20000 = 2 then 'dead' else 'applied' end,
    case when n % 20000 = 1 then 'no_fx_rate' when n % 20000 = 2 then 'failed' end, at
from old order by n desc;

insert into fleet.event_tallies (provider, state, delta)
select provider, state, count(*) from fleet.inbox_events group by provider, state;

insert into public.coin_purchases (
    payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, usd_amount, status, hold_reason, purchased_at, created_at, granted_at
)
select
    n, ('00000000-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid, 'stripe',
    'old_' || n, 'pi_old_' || n, 100, 100,
    case when n % 20000 = 1 then 'gbp' else 'usd' end, 1,
    case when n % 20000 = 1 then 'pending' else 'confirmed' end,
    case when n % 20000 = 1 then 'no_fx_rate' end, at, at,
    case when n % 20000 <> 1 then at end
from old order by n desc;

insert into fleet.provider_calls (kind, key, state, finished_at)
select 'stripe.fetch_event', 'key_' || n, case when n % 20000 = 2 then 'dead' else 'done' end, at
from old;

insert into fleet.provider_calls (kind, key, state, finished_at, result)
select 'stripe.refund', 'coinfleet:refund:' || n, 'done', at,
    jsonb_build_object('refund_id', 're_made_' || n)
from old where n <= 5000;

insert into fleet.provider_calls (kind, key, state, finished_at)
select 'app.deliver', kind || n || '-17', 'done', at
from old cross join unnest(array['purchase-rejected-', 'purchase-credited-']) as k (kind);

insert into fleet.payment_keys (provider, key, payment_id)
select 'stripe', 'pi_old_' || n, n from old;

insert into fleet.payment_halves (provider, provider_event_id, payment_id, told_by)
select 'stripe', 'old_' || n, n, 'intent' from old;

insert into fleet.refunds (provider, refund_id, payment_id, amount_minor, status)
select 'stripe', 're_old_' || n, n, 1, 'succeeded' from old;

insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor, currency, status)
select 'stripe', 'dp_old_' || n, n, 1, 'usd', 'won' from old;

insert into public.profiles (id, coin_balance, coin_seq)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 1, 1
from generate_series(0, 999) as n;

insert into public.ledger_entries (
    transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key,
    created_at, xact_id
)
select
    n, 0, ('00000000-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid, 'coins', 1,
    n / 1000 + 1, n / 1000 + 1, 'purchase',
    case when n % 2 = 0 then 'purchase:stripe:pi_old_' || n else 'gift:key_' || n end, at, '3'
from old;

insert into public.gifts (
    provider_event_id, sender_id, recipient_id, gift_type, quantity, coin_amount, platform_revenue,
    streamer_revenue, stream_id, created_at
)
select
    'key_' || n, ('00000000-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid,
    ('00000000-0000-4000-8000-' || lpad(((n + 1) % 1000)::text, 12, '0'))::uuid, 'rose', 1, 1, 0,
    1, n, at
from old;

insert into public.live_streams (profile_id)
select ('00000000-0000-4000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid from old;

insert into fleet.operator_actions (action, typed_by, reason, event_ids, call_ids)
select 'replay', 'ann', 'a test', array[n], array[n] from old;

insert into public.fx_rates (currency, usd_per_unit, as_of)
select chr(97 + n % 26) || 'ab', 1, at from old where chr(97 + n % 26) || 'ab' <> 'usd';
reset session_replication_role;
"""


@pytest.fixture(scope="module")
def history(cluster: Cluster, template: Database) -> Iterator[Database]:
    """A database with 100,000 old events, purchases, calls and rates."""
    database = asyncio.run(cluster.create(template.name))
    asyncio.run(load(database))
    yield database
    asyncio.run(cluster.drop(database))


async def load(database: Database) -> None:
    """Fill the tables."""
    superuser = await open_connection(
        database.url("superuser"), application_name="test", command_timeout_s=None
    )
    try:
        await superuser.execute(HISTORY)
        await superuser.execute("vacuum analyze")
    finally:
        await superuser.close()


@pytest_asyncio.fixture
async def big(history: Database) -> AsyncIterator[Connection]:
    """The owner's session, in a transaction that is rolled back."""
    connection = await open_connection(history.url(), application_name="test")
    await connection.transaction().start()
    yield connection
    connection.terminate()


async def read(connection: Connection) -> tuple[list[str], int]:
    """Which big tables this transaction has read from end to end, and how many rows in all."""
    rows = await connection.fetch(
        "select relname, seq_scan, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows"
        " from pg_stat_xact_user_tables where relname = any($1)",
        BIG_TABLES,
    )
    return [row["relname"] for row in rows if row["seq_scan"]], sum(row["rows"] for row in rows)


async def found(connection: Connection, wanted: Filter) -> list[Match]:
    return [match async for step in find_events(connection, wanted) for match in step.found]


@pytest.mark.parametrize("state", INDEXED_STATES)
async def test_open_and_dead_events_are_found_by_an_index_of_their_state(
    big: Connection, state: str
) -> None:
    matches = await found(big, Filter(states=[state]))
    assert len(matches) == {"held": 5, "dead": 5}.get(state, 0)
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


async def test_named_events_are_found_by_their_keys(big: Connection) -> None:
    matches = await found(big, Filter(ids=[7, 8], names=["old_9", "old_10", "no"]))
    assert len(matches) == 4
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


async def test_a_walk_reads_a_step_at_a_time_and_ends_at_its_time(big: Connection) -> None:
    # A hundred seconds, and a day of tolerance: some 8,700 of 100,000 events.
    since = await big.fetchval("select now() - interval '100 s'")
    await found(big, Filter(states=["applied"], since=since))
    whole, rows = await read(big)
    assert whole == []
    assert rows <= 2 * STEP_IDS + FEW


async def test_a_batch_is_made_pending_by_its_numbers(big: Connection) -> None:
    matches = await found(big, Filter(states=["dead"]))
    _, before = await read(big)
    batch = await replay(big, matches, REQUEST)
    assert len(batch.endings) == 5
    whole, rows = await read(big)
    assert (whole, rows - before < FEW) == ([], True)


async def test_calls_are_found_and_made_again_by_their_numbers(big: Connection) -> None:
    dead = await find_dead_calls(big)
    assert len(dead) == 5
    assert len(await find_calls(big, ids=[1, 2, 3], keys=["key_9", "no"])) == 4
    await replay_calls(big, [call.call_id for call in dead], REQUEST)
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


async def test_the_newest_rates_cost_as_much_as_there_are_currencies(big: Connection) -> None:
    assert len(await read_newest_rates(big)) == 26
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


async def test_a_rate_is_compared_with_the_one_before_it_only(big: Connection) -> None:
    await big.fetch(
        "select * from fleet.rate_faults(array['aab'], array[1.1], array[now()], true, now())"
    )
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


async def test_stale_rates_are_asked_of_a_bounded_part_of_the_purchases(big: Connection) -> None:
    [stale] = await read_stale_rates(big)
    assert (stale.currency, stale.newest_at) == ("gbp", None)
    whole, rows = await read(big)
    assert whole == []
    # The newest 10,000, and what is held.
    assert rows < 10_000 + FEW


async def test_what_is_held_for_want_of_a_rate_is_found_by_its_state(big: Connection) -> None:
    assert len(await big.fetch("select * from fleet.holds_without_rate(array['gbp'])")) == 5
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


PROFILE = "00000000-0000-4000-8000-000000000001"
NAMED = (
    "old_7", "pi_old_8", "re_old_9", "dp_old_10", PROFILE, "purchase:11", "gift:13", "stream:13",
    "event:14", "call:15", "key_16", "re_made_20",
)  # fmt: skip


@pytest.mark.parametrize("typed", [*NAMED, "nothing", "9", "key_"])
async def test_what_an_id_means_is_found_by_indexes(big: Connection, typed: str) -> None:
    await find_subjects(big, typed, providers=["stripe", "apple", "google", "app"])
    whole, rows = await read(big)
    assert (whole, rows < FEW) == ([], True)


@pytest.mark.parametrize("typed", NAMED)
async def test_a_story_is_told_by_indexes(history: Database, typed: str) -> None:
    connection = await open_connection(history.url(), application_name="test")
    try:
        subject, *_ = await find_subjects(connection, typed, providers=["stripe"])
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            told = await tell_in(connection, subject)
            whole, rows = await read(connection)
    finally:
        connection.terminate()
    assert told
    assert (whole, rows < 4 * FEW) == ([], True)
    assert len(told) <= LINES_MAX + FEW


async def tell_in(connection: Connection, subject: Subject) -> Sequence[Happening]:
    """Tell a story in the transaction whose reads are counted."""
    verdict = Verdict(state="ignored", reason="not_ours")
    return (await tell(connection, subject, interpret=lambda _: verdict)).happenings
