create or replace function fleet.streams_to_switch(
    p_stream_ids bigint[],
    p_silent_until timestamptz,
    p_max_streams_per_viewer integer
)
returns table (stream_id bigint, is_published boolean)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select s.id, o.is_published
    from public.live_streams as s
    cross join lateral (
        -- Not `exists`: for many streams the planner may answer it by judging every viewer there is.
        select s.live_available and coalesce((
            select true
            from public.active_viewers as v
            where v.stream_id = s.id
                and v.activated_at is not null
                and v.last_active_at > p_silent_until
                -- Heard by a clock that was ahead: the real time is unknown.
                and v.last_active_at <= p_silent_until + interval '2 minutes'
                -- This stream is among the viewer's newest ones, as many as the viewer may count on.
                and (
                    select true
                    from public.active_viewers as n
                    where n.viewer_id = v.viewer_id
                        and (n.activated_at, n.stream_id) > (v.activated_at, v.stream_id)
                        and n.last_active_at > p_silent_until
                        and n.last_active_at <= p_silent_until + interval '2 minutes'
                    offset p_max_streams_per_viewer - 1
                    limit 1
                ) is null
            limit 1
        ), false)
    ) as o (is_published)
    where s.id = any(p_stream_ids) and o.is_published <> s.is_published
    order by s.id
$$;

revoke all on function fleet.streams_to_switch(bigint[], timestamptz, integer)
from public, anon, authenticated, service_role;
comment on function fleet.streams_to_switch(bigint[], timestamptz, integer) is
    'Of these streams, those whose is_published differs from what their viewers require, with what it should be.';
