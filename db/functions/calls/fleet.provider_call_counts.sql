-- Definer: the process roles have no right to the outbox itself.
create or replace function fleet.provider_call_counts()
returns table (
    provider text, kind text, state text, calls bigint, untried bigint, oldest_s double precision, last_error text
)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select
        o.provider,
        o.kind,
        o.state,
        count(*),
        count(*) filter (where o.first_attempt_at is null),
        extract(epoch from clock_timestamp() - min(o.created_at))::double precision,
        (array_agg(o.last_error order by o.next_attempt_at desc) filter (where o.last_error is not null))[1]
    from (
        -- Each by its partial index.
        select p.* from fleet.provider_calls as p where p.state = 'pending'
        union all
        select d.* from fleet.provider_calls as d where d.state = 'dead'
    ) as o
    group by o.provider, o.kind, o.state
    order by o.provider, o.kind, o.state
$$;

revoke all on function fleet.provider_call_counts() from public, anon, authenticated, service_role;
comment on function fleet.provider_call_counts() is
    'Calls that are not done, by kind and state: how many, how many of them were never tried, the age of the oldest, '
    'and an error. Costs as much as is open or dead.';
