create or replace function fleet.streams_to_check(
    p_silent_since timestamptz,
    p_silent_until timestamptz,
    p_max_streams_per_viewer integer,
    p_limit integer
)
returns bigint[]
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    with taken as (
        delete from fleet.publish_marks as m
        where m.id <= (
            select max(k.id) from (select o.id from fleet.publish_marks as o order by o.id limit p_limit) as k
        )
        returning m.stream_id, m.viewer_id
    ),
    -- After a clock went back (a failover) the range is the other way round: these viewers are heard again. A viewer
    -- heard more than a minute ahead of now is as silent as one heard a minute ago.
    concerned as (
        select t.stream_id, t.viewer_id
        from taken as t
        union all
        select v.stream_id, v.viewer_id
        from public.active_viewers as v
        where v.activated_at is not null
            and v.last_active_at > least(p_silent_since, p_silent_until)
            and (
                v.last_active_at <= greatest(p_silent_since, p_silent_until)
                or v.last_active_at > p_silent_until + interval '2 minutes'
            )
    ),
    -- A viewer above the limit of streams, before or after, may count on other streams now. Looking them up in the
    -- order of their index takes half the time for tens of thousands.
    moved as (
        select o.stream_id
        from (
            select c.viewer_id, count(*) as changes
            from concerned as c
            where c.viewer_id is not null
            group by c.viewer_id
            order by c.viewer_id
        ) as w
        cross join lateral (
            select v.stream_id, count(*) over () as streams
            from public.active_viewers as v
            where v.viewer_id = w.viewer_id and v.activated_at is not null
        ) as o
        where o.streams + w.changes > p_max_streams_per_viewer
    )
    select coalesce(array_agg(l.stream_id), '{}')
    from (select c.stream_id from concerned as c union select m.stream_id from moved as m) as l
$$;

revoke all on function fleet.streams_to_check(timestamptz, timestamptz, integer, integer)
from public, anon, authenticated, service_role;
comment on function fleet.streams_to_check(timestamptz, timestamptz, integer, integer) is
    'Takes up to p_limit marks and the viewers that have fallen silent since the last recompute; returns the streams '
    'whose state they may change.';
