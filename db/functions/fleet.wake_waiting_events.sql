-- Definer: the worker may wake events, not write the inbox.
create or replace function fleet.wake_waiting_events(p_limit integer, p_now timestamptz default null)
returns bigint
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    with due as (
        select e.id
        from fleet.inbox_events as e
        where e.state = 'waiting' and e.next_attempt_at <= coalesce(p_now, clock_timestamp())
        order by e.next_attempt_at
        limit p_limit
        for no key update skip locked
    ),
    woken as (
        update fleet.inbox_events as e set state = 'pending' from due where e.id = due.id returning e.id
    )
    select count(*) from woken
$$;

revoke all on function fleet.wake_waiting_events(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.wake_waiting_events(integer, timestamptz) is 'Makes up to p_limit waiting events pending whose time to wait is over, so that they are decided without their other half; returns how many.';
