-- Definer: clients write their own rows, and have no right to the marks.
create or replace function fleet.mark_viewers_joined()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    insert into fleet.publish_marks (stream_id, viewer_id)
    select j.stream_id, j.viewer_id
    from joined as j
    where j.activated_at is not null;
    return null;
end
$$;

revoke all on function fleet.mark_viewers_joined() from public, anon, authenticated, service_role;
comment on function fleet.mark_viewers_joined() is 'Marks the streams that viewers began to watch.';

create or replace trigger viewers_joined
after insert on public.active_viewers
referencing new table as joined
for each statement execute function fleet.mark_viewers_joined();
