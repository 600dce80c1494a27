create or replace function fleet.record_heartbeat(
    p_viewer_id uuid,
    p_stream_id bigint,
    p_is_active boolean,
    p_is_unmuted boolean,
    p_is_visible boolean,
    p_is_subscribed boolean,
    p_now timestamptz default null
)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    -- Nearly every heartbeat finds its row; an upsert would pay for an insert first.
    update public.active_viewers as v
    set
        is_active = coalesce(p_is_active, false),
        is_unmuted = coalesce(p_is_unmuted, false),
        is_visible = coalesce(p_is_visible, false),
        is_subscribed = coalesce(p_is_subscribed, false),
        last_active_at = coalesce(p_now, clock_timestamp()),
        tabs = null
    where v.stream_id = p_stream_id and v.viewer_id = p_viewer_id;
    if found then
        return;
    end if;
    if not exists (select 1 from public.live_streams as s where s.id = p_stream_id) then
        perform fleet.raise_refusal('unknown_stream');
    end if;
    if not exists (select 1 from public.profiles as p where p.id = p_viewer_id) then
        perform fleet.raise_refusal('unknown_profile');
    end if;
    insert into public.active_viewers as v (
        stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at
    )
    values (
        p_stream_id,
        p_viewer_id,
        coalesce(p_is_active, false),
        coalesce(p_is_unmuted, false),
        coalesce(p_is_visible, false),
        coalesce(p_is_subscribed, false),
        coalesce(p_now, clock_timestamp())
    )
    on conflict (stream_id, viewer_id) do update
    set
        is_active = excluded.is_active,
        is_unmuted = excluded.is_unmuted,
        is_visible = excluded.is_visible,
        is_subscribed = excluded.is_subscribed,
        last_active_at = excluded.last_active_at,
        tabs = null;
end
$$;

revoke all on function fleet.record_heartbeat(uuid, bigint, boolean, boolean, boolean, boolean, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.record_heartbeat(uuid, bigint, boolean, boolean, boolean, boolean, timestamptz) is
    'Records a viewer''s heartbeat on a stream, from a client that names no tab: it replaces what tabs said. A row '
    'that the sweep removed meanwhile is made again. Raises CF006 for an unknown profile, CF007 for an unknown stream.';
