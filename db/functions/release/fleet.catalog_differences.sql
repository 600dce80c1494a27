-- Definer: the console compares, too, and has no right to the functions that look.
create or replace function fleet.catalog_differences()
returns table (kind text, name text, lacking text[], added text[])
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select d.kind, d.name, d.lacking, d.added
    from (
        select
            o.kind, o.name,
            case
                when o.items is null then '{}'
                else array(
                    select i from unnest(o.items) as i
                    where i <> all(c.items) and i !~ '^(owner|unlogged|rule|disabled) '
                        and not (
                            i ~ '^(column|constraint|index) ' and exists (
                                select 1 from unnest(c.items) as k
                                -- An older release recorded less of it; somebody has validated it since; or another
                                -- version of the server writes its definition in other words.
                                where starts_with(k, i || ': ') or starts_with(k, i || ' = ')
                                    or replace(k, ', valid = ', ' = ') = i
                                    or (
                                        o.server_version <> current_setting('server_version_num')::integer / 10000
                                        and split_part(k, ' = ', 1) = split_part(i, ' = ', 1)
                                    )
                            )
                        )
                    order by i
                )
            end as lacking,
            case
                when o.items is null then '{}'
                -- Columns, constraints and indexes that somebody adds are that person's own business; a wrong owner
                -- never is, nor is what makes a table forget or ignore rows. The platform's backend has to pass row
                -- level security: where the release could not see to that, a superuser does it later.
                else array(
                    select i from unnest(c.items) as i
                    where (i <> all(o.items) and i !~ '^(column|constraint|index) ')
                        or i ~ '^(owner|unlogged|rule|disabled) '
                    except
                    select 'role service_role: bypassrls'
                    order by 1
                )
            end as added,
            o.items is null as is_unknown
        from fleet.schema_objects as o
        join fleet.catalog_items() as c on c.kind = o.kind and c.name = o.name
        -- Most files are as they were recorded.
        where o.items is distinct from c.items
            or array_to_string(c.items, e'\n') ~ '(?n)^(owner|unlogged|rule|disabled) '
    ) as d (kind, name, lacking, added, is_unknown)
    where d.is_unknown or cardinality(d.lacking) > 0 or cardinality(d.added) > 0
    order by 1, 2
$$;

revoke all on function fleet.catalog_differences() from public, anon, authenticated, service_role;
comment on function fleet.catalog_differences() is
    'Files of which the catalog holds less or more than the last release left; both are empty for a file that was '
    'never recorded. For the schema''s owner.';
