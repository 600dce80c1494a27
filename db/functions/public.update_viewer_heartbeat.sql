-- Definer: a viewer is heard only this way, and never in another's name or at another time.
create or replace function public.update_viewer_heartbeat(
    p_stream_id bigint,
    p_is_active boolean,
    p_is_unmuted boolean,
    p_is_visible boolean,
    p_is_subscribed boolean
)
returns void
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_viewer_id uuid := (select auth.uid());
begin
    if v_viewer_id is null then
        raise exception 'a heartbeat needs a signed-in viewer' using errcode = 'insufficient_privilege';
    end if;
    perform fleet.record_heartbeat(
        v_viewer_id, p_stream_id, p_is_active, p_is_unmuted, p_is_visible, p_is_subscribed
    );
end
$$;

revoke all on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean)
from public, anon, authenticated, service_role;
comment on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean) is
    'Notes that the signed-in viewer watches a stream; clients call it every 10 to 15 s. A flag that is null doesn''t hold. Raises CF007 for an unknown stream.';
