-- Definer: clients write viewers' flags, and have no right to the marks.
create or replace function fleet.mark_viewer_switch()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    insert into fleet.publish_marks (stream_id, viewer_id) values (new.stream_id, new.viewer_id);
    return null;
end
$$;

revoke all on function fleet.mark_viewer_switch() from public, anon, authenticated, service_role;
comment on function fleet.mark_viewer_switch() is
    'Marks the stream of a viewer who began or stopped to watch.';

-- After 30 s of silence a heartbeat marks the stream too. A recompute that ran before the heartbeat was committed may
-- have counted the viewer as gone, and nothing else would look at the stream again.
create or replace trigger viewer_switched
after update on public.active_viewers
for each row
when (
    new.activated_at is distinct from old.activated_at
    or new.last_active_at < old.last_active_at
    or new.last_active_at >= old.last_active_at + interval '30 seconds'
)
execute function fleet.mark_viewer_switch();
