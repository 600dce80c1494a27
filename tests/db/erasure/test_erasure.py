"""Erasure: nothing tells any more who somebody was, and the ledger is unchanged."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from db.erasure import erase_profile
from db.errors import UnknownProfile
from db.release.runner import migrate
from tests.db.books import Payment, gift
from tests.db.erasure.people import ADDRESS, ERASE, Person, person_with_traces

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.db.books import Books
    from tests.supabase.project import Project

pytestmark = pytest.mark.requirement("I3")

TRACES = ("aurelia", "quint", ADDRESS)

TABLES = """
select c.oid::regclass::text from pg_class c where relkind = 'r'
    and relnamespace in (select oid from pg_namespace where nspname in ('public', 'fleet', 'auth'))
"""
PAYLOADS = "select count(*) from fleet.inbox_events where payload is not null"
# Every column that could hold a person's words, by table.
WORDS = """
select c.oid::regclass::text, attname::text
from pg_attribute join pg_class c on c.oid = attrelid
join pg_type t on t.oid = atttypid
where relkind in ('r', 'p') and attnum > 0 and not attisdropped
    and relnamespace in ('public'::regnamespace, 'fleet'::regnamespace)
    and typcategory in ('S', 'I', 'U', 'A') and typname not in ('uuid', 'xid8', '_int8')
"""


def of(**tables: str) -> set[tuple[str, str]]:
    """Return columns, given as one text per table; `fleet_` stands for the schema fleet."""
    return {
        (table.replace("fleet_", "fleet.", 1), column)
        for table, columns in tables.items()
        for column in columns.split()
    }


ERASED = of(
    profiles="username display_name avatar_url bio",
    active_viewers="tabs",
    live_streams="title",
    chat_messages="body",
    user_links="label url",
    coin_purchases="ip_address country_code user_agent",
    fleet_inbox_events="payload last_error",
    fleet_provider_calls="request result",
)
# Names that providers, apps and we give: of payments, events, products, states and processes.
OF_MACHINES = of(
    coin_packages="provider sku product_id currency",
    coin_purchases="provider provider_event_id provider_payment_id sku currency status hold_reason"
    " decision",
    fx_rates="currency",
    gift_types="code name",
    gifts="provider_event_id gift_type",
    leaderboard_cache="board period",
    ledger_entries="account reason idempotency_key",
    fleet_adjustments="idempotency_key who origin reason",
    fleet_backfills="provider cursor worker last_error",
    fleet_batch_starts="worker",
    fleet_call_pauses="kind reason",
    # Of operators.
    fleet_console_people="subject person",
    fleet_console_sessions="token_hash subject role aal revoked_by origin ended_origin",
    fleet_decisions="verb outcome who origin reason hold_reason",
    fleet_dispute_transactions="provider dispute_id transaction_id currency",
    fleet_disputes="provider dispute_id status currency",
    fleet_erasures="requested_by reason counts",
    fleet_event_tallies="provider state",
    fleet_found_events="provider event_type",
    fleet_freezes="provider source source_id released_by release_reason",
    fleet_inbox_events="provider provider_event_id event_type payload_sha256 state reason"
    " traceparent",
    fleet_joined_purchases="joined_by closed_by closed_reason",
    fleet_leaderboard_sums="board period",
    # The address is an operator's.
    fleet_operator_actions="action who typed_by client_address origin reason detail",
    fleet_payment_halves="provider provider_event_id sku currency told_by",
    fleet_payment_keys="provider key",
    fleet_payments="held_currency held_reason charge_currency total_currency total_told_by"
    " rejection",
    fleet_proofs="kind detail",
    fleet_provider_calls="kind key state provider worker last_error",
    fleet_refunds="provider refund_id status",
    # Operators, too: what a stranger typed is not kept.
    fleet_refused_sign_ins="subject cause origin",
    fleet_replay_trials="states asked_by outcome last_error",
    fleet_schedule_pauses="job paused_by reason",
    fleet_schedules="job",
    fleet_schema_migrations="name checksum",
    fleet_schema_objects="kind name checksum items",
    fleet_set_aside_events="sqlstate",
    fleet_settings="store_sandbox sandbox_profiles",
    fleet_store_line_items="product_id",
    fleet_store_payments="provider provider_payment_id store_app",
    fleet_store_inquiries="provider inquiry_id payment_key store_app reason",
    fleet_ticks="job outcome last_error",
    fleet_web_reports="web detail",
    fleet_worker_reports="worker detail",
)


async def all_that_is_written(connection: Connection) -> str:
    """Return every row of our tables and of the auth service's, as one text in lower case."""
    texts = [
        await connection.fetchval(
            "select string_agg(encode(payload, 'escape'), ' ') from fleet.inbox_events"
        )
    ]
    for (table,) in await connection.fetch(TABLES):
        texts.append(await connection.fetchval(f"select string_agg(t::text, ' ') from {table} t"))
    return " ".join(text for text in texts if text).lower()


