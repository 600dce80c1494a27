-- What projects of before May 2026 have besides: all that `postgres` makes in public is open to the
-- API until it is revoked. Newer ones grant nothing by themselves.
alter default privileges for role postgres in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;
