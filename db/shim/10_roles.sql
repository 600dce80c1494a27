-- Supabase's API roles. Roles belong to the cluster: another database may have made them already,
-- or be making them at this moment.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['anon', 'authenticated', 'service_role'] loop
        continue when exists (select from pg_catalog.pg_roles where rolname = v_role);
        begin
            execute pg_catalog.format(
                'create role %I nologin noinherit %s',
                v_role,
                case v_role when 'service_role' then 'bypassrls' end
            );
        exception
            when duplicate_object or unique_violation then null;
            -- Before PostgreSQL 16 only a superuser may hand out bypassrls.
            when insufficient_privilege then
                execute pg_catalog.format('create role %I nologin noinherit', v_role);
                raise warning '% is subject to row level security here', v_role;
        end;
    end loop;
end
$$;
