-- A Supabase project's roles, run by its superuser before anything of ours. Facts from the public
-- image's own scripts (supabase/postgres, migrations/db): who may what, not how they do it there.
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit password 'test';
grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

create role supabase_auth_admin login noinherit createrole password 'test';
alter role supabase_auth_admin set search_path = auth;
create role dashboard_user createdb createrole replication;

-- Whom the project's people log in as; it was a superuser once and was demoted.
create role postgres login nosuperuser createdb createrole replication bypassrls password 'test';
alter role postgres set search_path = "$user", public, extensions;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
grant set on parameter session_replication_role to postgres;
do $$
begin
    if current_setting('server_version_num')::int >= 160000 then
        grant anon, authenticated, service_role to postgres with admin option;
    end if;
end
$$;
