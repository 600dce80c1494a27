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
            -- A transaction number that this cluster has not reached is another cluster's: these rows came with a
            -- restore.
            where case
                -- These were noted before the claim. The claim locks the note as long as the batch is worked on, and
                -- a lock that is gone leaves its transaction in xmax. A note without a lock yet is given a moment; a
                -- time in the future comes from a clock that was ahead.
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
    -- This commits together with the claim that follows, so it is undone if that event kills the worker: the next
    -- worker then finds one note more. An event that three workers died with is dead before a fourth takes it.
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
    'Finds the batches whose worker died, which are those whose transaction has ended without deleting its note, and '
    'marks their events to be tried alone.';
