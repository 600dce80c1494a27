"""A hostile client tries to get coins, or to set the time: each attempt fails and moves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from tests.db.access.attacks import (
    GIVE,
    OURS,
    TRAP,
    TRAPPED_TYPES,
    Parties,
    coins_of_all,
    refused,
    sign_up_parties,
)
from tests.db.books import ROSE, Books
from tests.db.release.catalog_queries import API_ROLES

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.conftest import SignIn

pytestmark = pytest.mark.requirement("F")


@pytest_asyncio.fixture
async def parties(books: Books) -> Parties:
    """Attacker and victim; the books are right when the test ends."""
    return await sign_up_parties(books)


# Hostile input to functions that run with their owner's rights

HOSTILE = (
    "'; update public.profiles set coin_balance = 1000000; --",
    "rose' or 'x'='x",
    "$$; drop table public.gifts; $$",
    "\\'; select pg_sleep(10); --",
    "purchase:stripe:pi_1",
    "%s%s%n",
    "\u202e\U0001f480",
)


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_stays_text(
    books: Books, parties: Parties, signed_in: SignIn, text: str
) -> None:
    client = await signed_in(parties.mallory)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await client.execute(GIVE, parties.victim, text, "key")
    assert caught.value.sqlstate == "CF004"
    await client.execute(GIVE, parties.victim, ROSE, text)
    assert await books.coins(parties.mallory) == 9
    key = await books.db.fetchval("select provider_event_id from public.gifts")
    assert key == f"client:{parties.mallory}:{text}"


async def test_a_key_that_names_anothers_gift_is_the_senders_own(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    victim, mallory = await signed_in(parties.victim), await signed_in(parties.mallory)
    await victim.execute(GIVE, parties.mallory, ROSE, "key")
    key = await books.db.fetchval("select provider_event_id from public.gifts")
    await mallory.execute(GIVE, parties.victim, ROSE, key)
    assert await books.coins(parties.mallory) == 9


@pytest.mark.long_but_first
@pytest.mark.parametrize("quantity", [0, -1, -(2**31), 2**31 - 1, 1_000_001])
async def test_no_quantity_turns_a_gift_into_income(
    books: Books, parties: Parties, signed_in: SignIn, quantity: int
) -> None:
    client = await signed_in(parties.mallory)
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await client.execute(
            "select public.process_gift($1, $2, 'key', $3)", parties.victim, ROSE, quantity
        )
    assert await books.coins(parties.mallory) == 10


async def test_a_gift_whose_cost_no_bigint_holds_is_refused(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    await books.db.execute(
        "insert into public.gift_types (code, name, coin_cost) values ('sun', 'Sun', 2^62)"
    )
    client = await signed_in(parties.mallory)
    with pytest.raises(asyncpg.PostgresError) as caught:
        await client.execute("select public.process_gift($1, 'sun', 'key', 4)", parties.victim)
    assert caught.value.sqlstate == "CF001"
    assert await books.coins(parties.mallory) == 10


async def test_a_heartbeat_of_nulls_watches_nothing(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(
        "select public.update_viewer_heartbeat($1, null, null, null, null)", parties.stream
    )
    for stream in (None, -1, 2**63 - 1):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await client.execute(
                "select public.update_viewer_heartbeat($1, true, true, true, true)", stream
            )
        assert caught.value.sqlstate == "CF007"
    assert await books.db.fetchval("select sum(active_viewer_count) from public.live_streams") == 0


# Search path games

DECOYS = """
create temp table profiles (id uuid, coin_balance bigint, coin_seq bigint);
create temp table gift_types (code text, coin_cost bigint, streamer_share_bps int, active bool);
create temp table settings as select 1 as purchase_limit_usd;
create function pg_temp.uid() returns uuid language sql as 'select null::uuid';
create function pg_temp.clock_timestamp() returns timestamptz language sql
as $$ select 'infinity'::timestamptz $$;
create function pg_temp.sum(bigint) returns numeric language sql as 'select 0::numeric';
create function pg_temp.unnest(anyarray) returns setof anyelement language sql
as 'select $1[1] limit 0';
"""


async def test_what_a_client_puts_on_the_search_path_is_not_found(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(DECOYS)
    await client.execute("insert into profiles values ($1, 1000000, 0)", parties.mallory)
    await client.execute("insert into gift_types values ('rose', -1000, 0, true)")
    await client.execute("set search_path = pg_temp, public, pg_catalog")
    await client.execute(GIVE, parties.victim, ROSE, "key")
    await client.execute(
        "select public.update_viewer_heartbeat($1, true, true, true, true)", parties.stream
    )
    await client.execute(
        "insert into public.follows (follower_id, followee_id) values ($1, $2)",
        parties.mallory,
        parties.victim,
    )
    assert await books.coins(parties.mallory) == 9
    heard = "select last_active_at < now() + interval '1 minute' from public.active_viewers"
    assert await books.db.fetchval(heard)


@pytest.mark.long_but_first
@pytest.mark.parametrize("trapped", TRAPPED_TYPES)
async def test_a_type_that_a_client_makes_is_not_taken_for_the_real_one(
    books: Books, parties: Parties, signed_in: SignIn, trapped: str
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(TRAP.format(type=trapped))
    await client.execute(GIVE, parties.victim, ROSE, "key")
    await client.execute(
        "select public.update_viewer_heartbeat($1, true, true, true, true)", parties.stream
    )
    await client.execute(
        "insert into public.follows (follower_id, followee_id) values ($1, $2)",
        parties.mallory,
        parties.victim,
    )
    robbed = "select bio from public.profiles where id = $1"
    assert await books.db.fetchval(robbed, parties.victim) is None


@pytest.mark.parametrize("role", API_ROLES)
@pytest.mark.parametrize("schema", ["public", "fleet", "auth", "invariants"])
async def test_no_api_role_makes_anything_where_others_would_find_it(
    signed_in: SignIn, role: str, schema: str
) -> None:
    client = await signed_in(role=role)
    await refused(client.execute(f"create table {schema}.decoy (id int)"))
    await refused(
        client.execute(f"create function {schema}.decoy() returns int language sql as 'select 1'")
    )
    await refused(client.execute("create schema decoy"))


# A balance written through every path

MONEY_COLUMNS = """
select format('public.%I', relname), attname
from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where relnamespace = 'public'::regnamespace
    and relname in ('ledger_entries', 'coin_purchases', 'gifts', 'gift_types', 'coin_packages')
