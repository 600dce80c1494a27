create or replace function fleet.record_tab_heartbeat(
    p_viewer_id uuid,
    p_stream_id bigint,
    p_is_active boolean,
    p_is_unmuted boolean,
    p_is_visible boolean,
    p_is_subscribed boolean,
    p_tab text,
    p_now timestamptz default null
)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_beats jsonb := jsonb_build_object(
        p_tab, coalesce(p_is_active and p_is_unmuted and p_is_visible and p_is_subscribed, false)
    );
begin
    -- The same steps as in fleet.record_heartbeat, for nearly every heartbeat finds its row. Only the values differ:
    -- here they are what all tabs together say.
    update public.active_viewers as v
    set (is_active, is_unmuted, is_visible, is_subscribed, last_active_at, tabs) = (
        select
            m.is_watching or coalesce(p_is_active, false),
            m.is_watching or coalesce(p_is_unmuted, false),
            m.is_watching or coalesce(p_is_visible, false),
            m.is_watching or coalesce(p_is_subscribed, false),
            m.last_active_at,
            m.tabs
        from fleet.merge_tabs(v, v_beats, coalesce(p_now, clock_timestamp())) as m
    )
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
        stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at, tabs
    )
    select
        p_stream_id,
        p_viewer_id,
        coalesce(p_is_active, false),
        coalesce(p_is_unmuted, false),
        coalesce(p_is_visible, false),
        coalesce(p_is_subscribed, false),
        m.last_active_at,
        m.tabs
    from fleet.merge_tabs(null, v_beats, coalesce(p_now, clock_timestamp())) as m
    -- Another tab made the row at this moment.
    on conflict (stream_id, viewer_id) do update
    set (is_active, is_unmuted, is_visible, is_subscribed, last_active_at, tabs) = (
        select
            m.is_watching or excluded.is_active,
            m.is_watching or excluded.is_unmuted,
            m.is_watching or excluded.is_visible,
            m.is_watching or excluded.is_subscribed,
            m.last_active_at,
            m.tabs
        from fleet.merge_tabs(v, v_beats, coalesce(p_now, clock_timestamp())) as m
    );
end
$$;

revoke all on function fleet.record_tab_heartbeat(uuid, bigint, boolean, boolean, boolean, boolean, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.record_tab_heartbeat(uuid, bigint, boolean, boolean, boolean, boolean, text, timestamptz) is
    'Records a heartbeat of one of a viewer''s tabs on a stream. The row counts while any of its tabs does; else it is '
    'as this tab says. Raises CF006 for an unknown profile, CF007 for an unknown stream.';
