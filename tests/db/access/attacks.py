"""A parties for attacks: somebody with bad intentions, somebody with coins, and a stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.release.schema import login_roles

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from uuid import UUID

    from tests.db.books import Books

API_ROLES = ("anon", "authenticated", "service_role")
OURS = ("coinfleet_owner", *login_roles())
GIVE = "select public.process_gift($1, $2, $3)"
# A type of the client's own under a name that our functions use: what it checks runs as whoever
# meets it, and a temporary schema comes first unless a search path says that it comes last.
TRAP = """
create function pg_temp.spring(p_value pg_catalog.{type}) returns bool language plpgsql as $$
begin
    update public.profiles set bio = 'robbed';
    return true;
exception when insufficient_privilege then
    return true;
end
$$;
create domain pg_temp.{type} as pg_catalog.{type} check (pg_temp.spring(value));
"""
TRAPPED_TYPES = ("uuid", "text", "jsonb", "timestamptz", "inet", "bytea", "date", "xid8", "oid")


@dataclass(frozen=True, slots=True)
class Parties:
    """Mallory has 10 coins, the victim 100 and the stream."""

    mallory: UUID
    victim: UUID
    stream: int

    def fill_in(self, statement: str) -> str:
        """A statement with their ids in place of {mallory}, {victim} and {stream}."""
        return statement.format(**asdict(self))


async def sign_up_parties(books: Books) -> Parties:
    """Sign the two up."""
    victim = await books.profile(coins=100)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", victim
    )
    return Parties(await books.profile(coins=10), victim, stream)


async def refused(work: Awaitable[object]) -> None:
    """Await what must end in SQLSTATE 42501; nothing else is a refusal."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await work
    assert caught.value.sqlstate == "42501"


async def coins_of_all(books: Books) -> dict[UUID, int]:
    """Everybody's balance."""
    rows = await books.db.fetch("select id, coin_balance from public.profiles")
    return {row["id"]: row["coin_balance"] for row in rows}
