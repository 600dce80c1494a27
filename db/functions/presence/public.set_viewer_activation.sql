create or replace function public.set_viewer_activation()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    if not (new.is_active and new.is_unmuted and new.is_visible and new.is_subscribed) then
        new.activated_at := null;
    elsif tg_op = 'INSERT' then
        new.activated_at := new.last_active_at;
    else
        -- If a heartbeat switched it on, the heartbeat's time; if a client changed only flags, now.
        new.activated_at := case
            when new.last_active_at is distinct from old.last_active_at then new.last_active_at
            else clock_timestamp()
        end;
    end if;
    return new;
end
$$;

revoke all on function public.set_viewer_activation() from public, anon, authenticated, service_role;
comment on function public.set_viewer_activation() is
    'Derives active_viewers.activated_at, whoever writes the flags. An ordinary heartbeat, which changes no flag, '
    'doesn''t fire it.';

create or replace trigger viewer_joins
before insert on public.active_viewers
for each row execute function public.set_viewer_activation();

create or replace trigger viewer_switches
before update on public.active_viewers
for each row
when (
    (new.is_active and new.is_unmuted and new.is_visible and new.is_subscribed) <> (old.activated_at is not null)
    or new.activated_at is distinct from old.activated_at
    or new.last_active_at >= old.last_active_at + interval '60 seconds'
    -- Activated by a clock that was ahead: it would be the viewer's newest stream until that time comes.
    or new.activated_at > new.last_active_at + interval '60 seconds'
)
execute function public.set_viewer_activation();
