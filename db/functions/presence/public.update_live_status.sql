-- Definer: the owner of a stream may switch it, and has no right to what follows from that.
create or replace function public.update_live_status()
returns trigger
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    if tg_op = 'UPDATE' and new.live_available = old.live_available then
        return new;
    end if;
    if new.live_available then
        new.started_at := coalesce(case when tg_op = 'INSERT' then new.started_at end, clock_timestamp());
        new.ended_at := null;
        insert into fleet.publish_marks (stream_id) values (new.id);
    else
        if tg_op = 'UPDATE' and old.is_published then
            -- For the console, as a recompute notes what it switches.
            insert into fleet.publish_changes (stream_id, is_published) values (new.id, false);
        end if;
        new.is_published := false;
        new.ended_at := case when tg_op = 'INSERT' then new.ended_at else clock_timestamp() end;
    end if;
    return new;
end
$$;

revoke all on function public.update_live_status() from public, anon, authenticated, service_role;
comment on function public.update_live_status() is
    'Has the next recompute look at a stream that was switched on; unpublishes a stream in the statement that switches '
    'it off.';

create or replace trigger trigger_update_live_status
before insert or update of live_available on public.live_streams
for each row execute function public.update_live_status();
