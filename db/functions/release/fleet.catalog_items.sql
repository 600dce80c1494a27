create or replace function fleet.catalog_items()
returns table (kind text, name text, items text[])
language sql
stable
security invoker
set search_path = '', pg_temp
-- With these settings the catalog answers every caller in the same words.
set quote_all_identifiers = off
set intervalstyle = postgres
set datestyle = iso
set timezone = utc
set extra_float_digits = 1
set bytea_output = hex
set standard_conforming_strings = on
as $$
    select o.kind, o.name, coalesce(array_agg(i.item order by i.item) filter (where i.item is not null), '{}')
    from fleet.schema_objects as o
    left join (
        select f.kind, f.name, f.item from fleet.function_items() as f
        union
        select r.kind, r.name, r.item from fleet.relation_items() as r
        union
        select r.kind, r.name, r.item from fleet.role_items() as r
        union
        select t.kind, t.name, t.item from fleet.structure_items() as t
    ) as i on i.kind = o.kind and i.name = o.name
    group by o.kind, o.name
$$;

revoke all on function fleet.catalog_items() from public, anon, authenticated, service_role;
comment on function fleet.catalog_items() is
    'What the catalog of this database now holds of each repeatable file, as lines; what follows `=` is a hash of the '
    'definition. For the schema''s owner.';
