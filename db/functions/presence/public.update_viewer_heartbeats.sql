-- Definer: a gateway records heartbeats for all viewers that are connected to it, and at no other time than now.
create or replace function public.update_viewer_heartbeats(p_heartbeats jsonb)
returns table (stream_id bigint, viewer_id uuid, reason text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    if jsonb_typeof(p_heartbeats) is distinct from 'array' then
        raise exception 'heartbeats are a JSON array of objects' using errcode = 'invalid_parameter_value';
    end if;
    -- A call for a thousand viewers holds their rows for 50 ms, or for half a second if each of them changes a flag.
    if jsonb_array_length(p_heartbeats) > 1000 then
        raise exception 'at most 1000 heartbeats per call, not %', jsonb_array_length(p_heartbeats)
            using errcode = 'invalid_parameter_value';
    end if;
    return query
    select h.stream_id, h.viewer_id, h.reason from fleet.record_heartbeats(p_heartbeats) as h;
end
$$;

revoke all on function public.update_viewer_heartbeats(jsonb) from public, anon, authenticated, service_role;
comment on function public.update_viewer_heartbeats(jsonb) is
    'update_viewer_heartbeat for a gateway that holds many viewers. Takes up to 1000 objects {"stream_id", '
    '"viewer_id", "is_active", "is_unmuted", "is_visible", "is_subscribed"}, optionally with "tab" (p_tab). Objects '
    'rather than one array per column: they are a request''s body as it stands, values can''t get out of step, and '
    'reading them is a twentieth of the work. Only true counts as a set flag; of several entries of one tab of a '
    'viewer on a stream the last counts. Returns the entries with an unknown stream or profile, and those whose tab is '
    'not a tab''s name; all others are recorded.';
