create or replace function fleet.watched_roles()
returns table (role oid, name text)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select 0::oid, 'public'
    union all
    select r.oid, r.rolname::text
    from pg_catalog.pg_roles as r
    where r.rolname in ('anon', 'authenticated', 'service_role')
        -- The roles that the files of logins/ make, one per file. People's roles may begin with `coinfleet_` too.
        or r.rolname in (select o.name from fleet.schema_objects as o where o.kind = 'login')
$$;

revoke all on function fleet.watched_roles() from public, anon, authenticated, service_role;
comment on function fleet.watched_roles() is
    'The roles whose rights a release compares with what it made: everybody (public), the API''s roles and our '
    'processes'' roles. Rights that somebody grants to others, such as a reader for reports, are not compared.';
