create or replace function fleet.revoke_functions(p_role text)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_function regprocedure;
begin
    -- The schema public holds other people's functions too; ours are those that the release recorded.
    for v_function in
        select p.oid
        from pg_catalog.pg_proc as p
        join fleet.schema_objects as o
            on o.kind in ('function', 'legacy') and o.name = p.pronamespace::regnamespace::text || '.' || p.proname
        cross join lateral pg_catalog.aclexplode(p.proacl) as a
        where a.grantee = p_role::regrole
    loop
        execute format('revoke all on function %s from %I', v_function, p_role);
    end loop;
end
$$;

revoke all on function fleet.revoke_functions(text) from public, anon, authenticated, service_role;
comment on function fleet.revoke_functions(text) is
    'Revokes what a role may execute of this release''s functions, so that its policy can grant them anew. For the '
    'schema''s owner.';
