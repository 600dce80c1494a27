"""A hostile client pretends to be another user, another role or nobody; each attempt fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.clusters import LOGINS
from tests.db.access.attacks import (
    GIVE,
    OURS,
    Parties,
    coins_of_all,
    refused,
    sign_up_parties,
)
from tests.db.books import ROSE, Books
from tests.db.release.catalog_queries import API_ROLES

if TYPE_CHECKING:
    from tests.clusters import Login
    from tests.conftest import Connect, SignIn

pytestmark = pytest.mark.requirement("F")

CLAIM = "select set_config('request.jwt.claims', $1, false)"


@pytest_asyncio.fixture
async def parties(books: Books) -> Parties:
    """Attacker and victim; the books are right when the test ends."""
    return await sign_up_parties(books)


# Another user's id

IMPERSONATIONS = (
    "insert into public.active_viewers (stream_id, viewer_id) values ({stream}, '{victim}')",
    "insert into public.chat_messages (stream_id, profile_id, body) values (1, '{victim}', 'x')",
    "insert into public.follows (follower_id, followee_id) values ('{victim}', '{mallory}')",
    "insert into public.user_links (profile_id, label, url) values ('{victim}', 'x', 'https://x.y')",
    (
        "insert into public.user_grid_slots (viewer_id, slot_index, streamer_id)"
        " values ('{victim}', 1, '{mallory}')"
    ),
)


@pytest.mark.long_but_first
@pytest.mark.parametrize("statement", IMPERSONATIONS)
async def test_nobody_writes_in_anothers_name(
    parties: Parties, signed_in: SignIn, statement: str
) -> None:
    client = await signed_in(parties.mallory)
    await refused(client.execute(parties.fill_in(statement)))


HANDOVERS = (
    "update public.user_links set profile_id = '{victim}'",
    "update public.user_grid_slots set viewer_id = '{victim}'",
    (
        "insert into public.user_links (profile_id, label, url) values ('{mallory}', 'x', 'https://x.y')"
        " on conflict (profile_id, position) do update set profile_id = '{victim}'"
    ),
)


@pytest.mark.parametrize("statement", HANDOVERS)
async def test_nobody_hands_a_row_over_to_another(
    parties: Parties, signed_in: SignIn, statement: str
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(
        "insert into public.user_links (profile_id, label, url) values ($1, 'x', 'https://x.y')",
        parties.mallory,
    )
    await client.execute(
        "insert into public.user_grid_slots values ($1, 1, $2)",
        parties.mallory,
        parties.victim,
    )
    await refused(client.execute(parties.fill_in(statement)))


async def test_an_upsert_does_not_take_anothers_row(
    books: Books, parties: Parties, signed_in: SignIn
) -> None:
    await books.db.execute(
        "insert into public.user_links (profile_id, label, url) values ($1, 'x', 'https://x.y')",
        parties.victim,
    )
    client = await signed_in(parties.mallory)
    await refused(
        client.execute(
            "insert into public.user_links (profile_id, label, url) values ($1, 'y', 'https://x.y')"
            " on conflict (profile_id, position) do update set label = 'y'",
            parties.victim,
        )
    )


# A forged claim

FORGERIES = (
    {"role": "service_role"},
    {"role": "postgres", "is_admin": True},
    {"app_metadata": {"role": "service_role"}},
)


@pytest.mark.parametrize("claims", FORGERIES, ids=json.dumps)
async def test_a_claim_adds_no_right_to_those_of_the_role(
    parties: Parties, signed_in: SignIn, claims: dict[str, object]
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(CLAIM, json.dumps(claims | {"sub": str(parties.mallory)}))
    await refused(client.execute("delete from public.chat_messages"))
    await refused(
        client.execute(
            "select public.process_coin_purchase($1, 'x', 'x', 'x', 100, 1.00)", parties.mallory
        )
    )


@pytest.mark.long_but_first
@pytest.mark.parametrize("subject", ["1 or true", "' or ''='", "*", "00000000-0000-4000-8000"])
async def test_a_subject_that_is_no_uuid_is_an_error_and_nobody(
    books: Books, parties: Parties, signed_in: SignIn, subject: str
) -> None:
    before = await coins_of_all(books)
    client = await signed_in(parties.mallory)
    await client.execute(CLAIM, json.dumps({"sub": subject}))
    for sql in ("select from public.ledger_entries", "select public.process_gift(null, 'x', 'x')"):
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await client.execute(sql)
    assert await coins_of_all(books) == before


@pytest.mark.long_but_first
@pytest.mark.parametrize("claims", ["", "{}", '{"sub": null}', "null"])
async def test_a_token_without_a_subject_reads_and_writes_no_row_of_anybody(
    parties: Parties, signed_in: SignIn, claims: str
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute(CLAIM, claims)
    assert await client.fetch("select from public.ledger_entries") == []
    await refused(client.execute(GIVE, parties.victim, ROSE, "key"))
    await refused(
        client.execute(
            "select public.update_viewer_heartbeat($1, true, true, true, true)", parties.stream
        )
    )


# Set role


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_api_role_becomes_one_of_ours(signed_in: SignIn, role: str) -> None:
    client = await signed_in(role=role)
    superuser = "select rolname from pg_roles where rolsuper and rolname !~ '^pg_' limit 1"
    for other in (*OURS, await client.fetchval(superuser)):
        await refused(client.execute(f'set role "{other}"'))
        await refused(client.execute(f'set session authorization "{other}"'))
        await refused(client.execute(f'grant "{other}" to authenticated'))


async def test_resetting_the_role_leaves_a_login_without_rights(
    parties: Parties, signed_in: SignIn
) -> None:
    client = await signed_in(parties.mallory)
    await client.execute("reset role")
    await refused(client.execute("select from public.profiles"))
    await refused(client.execute(GIVE, parties.victim, ROSE, "key"))


@pytest.mark.parametrize("login", LOGINS)
async def test_no_process_becomes_another_or_an_api_role(connect: Connect, login: Login) -> None:
    process = await connect(login)
    for other in {*OURS, *API_ROLES} - {f"coinfleet_{login}"}:
        await refused(process.execute(f"set role {other}"))


# Switching the triggers off


@pytest.mark.parametrize("role", API_ROLES)
async def test_no_api_role_switches_triggers_or_policies_off(signed_in: SignIn, role: str) -> None:
    client = await signed_in(role=role)
    await refused(client.execute("set session_replication_role = replica"))
    await refused(client.execute("select set_config('session_replication_role', 'replica', false)"))
    await refused(client.execute("alter role authenticated set session_replication_role = replica"))


@pytest.mark.parametrize("login", ["owner", *LOGINS])
async def test_no_role_of_ours_switches_triggers_off(connect: Connect, login: Login) -> None:
    ours = await connect(login)
    await refused(ours.execute("set session_replication_role = replica"))


async def test_a_client_that_switches_row_security_off_is_refused(
    parties: Parties, signed_in: SignIn
) -> None:
    client = await signed_in(uuid4())
    await client.execute("set row_security = off")
    await refused(client.fetch("select from public.ledger_entries"))
