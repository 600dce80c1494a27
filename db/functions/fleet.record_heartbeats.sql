create or replace function fleet.record_heartbeats(p_heartbeats jsonb, p_now timestamptz default null)
returns table (stream_id bigint, viewer_id uuid, reason text)
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- For one viewer this costs 500 us of the server's time and fleet.record_heartbeat 300, so that has its own way;
    -- for each of a thousand it is 30 us.
    -- One statement, which finds, locks and writes rows in the order of their keys: of two calls with the same
    -- viewers the later waits at the first of them and holds none behind it. The sweep waits for nobody.
    return query
    with given as (
        select
            e.position,
            e.heartbeat ->> 'stream_id' as stream_id,
            e.heartbeat ->> 'viewer_id' as viewer_id,
            coalesce(e.heartbeat -> 'is_active' = 'true', false) as is_active,
            coalesce(e.heartbeat -> 'is_unmuted' = 'true', false) as is_unmuted,
            coalesce(e.heartbeat -> 'is_visible' = 'true', false) as is_visible,
            coalesce(e.heartbeat -> 'is_subscribed' = 'true', false) as is_subscribed
        from jsonb_array_elements(p_heartbeats) with ordinality as e (heartbeat, position)
    ),
    -- Value by value, so that one viewer's nonsense harms no other: what is no id is nobody's.
    readable as (
        select
            g.*,
            case when g.stream_id ~ '^[0-9]{1,18}$' then g.stream_id::bigint end as stream,
            case when g.viewer_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then g.viewer_id::uuid end as viewer
        from given as g
    ),
    heard as (
        select distinct on (r.stream, r.viewer) r.*
        from readable as r
        order by r.stream, r.viewer, r.position desc
    ),
    -- Who has a row is known. Not by `exists`, which may be answered by reading a table whole.
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
            stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at
        )
        select
            j.stream,
            j.viewer,
            j.is_active,
            j.is_unmuted,
            j.is_visible,
            j.is_subscribed,
            coalesce(p_now, clock_timestamp())
        from judged as j
        where j.refusal is null
        order by j.stream, j.viewer
        on conflict on constraint active_viewers_pkey do update
        set
            is_active = excluded.is_active,
            is_unmuted = excluded.is_unmuted,
            is_visible = excluded.is_visible,
            is_subscribed = excluded.is_subscribed,
            -- When the row was locked, which may be later than when it was proposed.
            last_active_at = coalesce(p_now, clock_timestamp())
    )
    select j.stream, j.viewer, j.refusal
    from judged as j
    where j.refusal is not null
    order by j.stream, j.viewer;
end
$$;

revoke all on function fleet.record_heartbeats(jsonb, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.record_heartbeats(jsonb, timestamptz) is
    'Notes that viewers were heard, as public.update_viewer_heartbeats takes them; returns those it can''t note. Locks: viewers by (stream, viewer).';
