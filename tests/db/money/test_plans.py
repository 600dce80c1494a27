"""Plans at 100,000 rows: frequent statements find their rows by index, however long history is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.db.books import PRICE_LIST, Books, Payment, gift
from tests.db.plans import Node, indexes, plan, statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Connection
    from db.facts import Fact
    from tests.clusters import Cluster, Database

EVENTS = 100_000
PROFILES = 1_000

BIG_TABLES = (
    "fleet.inbox_events",
    "fleet.payment_keys",
    "public.coin_purchases",
    "public.ledger_entries",
)

# One purchase per event, one per second; every tenth payment has two names.
HISTORY = f"""
set session_replication_role = replica;
create temporary table old as
select
    n,
    ('00000000-0000-4000-8000-' || lpad((n % {PROFILES})::text, 12, '0'))::uuid as buyer,
    timestamptz '2026-05-01' + n * interval '1 s' as at
from generate_series(1, {EVENTS}) as n;

insert into auth.users (id) select distinct buyer from old;
insert into public.profiles (id, coin_balance, coin_seq, total_purchased)
select buyer, 100 * count(*), count(*), 100 * count(*) from old group by buyer;

insert into fleet.inbox_events (
    provider, provider_event_id, event_type, payload, payload_sha256, state, received_at, payment_id
)
select 'stripe', 'old_' || n, 'test', '', '', 'applied', at, n from old;

insert into fleet.payment_keys (provider, key, payment_id)
select 'stripe', 'pi_old_' || n, n from old;
insert into fleet.payment_keys (provider, key, payment_id)
select 'stripe', 'ch_old_' || n, n from old where n % 10 = 0;
select setval('fleet.payment_id', {EVENTS});

insert into public.coin_purchases (
    payment_id, profile_id, provider, provider_event_id, provider_payment_id, coin_amount,
    amount_minor, currency, usd_amount, status, purchased_at, granted_at
)
select
    n, buyer, 'stripe', 'old_' || n, 'pi_old_' || n, 100, 100, 'usd', 1, 'confirmed', at, at
from old;

insert into public.ledger_entries (
    transaction_id, leg, profile_id, account, amount, balance_after, seq, reason, idempotency_key,
    created_at, xact_id
)
select
    n, 0, buyer, 'coins', 100, 100 * ((n - 1) / {PROFILES} + 1), (n - 1) / {PROFILES} + 1,
    'purchase', 'purchase:stripe:pi_old_' || n, at, (n / 250 + 3)::text::xid8