"""
CACHES = (
    "coin_balance",
    "earnings_balance",
    "coin_seq",
    "earnings_seq",
    "total_purchased",
    "total_spent",
    "total_gifts_sent",
    "total_gifts_received",
    "follower_count",
)
BALANCE_PATHS = (
    "update public.profiles set coin_balance = 1000000",
    "update only public.profiles set (bio, coin_balance) = ('x', 1000000)",
    "update public.profiles set bio = 'x', coin_balance = coin_balance + 1 where id = auth.uid()",
    "with w as (update public.profiles set coin_balance = 1 returning 1) select * from w",
    (
        "insert into public.profiles (id, coin_balance) values (auth.uid(), 1000000)"
        " on conflict (id) do update set coin_balance = excluded.coin_balance"
    ),
    (
        "merge into public.profiles p using (select auth.uid() as id) m on p.id = m.id"
        " when matched then update set coin_balance = 1000000"
    ),
    "delete from public.profiles",
    "copy public.profiles (id, coin_balance) from stdin",
    "copy public.ledger_entries from stdin",
    "insert into public.gifts default values",
    "insert into public.coin_purchases default values",
    "insert into public.ledger_entries default values",
    "update public.gift_types set coin_cost = 1, streamer_share_bps = 10000",
    "update public.coin_packages set coin_amount = 1000000",
    "update public.live_streams set recent_gift_coins = 1000000",
    "insert into public.leaderboard_cache default values",
    "select public.update_coin_balance_via_ledger(auth.uid(), 1000000, 'x', 'x')",
    "select fleet.post_ledger('{}')",
    "select fleet.apply_events('[]')",
    "select fleet.add_followers('{}', '{}')",
    "select fleet.add_recent_coins('{}', '{}')",
    "select setval('public.ledger_entries_id_seq', 1)",
    "select nextval('public.gifts_id_seq')",
    "alter table public.profiles disable row level security",
    "alter table public.profiles disable trigger all",
    "alter table public.ledger_entries disable trigger all",
    "drop policy everyone_reads on public.profiles",
    "do $$ begin lock table public.profiles in access exclusive mode; end $$",
    (
        "create trigger mine before update on public.profiles"
        " for each row execute function suppress_redundant_updates_trigger()"
    ),
    "create rule mine as on insert to public.chat_messages do also delete from public.gifts",
)


@pytest.mark.requirement("C2")
@pytest.mark.parametrize("role", API_ROLES)
async def test_a_client_can_change_a_balance_by_no_path(
    books: Books, parties: Parties, signed_in: SignIn, role: str
) -> None:
    before = await coins_of_all(books)
    client = await signed_in(parties.mallory, role=role)
    for statement in BALANCE_PATHS:
        await refused(client.execute(statement))
    assert await coins_of_all(books) == before


@pytest.mark.parametrize("role", [*API_ROLES, *OURS[1:]])
async def test_no_role_of_ours_may_write_a_column_of_money(db: Connection, role: str) -> None:
    columns = await db.fetch(MONEY_COLUMNS)
    money = [tuple(row) for row in columns] + [("public.profiles", name) for name in CACHES]
    assert len(money) > 50
    for table, column in money:
        for right in ("insert", "update"):
            sql = "select has_column_privilege($1, $2, $3, $4)"
            assert not await db.fetchval(sql, role, table, column, right), (table, column)


# A time passed by name

TIMED_CALLS = (
    "select public.update_viewer_heartbeat(1, true, true, true, true, p_now => '2999-01-01')",
    (
        "select public.update_viewer_heartbeat(p_stream_id => {stream}, p_is_active => true,"
        " p_is_unmuted => true, p_is_visible => true, p_is_subscribed => true,"
        " p_last_active_at => '2999-01-01')"
    ),
    "select public.update_viewer_heartbeats('[]', p_now => '2999-01-01')",
    "select public.process_gift('{victim}', 'rose', 'key', p_now => '2999-01-01')",
    "select public.process_gift('{victim}', 'rose', 'key', p_created_at => '2999-01-01')",
)
TIMED_WRITES = (
    "select fleet.record_heartbeat('{mallory}', {stream}, true, true, true, true, '2999-01-01')",
    "select fleet.record_heartbeats('[]', '2999-01-01')",
    "select fleet.sweep_viewers('2999-01-01')",
    "select fleet.age_recent_gifts('2999-01-01')",
    "select fleet.refresh_leaderboard('2999-01-01')",
    "select public.cleanup_stale_viewers()",
    "select public.update_publish_state_from_viewers()",
    (
        "insert into public.active_viewers (stream_id, viewer_id, last_active_at)"
        " values ({stream}, '{mallory}', '2999-01-01')"
    ),
    (
        "insert into public.active_viewers (stream_id, viewer_id, activated_at)"
        " values ({stream}, '{mallory}', '1999-01-01')"
    ),
    "update public.active_viewers set last_active_at = '2999-01-01'",
    "update public.active_viewers set activated_at = '2999-01-01'",
    (
        "insert into public.chat_messages (stream_id, profile_id, body, created_at)"
        " values ({stream}, '{mallory}', 'x', '2999-01-01')"
    ),
    (
        "insert into public.follows (follower_id, followee_id, created_at)"
        " values ('{mallory}', '{victim}', '2999-01-01')"
    ),
    "update public.live_streams set started_at = '2999-01-01'",
    "update public.live_streams set is_published = true",
)


@pytest.mark.long_but_first
@pytest.mark.parametrize("call", TIMED_CALLS)
async def test_a_function_that_a_client_may_call_knows_no_time_by_name(
    parties: Parties, signed_in: SignIn, call: str
) -> None:
    client = await signed_in(parties.mallory)
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await client.execute(parties.fill_in(call))


@pytest.mark.long_but_first
@pytest.mark.parametrize("role", API_ROLES)
async def test_no_client_says_what_time_it_is(
    parties: Parties, signed_in: SignIn, role: str
) -> None:
    client = await signed_in(parties.mallory, role=role)
    for statement in TIMED_WRITES:
        await refused(client.execute(parties.fill_in(statement)))


async def test_switching_flags_does_not_count_as_a_heartbeat(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(
        "insert into public.active_viewers (stream_id, viewer_id) values ($1, $2)",
        parties.stream,
        parties.mallory,
    )
    heard = "select last_active_at from public.active_viewers"
    before = await books.db.fetchval(heard)
    await client.execute(
        "update public.active_viewers set is_active = true, is_unmuted = true, is_visible = true,"
        " is_subscribed = true"
    )
    assert await books.db.fetchval(heard) == before
