-- Definer: this is the only way to record a heartbeat: not in another viewer's name, nor at another time.

-- The last release's signature is dropped in the transaction that makes the new one, because PostgREST calls neither
-- of two functions that fit one request. A function that somebody else made is not ours to drop.
do $$
begin
    if to_regprocedure('public.update_viewer_heartbeat(bigint,boolean,boolean,boolean,boolean)') is null then
        return;
    end if;
    if not exists (
        select 1 from fleet.schema_objects as o where o.kind = 'function' and o.name = 'public.update_viewer_heartbeat'
    ) then
        raise exception '%',
            'public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean) is here already '
            'and isn''t this release''s: rename it';
    end if;
    drop function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean);
end
$$;

create or replace function public.update_viewer_heartbeat(
    p_stream_id bigint,
    p_is_active boolean,
    p_is_unmuted boolean,
    p_is_visible boolean,
    p_is_subscribed boolean,
    p_tab text default null
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
    if coalesce(p_tab, '') = '' then
        perform fleet.record_heartbeat(
            v_viewer_id, p_stream_id, p_is_active, p_is_unmuted, p_is_visible, p_is_subscribed
        );
        return;
    end if;
    if length(p_tab) > 64 then
        raise exception 'a tab''s name has at most 64 characters, not %', length(p_tab)
            using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.record_tab_heartbeat(
        v_viewer_id, p_stream_id, p_is_active, p_is_unmuted, p_is_visible, p_is_subscribed, p_tab
    );
end
$$;

revoke all on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean, text)
from public, anon, authenticated, service_role;
-- Granted here and not only in policies/, which are applied later: clients go on calling while the release runs.
grant execute on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean, text)
to authenticated;
comment on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean, text) is
    'Records that the signed-in viewer watches a stream; clients call it every 10 to 15 s. A flag that is null counts '
    'as false. p_tab is an id that a page chooses for itself, at most 64 characters: a tab that doesn''t watch does '
    'not undo what another tab, heard within 60 s, does. Without p_tab the last heartbeat counts. Raises CF007 for an '
    'unknown stream.';
