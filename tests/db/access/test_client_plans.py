"""Frequent queries of clients are answered by an index, at 100,000 rows and as the role that asks.

Row level security is in force, as it is for clients: a policy must not prevent the use of an index.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from db.connections.pool import open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

pytestmark = [pytest.mark.requirement("B3"), pytest.mark.long]

ROWS = 100_000
PROFILES = 1_000
SECOND = "timestamptz '2026-05-01' + n * interval '1 s'"
ME = UUID("00000000-0000-4000-8000-000000000001")


def profile(number: str) -> str:
    """SQL for the id of a profile by a number."""
    return f"('00000000-0000-4000-8000-' || lpad(({number})::text, 12, '0'))::uuid"


# In replication mode triggers and foreign keys are off: only the plans matter here.
PLATFORM = f"""
set session_replication_role = replica;
insert into auth.users (id) select {profile("n")} from generate_series(0, {PROFILES - 1}) as n;
insert into public.profiles (id) select id from auth.users;
insert into public.gift_types (code, name, coin_cost) values ('rose', 'Rose', 1);
insert into public.live_streams (profile_id, live_available, is_published)
select {profile(f"n % {PROFILES}")}, n % 100 = 0, n % 100 = 0
from generate_series(1, {ROWS}) as n;
insert into public.chat_messages (stream_id, profile_id, body, created_at)
select n % 500 + 1, {profile(f"n % {PROFILES}")}, 'Hello', {SECOND}
from generate_series(1, {ROWS}) as n;
insert into public.follows (follower_id, followee_id, created_at)
select {profile(f"n % {PROFILES}")}, {profile(f"(n + n / {PROFILES} + 1) % {PROFILES}")},
    {SECOND}
from generate_series(1, {ROWS}) as n;
insert into public.user_links (profile_id, position, label, url)
select {profile("n / 100")}, n % 100, 'Home', 'https://example.org'
from generate_series(1, {ROWS}) as n;
insert into public.user_grid_slots (viewer_id, slot_index, streamer_id)
select {profile("n / 12")}, n % 12 + 1, {profile(f"n % {PROFILES}")}
from generate_series(1, {ROWS}) as n;
insert into public.active_viewers (stream_id, viewer_id)
select n, {profile(f"n % {PROFILES}")} from generate_series(1, {ROWS}) as n;
insert into public.gifts (provider_event_id, sender_id, recipient_id, stream_id, gift_type,
    coin_amount, platform_revenue, streamer_revenue, created_at)
select 'e' || n, {profile(f"n % {PROFILES}")}, {profile(f"(n + 1) % {PROFILES}")}, n % 500 + 1,
    'rose', 10, 3, 7, {SECOND}
from generate_series(1, {ROWS}) as n;
insert into public.ledger_entries (transaction_id, leg, profile_id, account, amount,
    balance_after, seq, reason, idempotency_key, created_at, xact_id)
select n, 0, {profile(f"n % {PROFILES}")}, 'coins', -10, 0, n, 'gift', 'gift:e' || n,
    {SECOND}, (n / 250 + 3)::text::xid8
from generate_series(1, {ROWS}) as n;
insert into public.coin_purchases (payment_id, profile_id, provider, provider_event_id,
    provider_payment_id, coin_amount, amount_minor, currency, purchased_at, granted_at)
select n, {profile(f"n % {PROFILES}")}, 'stripe', 'e' || n, 'p' || n, 1, 1, 'usd',
    {SECOND}, now()
from generate_series(1, {ROWS}) as n;
insert into public.leaderboard_cache (board, period, rank, profile_id, coins)
select (array['top_streamers', 'top_gifters'])[n % 2 + 1],
    (array['day', 'week', 'month', 'all_time'])[n / 2 % 4 + 1], n / 8 + 1,
    {profile(f"n % {PROFILES}")}, 1
from generate_series(0, {ROWS - 1}) as n;
insert into fleet.leaderboard_sums (board, period, starts_on, profile_id, coins)
select 'top_gifters', 'all_time', '-infinity',
    case when n > {ROWS - PROFILES} then {profile(f"n % {PROFILES}")} else gen_random_uuid() end, n
