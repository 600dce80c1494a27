-- What a Supabase project has before we come: the roles of the platform, an auth schema that
-- belongs to the auth service, and default privileges that open public to the API.
create role supabase_admin;
create role supabase_auth_admin;

create schema auth authorization supabase_auth_admin;
create table auth.users (
    instance_id uuid,
    id uuid primary key,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    raw_user_meta_data jsonb,
    created_at timestamptz
);
alter table auth.users owner to supabase_auth_admin;
create function auth.uid() returns uuid language sql stable as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;
alter function auth.uid() owner to supabase_auth_admin;
grant usage on schema auth to anon, authenticated, service_role, coinfleet_owner;
grant all on auth.users to coinfleet_owner;

grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role coinfleet_owner in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role coinfleet_owner in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role coinfleet_owner in schema public
    grant all on sequences to anon, authenticated, service_role;
