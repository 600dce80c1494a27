create or replace function fleet.record_catalog(
    p_everything boolean,
    p_kinds text[] default '{}',
    p_names text[] default '{}'
)
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    update fleet.schema_objects as o
    set items = c.items, server_version = current_setting('server_version_num')::integer / 10000
    from fleet.catalog_items() as c
    where c.kind = o.kind and c.name = o.name
        and (o.items, o.server_version)
        is distinct from (c.items, current_setting('server_version_num')::integer / 10000)
        and (
            p_everything
            or o.items is null
            -- Another version of the server writes the same definition in other words.
            or o.server_version <> current_setting('server_version_num')::integer / 10000
            or exists (
                select 1 from unnest(p_kinds, p_names) as a (kind, name) where a.kind = o.kind and a.name = o.name
            )
        )
$$;

revoke all on function fleet.record_catalog(boolean, text[], text[]) from public, anon, authenticated, service_role;
comment on function fleet.record_catalog(boolean, text[], text[]) is
    'Records what a release left in the catalog, for later comparison: of these files, of files never recorded, or of '
    'all. For the schema''s owner.';
