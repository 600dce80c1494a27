create or replace function fleet.recompute_publish_state(p_now timestamptz default null, p_limit integer default 200000)
returns table (stream_id bigint, is_published boolean)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_horizon fleet.publish_horizon;
    v_max_streams integer;
    v_now timestamptz;
    v_silent_until timestamptz;
    v_stream_ids bigint[];
    v_everything boolean;
begin
    -- Recomputes run one after the other: each of two could see half of a change, and the later write would lose the
    -- other half. Marks are taken before the streams are read, each in a snapshot of its own, so a change that comes
    -- meanwhile is either seen or still marked.
    select h.* into v_horizon from fleet.publish_horizon as h for update;
    v_now := coalesce(p_now, clock_timestamp());
    v_silent_until := v_now - interval '60 seconds';
    select s.max_active_streams_per_viewer into v_max_streams from fleet.settings as s;
    v_everything := v_horizon.max_active_streams_per_viewer is distinct from v_max_streams
        or v_horizon.everything_at is null
        or v_horizon.everything_at not between v_now - interval '1 hour' and v_now + interval '1 hour';

    v_stream_ids := fleet.streams_to_check(
        coalesce(v_horizon.silent_until, v_silent_until), v_silent_until, v_max_streams, p_limit
    );
    if v_everything then
        select coalesce(array_agg(s.id), '{}') into v_stream_ids
        from public.live_streams as s
        where s.live_available or s.is_published;
    end if;

    select coalesce(array_agg(t.stream_id), '{}') into v_stream_ids
    from fleet.streams_to_switch(v_stream_ids, v_silent_until, v_max_streams) as t;
    perform 1 from public.live_streams as s where s.id = any(v_stream_ids) order by s.id for no key update;
    return query
    with switched as (
        update public.live_streams as s
        set is_published = t.is_published
        from fleet.streams_to_switch(v_stream_ids, v_silent_until, v_max_streams) as t
        where s.id = t.stream_id
            -- This condition tells the planner that these are few streams, so that it does not read all of them.
            and s.id = any(v_stream_ids)
        returning s.id, s.is_published
    ),
    -- For the console. More at once are no longer of one stream's viewers, and would cost more than they tell.
    noted as (
        insert into fleet.publish_changes (stream_id, is_published, changed_at)
        select w.id, w.is_published, v_now from switched as w limit 200
    )
    select w.id, w.is_published from switched as w;

    perform fleet.fold_stream_changes();
    update fleet.publish_horizon as h
    set
        silent_until = v_silent_until,
        max_active_streams_per_viewer = v_max_streams,
        everything_at = case when v_everything then v_now else h.everything_at end;
end
$$;

revoke all on function fleet.recompute_publish_state(timestamptz, integer)
from public, anon, authenticated, service_role;
comment on function fleet.recompute_publish_state(timestamptz, integer) is
    'Publishes the available streams on which a viewer counts and unpublishes the others, looking only where something '
    'changed; returns those it switched. A stream that is right already is not written. Also folds the counters'' late '
    'changes.';
