"""Queries of the catalog, and the rights that API roles must have there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from db.release.schema import login_roles
from tests.db.access.console_columns import READABLE

if TYPE_CHECKING:
    from db.connections.pool import Connection

API_ROLES = ("anon", "authenticated", "service_role")

# All that an API role, or everybody, may execute of ours.
OPEN_FUNCTIONS = {
    ("authenticated", "public.process_gift"),
    ("authenticated", "public.update_viewer_heartbeat"),
    ("service_role", "public.process_coin_purchase"),
    ("service_role", "public.update_viewer_heartbeats"),
}

READABLE_BY_EVERYONE = (
    "chat_messages",
    "coin_packages",
    "follows",
    "fx_rates",
    "gift_types",
    "gifts",
    "leaderboard_cache",
    "live_streams",
    "profiles",
    "user_links",
)
READABLE_BY_THEIR_OWNER = ("active_viewers", "coin_purchases", "ledger_entries", "user_grid_slots")

# All that a role may do to a table as a whole; the rest goes through functions.
OPEN_TABLES = {
    *(
        (role, f"fleet.{table}", "SELECT")
        for role in login_roles()
        for table in ("schema_migrations", "schema_objects")
    ),
    *((role, f"public.{table}", "SELECT") for role in API_ROLES for table in READABLE_BY_EVERYONE),
    *(
        (role, f"public.{table}", right)
        for role in ("authenticated", "service_role")
        for table, rights in {
            **dict.fromkeys(READABLE_BY_THEIR_OWNER, ("SELECT",)),
            "active_viewers": ("SELECT", "DELETE"),
            "user_grid_slots": ("SELECT", "INSERT", "UPDATE", "DELETE"),
            "user_links": ("INSERT", "UPDATE", "DELETE"),
            "follows": ("DELETE",),
        }.items()
        for right in rights
    ),
    ("service_role", "public.chat_messages", "DELETE"),
}
FLAGS = {"is_active", "is_unmuted", "is_visible", "is_subscribed"}

# All that a role may do to some columns of a table, where no policy could protect the others.
OPEN_COLUMNS = {
    **{
        (role, f"public.{table}", right): columns
        for role in ("authenticated", "service_role")
        for table, right, columns in (
            ("profiles", "UPDATE", {"username", "display_name", "avatar_url", "bio"}),
            ("active_viewers", "INSERT", FLAGS | {"stream_id", "viewer_id"}),
            ("active_viewers", "UPDATE", FLAGS),
            ("chat_messages", "INSERT", {"stream_id", "profile_id", "body"}),
            ("follows", "INSERT", {"follower_id", "followee_id"}),
        )
    },
    ("authenticated", "public.live_streams", "UPDATE"): {"live_available"},
    ("service_role", "public.live_streams", "UPDATE"): {"live_available", "title"},
    ("service_role", "public.live_streams", "INSERT"): {"live_available", "title", "profile_id"},
    **{
        ("coinfleet_console", table, "SELECT"): set(columns.split())
        for table, columns in READABLE.items()
    },
}
OURS = "('public', 'fleet', 'invariants')"

FUNCTIONS = f"""
select nspname || '.' || proname as name, p.oid, prosrc, proconfig, prosecdef, provolatile
from pg_proc p join pg_namespace n on n.oid = pronamespace
where nspname in {OURS}
"""

RELATIONS = f"""
select nspname || '.' || relname as name, c.oid, relkind::text as kind, relrowsecurity
from pg_class c join pg_namespace n on n.oid = relnamespace
where nspname in {OURS} and relkind in ('r', 'p', 'v', 'm')
"""

EXECUTABLE = f"""
select coalesce(pg_get_userbyid(nullif(grantee, 0)), 'public') as role, f.name
from ({FUNCTIONS}) f
join pg_proc p on p.oid = f.oid
cross join aclexplode(coalesce(proacl, acldefault('f', proowner)))
where grantee <> proowner
"""

TABLE_RIGHTS = f"""
select coalesce(pg_get_userbyid(nullif(grantee, 0)), 'public') as role, r.name, privilege_type
from ({RELATIONS}) r
join pg_class c on c.oid = r.oid
cross join aclexplode(coalesce(relacl, acldefault('r', relowner)))
where grantee <> relowner and r.name not like 'invariants.%'
"""

COLUMN_RIGHTS = f"""
select coalesce(pg_get_userbyid(nullif(grantee, 0)), 'public') as role, r.name, privilege_type,
    array_agg(attname::text) as columns