from old;
reset session_replication_role;
"""


@pytest.fixture(scope="module")
def history(cluster: Cluster, template: Database) -> Iterator[Database]:
    """A database with 100,000 old purchases; its tests roll back what they do."""
    database = asyncio.run(cluster.create(template.name))
    asyncio.run(load(database))
    yield database
    asyncio.run(cluster.drop(database))


async def load(database: Database) -> None:
    """Fill the tables with a year of events."""
    superuser = await open_connection(
        database.url("superuser"), application_name="test", command_timeout_s=None
    )
    await superuser.execute(HISTORY + PRICE_LIST)
    await superuser.execute("vacuum analyze")
    await superuser.close()


@pytest_asyncio.fixture
async def books(history: Database) -> AsyncIterator[Books]:
    """The books in a transaction that is rolled back."""
    connection = await open_connection(history.url(), application_name="test")
    await connection.transaction().start()
    yield Books(connection)
    connection.terminate()


def old_profile(number: int) -> UUID:
    """The id of a profile with many purchases."""
    return UUID(f"00000000-0000-4000-8000-{number:012}")


async def read_whole(connection: Connection) -> dict[str, int]:
    """How often this transaction read a big table from end to end."""
    rows = await connection.fetch(
        "select schemaname || '.' || relname as name, seq_scan from pg_stat_xact_user_tables"
    )
    return {row["name"]: row["seq_scan"] for row in rows if row["name"] in BIG_TABLES}


# Statements


async def test_a_claim_reads_the_index_of_pending_events_in_order(books: Books) -> None:
    claim = statement(
        "fleet.claim_events",
        "return query\n    select\n        e.id, e.provider, e.provider_event_id, e.event_type,"
        " e.payload, e.received_at, e.attempts,\n        pg_current_xact_id()\n"
        "    from fleet.inbox_events as e\n    where e.state = 'pending' and e.starts = 0",
        v_now="now()",
        p_limit=500,
        v_set_aside="'{}'::bigint[]",
        v_first_id="0",
    )
    expected = [Node("Index Scan", "inbox_events_pending_idx", "inbox_events")]
    assert await plan(books.db, claim) == expected


async def test_suspects_are_found_by_an_index_of_their_own(books: Books) -> None:
    suspects = statement("fleet.claim_events", "return query", v_now="now()")
    expected = [Node("Index Scan", "inbox_events_suspect_idx", "inbox_events")]
    assert await plan(books.db, suspects) == expected


@pytest.mark.parametrize("number", [1, 500])
async def test_payment_keys_are_locked_by_index(books: Books, number: int) -> None:
    providers = f"array_fill('stripe'::text, array[{number}])"
    keys = f"(select array_agg('pi_old_' || n) from generate_series(1, {number}) as n)"
    names = statement("fleet.names_of_payments", "select alias", p_providers=providers, p_keys=keys)
    assert indexes([node for node in await plan(books.db, names) if node.table]) == {
        "payment_keys_pkey",
        "payment_keys_payment_id_idx",
    }
    lock = statement("fleet.lock_payments", "perform 1\n", v_providers=providers, v_keys=keys)
    assert indexes(await plan(books.db, lock)) == {"payment_keys_pkey"}


@pytest.mark.requirement("C10")
async def test_a_page_of_somebodys_ledger_is_read_by_its_index(books: Books) -> None:
    page = """
        select * from public.ledger_entries
        where profile_id = $1 order by created_at desc limit 50
    """
    expected = [Node("Index Scan", "ledger_entries_profile_id_created_at_idx", "ledger_entries")]
    assert await plan(books.db, page, old_profile(1)) == expected


async def test_the_proof_of_new_entries_reads_only_them_and_their_neighbours(books: Books) -> None:
    check = statement(
        "fleet.check_entries", "with unbalanced as", p_from="'400'::xid8", p_upto="'402'::xid8"
    )
    nodes = await plan(books.db, check)
    assert indexes([node for node in nodes if node.table in ("ledger_entries", None)]) <= {
        "ledger_entries_xact_id_idx",
        "ledger_entries_profile_id_account_seq_idx",
    }
    assert indexes([node for node in nodes if node.table == "profiles"]) <= {"profiles_pkey", None}


async def test_the_velocity_of_a_buyer_is_read_by_buyer_and_time(books: Books) -> None:
    others = """
        select 1 from public.coin_purchases as cp
        where cp.profile_id = $1 and cp.purchased_at > $2 and cp.purchased_at < $3
    """
    expected = {"coin_purchases_profile_id_purchased_at_idx"}
    nodes = await plan(books.db, others, old_profile(1), books.now, books.now)
    assert indexes(nodes) == expected


# Functions while they run


@pytest.mark.parametrize("number", [1, 15, 100, 500])
async def test_a_batch_of_all_kinds_reads_no_big_table_whole(books: Books, number: int) -> None:
    facts: list[Fact] = []
    for no in range(number):
        payment, buyer = Payment(), old_profile(no % PROFILES)
        nobodys, large = Payment(), Payment()
        old: dict[str, Any] = {"payment_keys": [f"pi_old_{no + 1}", f"ch_old_{no + 1}"]}
        facts += [
            payment.bought(buyer),
            gift(buyer, old_profile((no + 1) % PROFILES)),
            payment.refund(1, **old),
            payment.refunded_so_far(2, **old),
            payment.dispute(1, -1),
            payment.bought(buyer, **old),
            payment.not_ours(),
            payment.dispute(1, -1, dispute_id="abroad", currency="eur"),
            payment.charge_failed(),
            *(nobodys.bought(None, buyer_unreadable=True), nobodys.refund(100)),
            *(large.worth(buyer, 30_000), large.refund(30_000_00)),
        ]
    await books.receive(*facts[:number])
    before = await read_whole(books.db)
    assert len(await books.work()) == number
    assert await read_whole(books.db) == before


async def test_a_new_name_joins_the_known_payment_without_a_merge(books: Books) -> None:
    await books.receive(Payment().refund(1, payment_keys=["re_new", "pi_old_1"]))
    await books.work()
    moved = "select n_tup_upd from pg_stat_xact_user_tables where relid = $1::text::regclass"
    assert await books.db.fetchval(moved, "fleet.payment_keys") == 0
    named = "select payment_id from fleet.payment_keys where key = 're_new'"
    assert await books.db.fetchval(named) == 1


async def test_events_are_stored_without_reading_the_inbox_whole(books: Books) -> None:
    await books.receive(*(Payment().refund(1) for _ in range(200)))
    assert (await read_whole(books.db))["fleet.inbox_events"] == 0


async def test_the_functions_of_the_api_read_no_big_table_whole(books: Books) -> None:
    sender, recipient = old_profile(1), old_profile(2)
    before = await read_whole(books.db)
    await books.adjust(sender, 5)
    await books.db.execute(
        "select public.process_coin_purchase($1, 'stripe', 'evt_rpc', 'pi_rpc', 100, 1.00)", sender
    )
    await books.db.execute(
        "select set_config('request.jwt.claims', $1, true)", json.dumps({"sub": str(sender)})
    )
    await books.db.execute("select public.process_gift($1, 'rose', 'key')", recipient)
    assert await read_whole(books.db) == before


async def test_counting_events_reads_no_event(books: Books) -> None:
    before = await read_whole(books.db)
    await books.db.execute("select * from fleet.event_counts()")
    assert await read_whole(books.db) == before
