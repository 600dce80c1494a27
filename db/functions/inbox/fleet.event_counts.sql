-- Definer: the process roles have no right to the inbox itself.
create or replace function fleet.event_counts()
returns table (provider text, state text, events bigint)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select t.provider, t.state, sum(t.delta)::bigint
    from fleet.event_tallies as t
    group by t.provider, t.state
    having sum(t.delta) <> 0
    order by t.provider, t.state
$$;

revoke all on function fleet.event_counts() from public, anon, authenticated, service_role;
comment on function fleet.event_counts() is
    'How many events are in each state, by provider; reads tallies, not the inbox.';
