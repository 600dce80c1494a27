-- live_streams.active_viewer_count is the number of the stream's viewers with all four flags, late changes included.
select s.id as stream_id, s.active_viewer_count, coalesce(c.late, 0) as late, coalesce(v.viewers, 0) as viewers
from public.live_streams as s
left join (
    select v.stream_id, count(*) as viewers
    from public.active_viewers as v
    where v.is_active and v.is_unmuted and v.is_visible and v.is_subscribed
    group by v.stream_id
) as v on v.stream_id = s.id
left join (
    select c.stream_id, sum(c.viewers) as late from fleet.stream_changes as c group by c.stream_id
) as c on c.stream_id = s.id
where s.active_viewer_count + coalesce(c.late, 0) <> coalesce(v.viewers, 0)
