"""The parties of an attack: an attacker, a victim with coins, and the victim's stream."""

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

OURS = ("coinfleet_owner", *login_roles())
GIVE = "select public.process_gift($1, $2, $3)"
# A client's own type under a name that our functions use. Its check runs with the rights of the
# function that uses it, and a temporary schema is searched first unless the path says otherwise.
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
    """Mallory, who has 10 coins, and the victim, who has 100 and the stream."""

    mallory: UUID
    victim: UUID
    stream: int

    def fill_in(self, statement: str) -> str:
        """Return a statement with their ids in place of {mallory}, {victim} and {stream}."""
        return statement.format(**asdict(self))


async def sign_up_parties(books: Books) -> Parties:
    """Sign up the two."""
    victim = await books.profile(coins=100)
    stream = await books.db.fetchval(
        "insert into public.live_streams (profile_id) values ($1) returning id", victim
    )
    return Parties(await books.profile(coins=10), victim, stream)


async def refused(work: Awaitable[object]) -> None:
    """Await what must fail with SQLSTATE 42501: nothing else is a refusal."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError) as caught:
        await work
    assert caught.value.sqlstate == "42501"


async def coins_of_all(books: Books) -> dict[UUID, int]:
    """The balance of each profile."""
    rows = await books.db.fetch("select id, coin_balance from public.profiles")
    return {row["id"]: row["coin_balance"] for row in rows}