@pytest.fixture
async def person(books: Books) -> Person:
    """Somebody who has left a trace in every table."""
    return await person_with_traces(books)


async def test_each_column_is_erased_or_known_to_tell_of_nobody(db: Connection) -> None:
    columns = {tuple(row) for row in await db.fetch(WORDS)}
    assert columns == ERASED | OF_MACHINES


async def test_nothing_tells_who_an_erased_person_was(person: Person) -> None:
    before = await all_that_is_written(person.books.db)
    assert all(trace in before for trace in TRACES)
    await person.erase()
    after = await all_that_is_written(person.books.db)
    assert not [trace for trace in TRACES if trace in after]


async def test_what_was_cleared_is_counted_by_kind(person: Person) -> None:
    assert await person.erase() == {
        # The purchase, its refund, the gift and the gift that was refused.
        "payloads": 4,
        "provider_calls": 1,
        "old_rows": 0,
        "open_events": 0,
        "open_calls": 0,
        "open_messages": 0,
        "purchases": 1,
        "chat_messages": 1,
        "links": 1,
        "follows": 2,
        "grid_slots": 2,
        "viewers": 1,
        "streams": 1,
        "profiles": 1,
        "sign_ins": 1,
    }


async def test_an_erasure_moves_no_coin_and_removes_no_entry(person: Person) -> None:
    books = """
        select (select jsonb_agg(e order by id) from public.ledger_entries e),
            (select jsonb_agg(g order by id) from public.gifts g),
            (select jsonb_agg(to_jsonb(p) - array['ip_address', 'country_code', 'user_agent']
                order by id) from public.coin_purchases p),
            (select jsonb_agg(jsonb_build_array(coin_balance, earnings_balance, total_purchased,
                total_spent, total_gifts_sent) order by id) from public.profiles)
    """
    before = await person.books.db.fetchrow(books)
    await person.erase()
    assert await person.books.db.fetchrow(books) == before


async def test_another_persons_traces_stay(person: Person) -> None:
    await person.erase()
    left = await person.books.db.fetchrow(
        """
        select (select count(*) from public.chat_messages where profile_id = $1) as messages,
            (select count(*) from public.user_links where profile_id = $1) as links,
            (select count(*) from public.user_grid_slots where viewer_id = $1) as slots,
            (select count(*) from public.active_viewers where viewer_id = $1) as viewers,
            (select count(ip_address) from public.coin_purchases where profile_id = $1) as purchases
        """,
        person.other,
    )
    assert left is not None
    assert dict(left) == {"messages": 1, "links": 1, "slots": 1, "viewers": 1, "purchases": 1}
    assert await person.books.db.fetchval(PAYLOADS) == 1


async def test_keys_and_hashes_stay_so_that_nothing_is_applied_twice(person: Person) -> None:
    keys = """
        select provider, provider_event_id, payload_sha256, state
        from fleet.inbox_events order by id
    """
    before = await person.books.db.fetch(keys)
    await person.erase()
    assert await person.books.db.fetch(keys) == before


async def test_a_second_erasure_finds_nothing_and_adds_no_record(person: Person) -> None:
    await person.erase()
    assert set((await person.erase()).values()) == {0}
    assert await person.books.db.fetchval("select count(*) from fleet.erasures") == 1


async def test_the_record_says_who_asked_and_why_and_nothing_of_the_person(person: Person) -> None:
    cleared = await person.erase()
    record = await person.books.db.fetchrow("select * from fleet.erasures")
    assert record is not None
    assert (record["profile_id"], record["requested_by"], record["reason"]) == (
        person.id,
        "an operator",
        "asked",
    )
    assert json.loads(record["counts"]) == cleared


async def test_an_open_event_keeps_its_payload_until_it_is_finished(person: Person) -> None:
    books = person.books
    await books.receive(gift(person.id, person.other, 1))
    assert (await person.erase())["open_events"] == 1
    await books.work()
    later = await person.erase()
    assert (later["open_events"], later["payloads"]) == (0, 1)
    assert await books.db.fetchval("select count(*) from fleet.erasures") == 2


