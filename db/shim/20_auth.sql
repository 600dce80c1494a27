-- The part of Supabase's auth schema that the platform needs.
create schema if not exists auth;
comment on schema auth is 'Stand-in for Supabase''s auth schema; a real Supabase keeps its own.';
-- Policies ask `auth.uid()`, so without this right each of them is an error.
grant usage on schema auth to anon, authenticated, service_role;

create table if not exists auth.users (
    id uuid primary key,
    email text,
    raw_user_meta_data jsonb,
    created_at timestamptz default now()
);
comment on table auth.users is 'Who can sign in; an id alone is enough.';

create or replace function auth.uid()
returns uuid
language sql
stable
set search_path = '', pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;
comment on function auth.uid() is 'The signed-in user: claim `sub` of the request''s token, or null.';

create or replace function auth.role()
returns text
language sql
stable
set search_path = '', pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    )
$$;
comment on function auth.role() is 'The API role of the request: claim `role` of its token, or null.';

create or replace function auth.jwt()
returns jsonb
language sql
stable
set search_path = '', pg_temp
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')
    )::jsonb
$$;
comment on function auth.jwt() is 'All claims of the request''s token, or null.';
