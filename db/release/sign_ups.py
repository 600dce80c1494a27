"""Makes profiles for users who signed up before the schema was here; each release does.

For users who sign up later the trigger on auth.users makes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from uuid import UUID

    from db.connections.pool import Connection

# One batch takes well under a second, and blocks nobody.
USERS_A_BATCH = 5_000
# The same for `supabase db push`, which runs a file as one transaction.
EXPORTED = f"""\
-- Users who signed up before the schema was here get their profiles.
do $$
declare
    v_last_id uuid;
begin
    loop
        select m.last_id into v_last_id from fleet.make_profiles(v_last_id, {USERS_A_BATCH}) as m;
        exit when v_last_id is null;
    end loop;
exception
    when insufficient_privilege then
        raise warning 'older users have no profile yet: %; grant select on auth.users', sqlerrm;
end
$$;"""  # noqa: S608 -- a number of ours


async def make_profiles(connection: Connection) -> int | None:
    """Make a profile for every user without one; return how many were made.

    Each batch is a transaction of its own, so an interrupted run goes on where it was. Return None
    if the session's role may not read auth.users.
    """
    made: int = 0
    last_id: UUID | None = None
    while True:
        try:
            row = await connection.fetchrow(
                "select last_id, made from fleet.make_profiles($1, $2)", last_id, USERS_A_BATCH
            )
        except asyncpg.InsufficientPrivilegeError:
            return None
        assert row is not None  # noqa: S101 -- the function returns one row
        made += int(row["made"])
        last_id = row["last_id"]
        if last_id is None:
            return made