@pytest.mark.parametrize(
    ("address", "goes"),
    [
        ("Aurelia@Quint.example", True),
        ("not.aurelia@quint.example", False),
        ("aurelia@quint.example.org", False),
        ("aurelia@quint.examples", False),
    ],
)
async def test_a_payload_that_names_the_e_mail_address_alone_goes_too(
    person: Person, address: str, *, goes: bool
) -> None:
    body = json.dumps({"object": "customer", "id": "cus_1", "email": address}).encode()
    await person.books.db.execute(
        "insert into fleet.inbox_events"
        " (provider, provider_event_id, event_type, payload, payload_sha256, state, reason,"
        " processed_at) values"
        " ('stripe', 'evt_customer', 'customer.updated', $1, '', 'ignored', 'unused_type', now())",
        body,
    )
    await person.erase()
    left = "select payload from fleet.inbox_events where provider_event_id = 'evt_customer'"
    assert await person.books.db.fetchval(left) == (None if goes else body)


async def test_a_payment_whose_key_begins_like_theirs_is_another(books: Books) -> None:
    person, other = await books.profiles(2)
    short, long = Payment(17), Payment(170)
    await books.apply(short.bought(person), long.bought(other), short.refund(1), long.refund(1))
    await books.db.execute(ERASE, person)
    assert await books.db.fetchval(PAYLOADS) == 2


async def test_a_live_stream_ends_when_its_owner_is_erased(person: Person) -> None:
    await person.books.db.execute("select public.update_publish_state_from_viewers()")
    published = "select is_published from public.live_streams"
    assert await person.books.db.fetchval(published)
    await person.erase()
    assert not await person.books.db.fetchval(published)


async def test_an_unknown_profile_is_refused(books: Books) -> None:
    with pytest.raises(asyncpg.PostgresError, match="unknown_profile") as caught:
        await books.db.execute(ERASE, uuid4())
    assert caught.value.sqlstate == "CF006"


async def test_the_operators_call_returns_the_same_counts(
    person: Person, database: Database
) -> None:
    erasure = await erase_profile(database.url(), person.id, requested_by="me", reason="asked")
    assert (erasure.cleared["profiles"], erasure.open_events) == (1, 0)
    assert not erasure.is_supabase
    with pytest.raises(UnknownProfile):
        await erase_profile(database.url(), uuid4(), requested_by="me", reason="asked")


async def test_two_people_who_follow_each_other_are_erased_at_once(
    person: Person, connect: Connect
) -> None:
    first, second = await connect(), await connect()
    cleared = await asyncio.gather(
        first.fetchval(ERASE, person.id), second.fetchval(ERASE, person.other)
    )
    assert all(json.loads(each)["profiles"] <= 1 for each in cleared)
    assert await person.books.db.fetchval("select count(*) from public.chat_messages") == 0


async def test_an_erasure_racing_a_purchase_of_the_person_leaves_the_books_whole(
    person: Person, connect: Connect
) -> None:
    other = await connect()
    outcomes = await asyncio.gather(
        other.execute(ERASE, person.id), person.books.apply_one(Payment().bought(person.id))
    )
    assert outcomes[1].state == "applied"


async def test_on_supabase_the_sign_in_is_emptied_and_its_sessions_end(project: Project) -> None:
    await migrate(project.url())
    user = uuid4()
    async with project.connected("supabase_auth_admin") as auth:
        await auth.execute(
            "insert into auth.users (id, email, phone, encrypted_password, confirmation_token,"
            " email_confirmed_at, raw_app_meta_data) values ($1, 'a@quint.example', '+423',"
            " 'hash', 'token', now(), '{\"provider\": \"email\"}')",
            user,
        )
        await auth.execute(
            "insert into auth.identities (user_id, provider, provider_id, identity_data)"
            """ values ($1, 'email', 'x', '{"email": "a@quint.example"}')""",
            user,
        )
        await auth.execute("insert into auth.sessions (user_id, ip) values ($1, $2)", user, ADDRESS)
    erasure = await erase_profile(project.url(), user, requested_by="me", reason="asked")
    assert (erasure.is_supabase, erasure.cleared["sign_ins"]) == (True, 3)
    async with project.connected("supabase_admin") as administrator:
        assert "quint" not in await all_that_is_written(administrator)
        left = "select encrypted_password || confirmation_token from auth.users where id = $1"
        assert await administrator.fetchval(left, user) == ""
