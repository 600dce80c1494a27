create or replace function fleet.claims_from()
returns bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select coalesce(
        (
            select split_part(s.told, ' ', 1)::bigint
            from (select current_setting('coinfleet.claims_from', true) as told) as s
            where s.told <> ''
                -- A time that is further ahead was noted before the clock was set back.
                and split_part(s.told, ' ', 2)::float8 - extract(epoch from clock_timestamp()) between 0 and 60
        ),
        0
    )
$$;

revoke all on function fleet.claims_from() from public, anon, authenticated, service_role;
comment on function fleet.claims_from() is
    'The id from which on this session looks for pending events: 0, or for some seconds what note_slow_claim noted.';
