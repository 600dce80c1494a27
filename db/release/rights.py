"""Whether the role that runs a release may make all that the release makes.

Checked before anything is made. It changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connections.address import Address
from db.errors import DatabaseRefused
from db.release.records import lacks_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connections.pool import Connection


class UnfitOwner(DatabaseRefused):
    """The role that runs a release lacks a right, or the roles of a fleet here are another's."""

    def at(self, url: str) -> UnfitOwner:
        """Return the same with the server's name."""
        return UnfitOwner(f"The database at {Address.parse(url)} can't be released: {self}")


async def check_release_rights(connection: Connection, *, roles: Sequence[str]) -> None:
    """Raise UnfitOwner before a release would make what it can't finish.

    `roles` are those of the processes. Roles belong to the cluster, so the fleets of one cluster
    have one owner.
    """
    row = await connection.fetchrow(
        """
        select
            current_user::text as got,
            current_database()::text as database,
            r.rolsuper or r.rolcreaterole as may_create_roles,
            n.oid is not null as is_released,
            n.nspowner <> r.oid as is_anothers,
            n.nspowner::regrole::text as owner,
            has_database_privilege(current_database(), 'create') as may_create_schemas
        from pg_catalog.pg_roles as r
        left join pg_catalog.pg_namespace as n on n.nspname = 'fleet'
        where r.rolname = current_user
        """
    )
    assert row is not None  # noqa: S101 - each session has a role
    got, database = row["got"], row["database"]
    # A superuser's functions would run with a superuser's rights, and the owner could not replace
    # them.
    if row["is_anothers"]:
        raise UnfitOwner(
            f"it logged us in as {got}, but the schema belongs to {row['owner']}, and so must"
            " everything that a release makes: set DATABASE_URL to that role's address"
        )
    if not row["may_create_roles"]:
        advice = f", or, as a superuser, `alter role {got} createrole`"
        raise UnfitOwner(
            f"it logged us in as {got}, which may not create roles, and a release needs the"
            " schema's owner with CREATEROLE: set DATABASE_URL to that role's address"
            f"{'' if got in roles else advice}"
        )
    if not (row["is_released"] or row["may_create_schemas"]):
        raise UnfitOwner(
            f"it logged us in as {got}, which may not create schemas in {database}: set"
            " DATABASE_URL to the schema owner's address, or, as the database's owner,"
            f" `grant create on database {database} to {got}`"
        )
    # Before PostgreSQL 16 two owners could share the roles. Those that do so already may go on.
    if not row["is_released"]:
        await _check_cluster(connection, roles)
    await _check_role_rights(connection, got, roles)
    if not await lacks_records(connection):
        await _check_objects(connection, got)


async def _check_objects(connection: Connection, got: str) -> None:
    """Raise UnfitOwner if something of the release's belongs to a role that we are not.

    A restore by a superuser with --no-owner leaves that. A function with its owner's rights would
    have a superuser's.
    """
    rows = await connection.fetch(
        """
        select o.what, pg_catalog.pg_get_userbyid(o.owner) as owner, count(*) over () as count
        from (
            select format('function %s', p.oid::regprocedure), p.proowner
            from pg_catalog.pg_proc as p
            join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
            join fleet.schema_objects as s
                on s.kind = 'function' and s.name = n.nspname || '.' || p.proname
            union all
            select format('table %s', c.oid::regclass), c.relowner
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and (
                n.nspname = 'fleet'
                or exists (
                    select from fleet.schema_objects as s
                    where s.kind = 'policy' and s.name = n.nspname || '.' || c.relname
                )
            )
            union all
            select format('view %s', c.oid::regclass), c.relowner
            from pg_catalog.pg_class as c
            where c.relnamespace = to_regnamespace('invariants') and c.relkind = 'v'
            union all
            select format('schema %I', n.nspname), n.nspowner
            from pg_catalog.pg_namespace as n
            where n.nspname = 'invariants'
        ) as o (what, owner)
        where not pg_has_role(current_user, o.owner, 'usage')
        order by 1
        limit 1
        """
    )
    for row in rows:
        others = f" and {row['count'] - 1} more" if row["count"] > 1 else ""
        raise UnfitOwner(
            f"it logged us in as {got}, but {row['what']}{others} of the release belongs to"
            f" {row['owner']}: as a superuser, `alter {row['what']} owner to {got}`, and the same"
            ' for the others (docs/backup.md, "Owners")'
        )


async def _check_cluster(connection: Connection, roles: Sequence[str]) -> None:
    """Raise UnfitOwner if the processes' roles serve a fleet of another owner.

    The owner of a fleet is the owner of its schema. A server shows the dependencies of all its
    databases on roles, and so the schemas on which these roles have rights. A superuser passes for
    a member of every role, so it is the owner only of what it owns.
    """
    other = await connection.fetchrow(
        """
        select d.datname::text as database, coalesce(o.refobjid, 10)::regrole::text as owner
        from pg_catalog.pg_shdepend as a
        join pg_catalog.pg_roles as u on u.rolname = current_user
        join pg_catalog.pg_database as d on d.oid = a.dbid
        left join pg_catalog.pg_shdepend as o
            on o.dbid = a.dbid and o.classid = a.classid and o.objid = a.objid
            and o.refclassid = a.refclassid and o.deptype = 'o'
        where a.refclassid = 'pg_catalog.pg_authid'::regclass
            and a.refobjid in (select r.oid from pg_catalog.pg_roles as r where r.rolname = any($1))
            and a.classid = 'pg_catalog.pg_namespace'::regclass
            and a.deptype = 'a'
            and d.datname <> current_database()
            and not case
                when u.rolsuper then u.oid = coalesce(o.refobjid, 10)
                else pg_has_role(u.oid, coalesce(o.refobjid, 10), 'member')
            end
        order by 1
        limit 1
        """,
        roles,
    )
    if other is not None:
        raise UnfitOwner(
            f"the roles {', '.join(roles)} serve the database {other['database']} of"
            f" {other['owner']} in this cluster, and roles belong to the cluster: give a second"
            f" fleet a cluster of its own, or release it as {other['owner']}"
        )


async def _check_role_rights(connection: Connection, got: str, roles: Sequence[str]) -> None:
    """Raise UnfitOwner if the processes' roles exist and this owner may not change them."""
    role = await connection.fetchval(
        """
        select r.rolname::text
        from pg_catalog.pg_roles as r
        where r.rolname = any($1)
            and current_setting('server_version_num')::int >= 160000
            and not pg_has_role(current_user, r.oid, 'member with admin option')
        order by 1
        limit 1
        """,
        roles,
    )
    if role is not None:
        raise UnfitOwner(
            f"the role {role} is there already, and {got} may not change it: as a superuser,"
            f" `grant {role} to {got} with admin option` and the same for the other roles of"
            " coinfleet, or drop them"
        )
