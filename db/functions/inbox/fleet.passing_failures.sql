-- Definer: the process roles have no right to the tables themselves.
create or replace function fleet.passing_failures(p_longer_than interval default '0', p_limit integer default 20)
returns table (event_id bigint, provider text, failing_s double precision, setbacks integer, sqlstate text, error text)
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select
        e.id,
        e.provider,
        -- Negative after a clock that was ahead is set right: the next failure dates it anew.
        extract(epoch from clock_timestamp() - s.failing_since)::double precision,
        s.setbacks,
        s.sqlstate,
        e.last_error
    from fleet.set_aside_events as s
    join fleet.inbox_events as e on e.id = s.event_id
    where e.state = 'pending' and s.failing_since <= clock_timestamp() - p_longer_than
    order by s.failing_since
    limit p_limit
$$;

revoke all on function fleet.passing_failures(interval, integer) from public, anon, authenticated, service_role;
comment on function fleet.passing_failures(interval, integer) is
    'Pending events that have failed alone for a passing cause for longer than this, the longest first. No attempts '
    'are counted for them, so they never become dead: a person has to look.';
