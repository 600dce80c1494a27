"""Exported files as `supabase db push` applies them, and the catalog that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.supabase.project import Project


# All that our schemas hold: definitions, owners, rights and comments.
CATALOG = """
with ours as (select oid from pg_namespace where nspname in ('public', 'fleet', 'invariants'))
select 'relation', c.oid::regclass::text, c.relkind::text, c.relowner::regrole::text,
    c.relacl::text, c.reloptions::text || c.relrowsecurity, obj_description(c.oid, 'pg_class')
from pg_class c where relnamespace in (select oid from ours)
union all
select 'column', c.oid::regclass::text, attname::text, format_type(atttypid, atttypmod),
    attacl::text, attnotnull || attidentity::text || coalesce(pg_get_expr(adbin, adrelid), ''),
    col_description(c.oid, attnum)
from pg_attribute a join pg_class c on c.oid = attrelid
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where relnamespace in (select oid from ours) and attnum > 0 and not attisdropped
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), '', '', '', ''
from pg_index join pg_class c on c.oid = indrelid where relnamespace in (select oid from ours)
union all
select 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), '', '', ''
from pg_constraint where connamespace in (select oid from ours)
union all
select 'function', oid::regprocedure::text, pg_get_functiondef(oid), proowner::regrole::text,
    proacl::text, '', obj_description(oid, 'pg_proc')
from pg_proc where pronamespace in (select oid from ours)
union all
select 'view', c.oid::regclass::text, pg_get_viewdef(c.oid), '', '', '', ''
from pg_class c where relkind = 'v' and relnamespace in (select oid from ours)
union all
select 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid), tgenabled::text, '', '', ''
from pg_trigger where not tgisinternal
union all
select 'policy', polrelid::regclass::text, polname::text, polcmd::text, polroles::regrole[]::text,
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
from pg_policy
union all
select 'schema', nspname::text, nspowner::regrole::text, nspacl::text, '', '', ''
from pg_namespace where oid in (select oid from ours)
union all
select 'session', setrole::regrole::text, setconfig::text, '', '', '', ''
from pg_db_role_setting join pg_database d on d.oid = setdatabase
where datname = current_database()
"""


async def push(project: Project, paths: Sequence[Path]) -> None:
    """Apply files as `supabase db push` does: in the order of names, each at once, as postgres."""
    async with project.connected() as postgres:
        for path in sorted(paths, key=lambda each: each.name):
            await postgres.execute(path.read_text())


async def catalog(project: Project) -> set[tuple[str | None, ...]]:
    async with project.connected() as postgres:
        await postgres.execute("set search_path = ''")
        return {tuple(row) for row in await postgres.fetch(CATALOG)}
