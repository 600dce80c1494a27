create or replace function fleet.record_heartbeats(p_heartbeats jsonb, p_now timestamptz default null)
returns table (stream_id bigint, viewer_id uuid, reason text)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- For one viewer this costs 500 us of the server's time and fleet.record_heartbeat 300, which is why that
    -- function exists; in a call for a thousand viewers each costs 30 us, with tabs 60.
    -- This is one statement, which finds, locks and writes rows in the order of their keys: of two calls with the
    -- same viewers the later one waits at the first of them and holds none after it. The sweep waits for nobody.
    return query
    with given as (
        select
            e.position,
            e.heartbeat ->> 'stream_id' as stream_id,
            e.heartbeat ->> 'viewer_id' as viewer_id,
            coalesce(e.heartbeat -> 'is_active' = 'true', false) as is_active,
            coalesce(e.heartbeat -> 'is_unmuted' = 'true', false) as is_unmuted,
            coalesce(e.heartbeat -> 'is_visible' = 'true', false) as is_visible,
            coalesce(e.heartbeat -> 'is_subscribed' = 'true', false) as is_subscribed,
            coalesce(e.heartbeat ->> 'tab', '') as tab,
            coalesce(jsonb_typeof(e.heartbeat -> 'tab') in ('string', 'number', 'null'), true)
                and coalesce(length(e.heartbeat ->> 'tab'), 0) <= 64 as has_tab
        from jsonb_array_elements(p_heartbeats) with ordinality as e (heartbeat, position)
    ),
    -- Each value is read by itself, so that a bad entry harms no other: what is not an id counts as unknown.
    readable as (
        select
            g.*,
            g.is_active and g.is_unmuted and g.is_visible and g.is_subscribed as is_watching,
            case when g.stream_id ~ '^[0-9]{1,18}$' then g.stream_id::bigint end as stream,
            case when g.viewer_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then g.viewer_id::uuid end as viewer
        from given as g
    ),
    -- The last entry of each tab, and of those the ones since the last entry that names no tab.
    heard_tabs as (
        select t.*, max(t.position) filter (where t.tab = '') over (partition by t.stream, t.viewer) as unnamed_at
        from (
            -- The last entry of each tab.
            select distinct on (r.stream, r.viewer, r.tab) r.*
            from readable as r
            where r.has_tab
            order by r.stream, r.viewer, r.tab, r.position desc
        ) as t
    ),
    heard as (
        select distinct on (t.stream, t.viewer)
            t.*,
            case
                when t.tab <> '' or count(*) over one > 1 then jsonb_object_agg(t.tab, t.is_watching) over one
            end as beats
        from heard_tabs as t
        where t.position >= coalesce(t.unnamed_at, 0)
        window one as (partition by t.stream, t.viewer)
        order by t.stream, t.viewer, t.position desc
    ),
    -- A viewer who has a row needs no check. Not by `exists`, which the planner may answer by reading a whole table.
    judged as materialized (
        select
            h.*,
            case
                when (
                    select true from public.active_viewers as v
                    where v.stream_id = h.stream and v.viewer_id = h.viewer
                ) then null
                when (select true from public.live_streams as s where s.id = h.stream) is null then 'unknown_stream'
                when (select true from public.profiles as p where p.id = h.viewer) is null then 'unknown_profile'
            end as refusal
        from heard as h
    ),
    written as (
        insert into public.active_viewers as v (
            stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at, tabs
        )
        select
            j.stream,
            j.viewer,
            m.is_watching or j.is_active,
            m.is_watching or j.is_unmuted,
            m.is_watching or j.is_visible,
            m.is_watching or j.is_subscribed,
            m.last_active_at,
            m.tabs
        from judged as j
        cross join lateral fleet.merge_tabs(null, j.beats, coalesce(p_now, clock_timestamp())) as m
        where j.refusal is null
        order by j.stream, j.viewer
        on conflict on constraint active_viewers_pkey do update
        set (is_active, is_unmuted, is_visible, is_subscribed, last_active_at, tabs) = (
            select
                m.is_watching or excluded.is_active,
                m.is_watching or excluded.is_unmuted,
                m.is_watching or excluded.is_visible,
                m.is_watching or excluded.is_subscribed,
                m.last_active_at,
                m.tabs
            -- By the time at which the row was locked, which may be later than when the insert began.
            from fleet.merge_tabs(v, excluded.tabs, coalesce(p_now, clock_timestamp())) as m
        )
    )
    select j.stream, j.viewer, j.refusal
    from judged as j
    where j.refusal is not null
    union all
    select distinct r.stream, r.viewer, 'invalid_tab'
    from readable as r
    where not r.has_tab
    order by 1, 2, 3;
end
$$;

revoke all on function fleet.record_heartbeats(jsonb, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.record_heartbeats(jsonb, timestamptz) is
    'Records viewers'' heartbeats as public.update_viewer_heartbeats takes them; returns those it can''t record. '
    'Locks: viewers by (stream, viewer).';
