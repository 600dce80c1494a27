-- Definer: the process roles have no right to the inbox itself.
create or replace function fleet.drop_old_payloads(p_now timestamptz default null, p_limit integer default 1000)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_horizon fleet.payload_horizon;
    v_before timestamptz;
    v_old_ids bigint[];
    v_open_ids bigint[];
    v_upto_id bigint;
    v_dropped bigint;
begin
    select h.* into v_horizon from fleet.payload_horizon as h for update;
    v_before := coalesce(p_now, clock_timestamp()) - interval '90 days';

    -- Ids rise with time, nearly: events after the first young one are looked at in a later call.
    select array_agg(o.id), max(o.id) into v_old_ids, v_upto_id
    from (
        select k.id, bool_and(k.received_at < v_before) over (order by k.id) as is_old
        from (
            -- An event counts as no younger than the events after it, so one dated by a clock that was ahead delays
            -- nothing.
            select a.id, min(a.received_at) over (order by a.id desc) as received_at
            from (
                -- The next events by id.
                select e.id, e.received_at
                from fleet.inbox_events as e
                where e.id > v_horizon.upto_id
                order by e.id
                limit p_limit
            ) as a
        ) as k
    ) as o
    where o.is_old;
    v_old_ids := v_horizon.kept_ids || coalesce(v_old_ids, '{}');

    select coalesce(array_agg(e.id), '{}') into v_open_ids
    from fleet.inbox_events as e
    where e.id = any(v_old_ids) and e.state in ('pending', 'waiting', 'held');
    update fleet.inbox_events as e
    -- An error's text may quote the payload.
    set payload = null, last_error = null
    where e.id = any(v_old_ids) and e.id <> all(v_open_ids) and e.payload is not null
        and e.state not in ('pending', 'waiting', 'held');
    get diagnostics v_dropped = row_count;

    update fleet.payload_horizon as h
    set upto_id = coalesce(v_upto_id, h.upto_id), kept_ids = v_open_ids
    where (h.upto_id, h.kept_ids) is distinct from (coalesce(v_upto_id, h.upto_id), v_open_ids);
    return v_dropped;
end
$$;

revoke all on function fleet.drop_old_payloads(timestamptz, integer) from public, anon, authenticated, service_role;
comment on function fleet.drop_old_payloads(timestamptz, integer) is
    'Drops the payloads of up to p_limit finished events older than 90 days and returns how many; keys and hashes stay '
    'for ever. An event that is still open keeps its payload until it is finished.';
