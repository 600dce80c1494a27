"""What a database server says of itself that decides over durability, room and its own future.

For `coinfleet doctor`. Reads only, with the rights of any role; what a role may not see is None.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from db.connections.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`settings` holds what is asked of pg_settings, by name."""

    version_num: int
    is_read_only: bool
    settings: dict[str, str]
    sessions: int
    """Sessions of clients, in all databases."""
    sessions_max: int
    xid_age: int
    """Transactions since the oldest one that is not frozen; the server stops at two thousand
    million."""
    database_bytes: int
    slots_behind: dict[str, int]
    """Bytes of the write-ahead log that each unused replication slot keeps."""


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that has not ended for long, in any database of the server."""

    who: str
    since: datetime
    ends_by: str
    """The statement that ends it."""


async def read_version(pool: Pool) -> tuple[str, bool]:
    """Return the server's version, and whether a release was ever made in the database."""
    row = await pool.fetchrow(
        """
        select
            current_setting('server_version') as version,
            to_regclass('fleet.schema_migrations') is not null as is_released
        """
    )
    assert row is not None  # noqa: S101 - one row, whatever is there
    return row["version"], row["is_released"]


async def read_server(pool: Pool) -> Server:
    """Return it."""
    row = await pool.fetchrow(
        """
        select
            current_setting('server_version_num')::int as version_num,
            current_setting('transaction_read_only') = 'on' as is_read_only,
            (
                select json_object_agg(s.name, s.setting)::text from pg_catalog.pg_settings as s
                where s.name in ('fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum')
            ) as settings,
            (select sum(d.numbackends)::int from pg_catalog.pg_stat_database as d) as sessions,
            current_setting('max_connections')::int
                - current_setting('superuser_reserved_connections')::int as sessions_max,
            (
                select age(d.datfrozenxid) from pg_catalog.pg_database as d
                where d.datname = current_database()
            ) as xid_age,
            pg_database_size(current_database()) as database_bytes
        """
    )
    assert row is not None  # noqa: S101 - one row, whatever is there
    told = dict(row) | {"settings": json.loads(row["settings"] or "{}")}
    return Server(**told, slots_behind=await _read_slots(pool))


async def read_open_transactions(pool: Pool, *, longer_than_s: float) -> list[OpenTransaction]:
    """Return those that this role may see, the oldest first: its own, and all prepared ones."""
    rows = await pool.fetch(
        """
        select t.who, t.since, t.ends_by
        from (
            select
                format('session %s of %s (%s)', a.pid, a.usename, a.state) as who,
                a.xact_start as since,
                format('select pg_terminate_backend(%s)', a.pid) as ends_by
            from pg_catalog.pg_stat_activity as a
            where coalesce(a.backend_xid, a.backend_xmin) is not null
                and a.backend_type = 'client backend'
            union all
            select
                format('prepared transaction %L of %s in %s', p.gid, p.owner, p.database),
                p.prepared,
                format('rollback prepared %L', p.gid)
            from pg_catalog.pg_prepared_xacts as p
        ) as t
        where t.since < clock_timestamp() - interval '1 second' * $1
        order by t.since
        """,
        longer_than_s,
    )
    return [OpenTransaction(*row) for row in rows]


async def read_password_ends(pool: Pool) -> dict[str, datetime]:
    """Return when the passwords of our roles, and of the schema's owner, end, if they do."""
    rows = await pool.fetch(
        """
        select r.rolname::text, r.rolvaliduntil
        from pg_catalog.pg_roles as r
        where r.rolcanlogin and isfinite(r.rolvaliduntil)
            and (
                r.rolname in (select o.name from fleet.schema_objects as o where o.kind = 'login')
                or r.oid in (
                    select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'fleet'
                )
            )
        order by 2, 1
        """
    )
    return {row[0]: row[1] for row in rows}


async def _read_slots(pool: Pool) -> dict[str, int]:
    rows = await pool.fetch(
        """
        select s.slot_name::text, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::int8
        from pg_catalog.pg_replication_slots as s
        where not s.active and s.restart_lsn is not null and not pg_is_in_recovery()
        """
    )
    return {row[0]: row[1] for row in rows}
