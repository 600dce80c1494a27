create or replace function fleet.first_open_event(p_batch_ids bigint[])
returns bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    -- It passes over at most as many rows as the batch has.
    select e.id
    from fleet.inbox_events as e
    where e.state = 'pending' and e.id <> all(p_batch_ids)
    order by e.id
    limit 1
$$;

revoke all on function fleet.first_open_event(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.first_open_event(bigint[]) is 'The oldest pending event outside the batch, or null.';
