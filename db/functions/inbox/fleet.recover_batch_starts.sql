create or replace function fleet.recover_batch_starts(p_now timestamptz)
returns bigint
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_event_ids bigint[];
    v_deaths integer[];
    v_recovered bigint;
begin
    with gone as (
        delete from fleet.batch_starts as b
        where b.xact_id in (
            select k.xact_id
            from fleet.batch_starts as k
            -- A number that this cluster has not reached is of another: these rows came with a restore.
            where case
                -- Noted ahead of the claim, which locks the note as long as it is worked on: a lock that is gone leaves
                -- its transaction in xmax. Until that lock the note has a moment; a time to come is of a clock that was
                -- ahead.
                when k.is_ahead then k.xmax <> '0'
                    or k.noted_at not between p_now - interval '10 seconds' and p_now + interval '10 seconds'
                when k.xact_id >= pg_snapshot_xmax(pg_current_snapshot()) then true
                else pg_xact_status(k.xact_id) is distinct from 'in progress'
            end
            for update skip locked
        )
        returning b.event_ids
    )
    select array_agg(d.event_id), array_agg(d.deaths) into v_event_ids, v_deaths
    from (
        select u.event_id, count(*) as deaths
        from gone as g
        cross join unnest(g.event_ids) as u (event_id)
        group by u.event_id
    ) as d;
    if v_event_ids is null then
        return 0;
    end if;
    -- This commits with the claim that follows, so a killer undoes it: then the next finds one note more.
    -- A worker that dies with an event three times is killed by it: the event is parked before the next.
    update fleet.inbox_events as e
    set
        starts = e.starts + d.deaths,
        state = case when e.starts + d.deaths >= 3 then 'dead' else 'pending' end,
        reason = case when e.starts + d.deaths >= 3 then 'killed_its_worker' end,
        last_error = case
            when e.starts + d.deaths >= 3 then 'three workers died while they held this event' else e.last_error
        end,
        processed_at = case when e.starts + d.deaths >= 3 then p_now else e.processed_at end,
        next_attempt_at = case
            when e.starts + d.deaths = 1 then e.next_attempt_at
            else p_now + interval '5 seconds' * (e.starts + d.deaths - 1)
        end
    from unnest(v_event_ids, v_deaths) as d (event_id, deaths)
    where e.id = d.event_id and e.state = 'pending';
    get diagnostics v_recovered = row_count;
    return v_recovered;
end
$$;

revoke all on function fleet.recover_batch_starts(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.recover_batch_starts(timestamptz) is
    'Finds the batches whose worker died, by transactions that ended without deleting their start, and marks their '
    'events as suspects.';
