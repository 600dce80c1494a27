-- On Supabase everything that the owner makes in public is open to the API roles until it is revoked. The same must
-- hold here, or a missing `revoke` would pass every test and fail in production.
grant usage on schema public to anon, authenticated, service_role;

alter default privileges in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