from ({RELATIONS}) r
join pg_attribute on attrelid = r.oid
cross join aclexplode(attacl)
where attacl is not null
group by 1, 2, 3
"""

SEQUENCE_RIGHTS = f"""
select coalesce(pg_get_userbyid(nullif(grantee, 0)), 'public'), c.oid::regclass::text
from pg_class c join pg_namespace n on n.oid = relnamespace
cross join aclexplode(coalesce(relacl, acldefault('s', relowner)))
where nspname in {OURS} and relkind = 'S' and grantee <> relowner
"""

POLICIES = """
select format('%I.%I', schemaname, tablename), policyname, cmd, roles, qual, with_check, permissive
from pg_policies
"""

FOREIGN_KEYS_WITHOUT_INDEX = f"""
select conrelid::regclass::text, conname
from pg_constraint k
where contype = 'f' and connamespace in (select oid from pg_namespace where nspname in {OURS})
    and not exists (
        select from pg_index i
        where indrelid = conrelid and indisvalid and (indpred is null or pg_get_expr(
            indpred, indrelid) = format('(%I IS NOT NULL)', (
            select attname from pg_attribute where attrelid = conrelid and attnum = conkey[1])))
        and (select array_agg(key order by key)
            from unnest((indkey::int2[])[0:cardinality(conkey) - 1]) key)
            = (select array_agg(key order by key) from unnest(conkey) key)
    )
"""

USER_COLUMNS_WITHOUT_PROFILE = """
select c.table_name, c.column_name
from information_schema.columns c
where table_schema = 'public' and data_type = 'uuid'
    and (table_name, column_name) <> ('profiles', 'id')
    and not exists (
        select from pg_constraint k
        join pg_attribute a on attrelid = conrelid and conkey = array[attnum]
        where contype = 'f' and confrelid = 'public.profiles'::regclass
            and conrelid = format('public.%I', c.table_name)::regclass and attname = c.column_name
    )
"""

COIN_COLUMNS = """
select table_name || '.' || column_name as name, data_type from information_schema.columns
where table_schema = 'public' and column_name in (
    'coin_balance', 'earnings_balance', 'total_purchased', 'total_spent', 'total_gifts_received',
    'total_gifts_sent', 'coin_amount', 'platform_revenue', 'streamer_revenue', 'coin_cost',
    'amount', 'amount_minor', 'balance_after', 'refunded_coins', 'recent_gift_coins')
"""

UNCOMMENTED = f"""
select name from ({RELATIONS}) r where obj_description(oid, 'pg_class') is null
union all
select name from ({FUNCTIONS}) f where obj_description(oid, 'pg_proc') is null
union all
select nspname from pg_namespace where nspname in ('fleet', 'invariants')
    and obj_description(oid, 'pg_namespace') is null
"""


def code(source: str) -> str:
    """Return a function's text without comments, on one line, in lower case."""
    return " ".join(re.sub(r"--.*|/\*.*?\*/", " ", source, flags=re.MULTILINE).lower().split())


async def functions(db: Connection) -> dict[str, str]:
    """Return the code of each of our functions, by its name."""
    return {row["name"]: code(row["prosrc"]) for row in await db.fetch(FUNCTIONS)}


async def rows(db: Connection, query: str, *values: object) -> set[tuple[object, ...]]:
    """Return the rows of a query, in no order."""
    return {tuple(row) for row in await db.fetch(query, *values)}
