-- Definer: clients delete their own rows, and have no right to the marks.
create or replace function fleet.mark_viewers_left()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    -- If the viewer's silence was already counted, removing the row changes nothing.
    insert into fleet.publish_marks (stream_id, viewer_id)
    select g.stream_id, g.viewer_id
    from gone as g
    where g.activated_at is not null
        and g.last_active_at > coalesce((select h.silent_until from fleet.publish_horizon as h), '-infinity');
    return null;
end
$$;

revoke all on function fleet.mark_viewers_left() from public, anon, authenticated, service_role;
comment on function fleet.mark_viewers_left() is
    'Marks the streams from which watching viewers were removed.';

create or replace trigger viewers_left
after delete on public.active_viewers
referencing old table as gone
for each statement execute function fleet.mark_viewers_left();