from generate_series(1, {ROWS}) as n;
insert into fleet.stream_changes (stream_id, viewers, coins)
select n, 1, 1 from generate_series(1, {ROWS}) as n;
reset session_replication_role;
"""


class Question(NamedTuple):
    """A query of clients, the role that asks, and the index that must answer."""

    role: str
    sql: str
    index: str


QUESTIONS: Final = {
    "the newest page of a stream's chat": Question(
        "anon",
        "select * from public.chat_messages where stream_id = 7 order by created_at desc limit 50",
        "chat_messages_stream_id_created_at_idx",
    ),
    "the page of a stream's chat before that": Question(
        "anon",
        "select * from public.chat_messages where stream_id = 7 and created_at < '2026-05-02'"
        " order by created_at desc limit 50",
        "chat_messages_stream_id_created_at_idx",
    ),
    "my grid": Question(
        "authenticated",
        "select * from public.user_grid_slots order by slot_index",
        "user_grid_slots_pkey",
    ),
    "a page of my ledger": Question(
        "authenticated",
        "select * from public.ledger_entries order by created_at desc limit 50",
        "ledger_entries_profile_id_created_at_idx",
    ),
    "my purchases": Question(
        "authenticated",
        "select * from public.coin_purchases order by purchased_at desc limit 20",
        "coin_purchases_profile_id_purchased_at_idx",
    ),
    "where I watch": Question(
        "authenticated",
        "select stream_id from public.active_viewers",
        "active_viewers_viewer_id_activated_at_idx",
    ),
    "a board": Question(
        "anon",
        "select * from public.leaderboard_cache where board = 'top_gifters' and period = 'week'"
        " order by rank limit 100",
        "leaderboard_cache_pkey",
    ),
    "a profile's places on the boards": Question(
        "anon",
        f"select * from public.leaderboard_cache where profile_id = '{ME}'",
        "leaderboard_cache_profile_id_idx",
    ),
    "a profile's newest followers": Question(
        "anon",
        f"select * from public.follows where followee_id = '{ME}'"
        " order by created_at desc limit 50",
        "follows_followee_id_created_at_idx",
    ),
    "whether I follow somebody": Question(
        "authenticated",
        f"select from public.follows where follower_id = '{ME}' and followee_id = '{ME}'",
        "follows_pkey",
    ),
    "a profile's links": Question(
        "anon",
        f"select * from public.user_links where profile_id = '{ME}' order by position",
        "user_links_pkey",
    ),
    "the gifts of a stream": Question(
        "anon",
        "select * from public.gifts where stream_id = 7 order by created_at desc limit 50",
        "gifts_stream_id_created_at_idx",
    ),
    "the gifts that a profile got": Question(
        "anon",
        f"select * from public.gifts where recipient_id = '{ME}' order by created_at desc limit 50",
        "gifts_recipient_id_created_at_idx",
    ),
    "who is on air, most watched first": Question(
        "anon",
        "select * from public.live_streams where is_published"
        " order by active_viewer_count desc limit 50",
        "live_streams_published_idx",
    ),
    "a profile's streams": Question(
        "anon",
        f"select * from public.live_streams where profile_id = '{ME}'",
        "live_streams_profile_id_idx",
    ),
}
# The fleet's own queries of these tables, from the text of its functions.
CLOCKWORK: Final = {
    "the gifts that grew old": Question(
        "coinfleet_owner",
        "select stream_id, sum(coin_amount) from public.gifts"
        " where (created_at at time zone 'UTC') > '2026-05-01 12:00'"
        " and (created_at at time zone 'UTC') <= '2026-05-01 12:01'"
        " and stream_id is not null group by stream_id",
        "gifts_created_at_idx",
    ),
    "the first hundred of a period": Question(
        "coinfleet_owner",
        "select profile_id, coins from fleet.leaderboard_sums where board = 'top_gifters'"
        " and period = 'all_time' and starts_on = '-infinity'"
        " order by coins desc, profile_id limit 100",
        "leaderboard_sums_by_coins_idx",
    ),
    "the oldest late changes": Question(
        "coinfleet_owner",
        "select id from fleet.stream_changes order by id limit 500",
        "stream_changes_pkey",
    ),
}


@pytest.fixture(scope="module")
def platform(cluster: Cluster, template: Database) -> Iterator[Database]:
    """A database with 100,000 rows in each table that clients read."""
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
        await superuser.execute(PLATFORM)
        await superuser.execute("vacuum analyze")
    finally:
        await superuser.close()


@pytest_asyncio.fixture
async def asking(platform: Database) -> AsyncIterator[Connection]:
    """A superuser's connection, which may switch to any role; rolled back with the test."""
    connection = await open_connection(platform.url("superuser"), application_name="test")
    await connection.transaction().start()
    await connection.execute(
        "select set_config('request.jwt.claims', $1, true)", json.dumps({"sub": str(ME)})
    )
    yield connection
    connection.terminate()


@pytest.mark.requirement("B5")
@pytest.mark.parametrize("name", QUESTIONS | CLOCKWORK)
async def test_frequent_queries_are_answered_by_an_index(asking: Connection, name: str) -> None:
    question = (QUESTIONS | CLOCKWORK)[name]
    assert await used(asking, question) == {question.index}


async def used(connection: Connection, question: Question) -> set[str]:
    """Return the indexes that a plan uses, and the names of tables that it reads whole."""
    await connection.execute(f"set local role {question.role}")
    explained = await connection.fetchval(f"explain (format json) {question.sql}")
    found: set[str] = set()

    def visit(node: dict[str, Any]) -> None:
        if "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Heap Scan":
            found.add(node.get("Index Name") or node.get("Relation Name", node["Node Type"]))
        for child in node.get("Plans", ()):
            visit(child)

    visit(json.loads(explained)[0]["Plan"])
    return found


async def test_new_gifts_are_counted_without_reading_a_big_table_whole(
    asking: Connection,
) -> None:
    await asking.execute("update fleet.leaderboard_horizon set upto_xid = '402'")
    whole = (
        "select relname, seq_scan from pg_stat_xact_user_tables"
        " where relname in ('gifts', 'ledger_entries', 'leaderboard_sums', 'live_streams')"
    )
    before = await asking.fetch(whole)
    await asking.execute("select fleet.count_gifts('400', '402', '2026-05-01')")
    await asking.execute("select fleet.write_leaderboard('2026-05-01')")
    await asking.execute("select fleet.change_stream_counters(array[1, 2, 3], array[1, 1, 1])")
    assert await asking.fetch(whole) == before
    assert await asking.fetchval(
        "select sum(coins) from fleet.leaderboard_sums where period = 'day'"
    )
