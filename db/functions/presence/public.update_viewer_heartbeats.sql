-- Definer: a gateway speaks for all whose connections it holds, and never at another time.
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
    -- A thousand hold their rows for 50 ms, for half a second if each of them switches a flag.
    if jsonb_array_length(p_heartbeats) > 1000 then
        raise exception 'at most 1000 heartbeats a call, not %', jsonb_array_length(p_heartbeats)
            using errcode = 'invalid_parameter_value';
    end if;
    return query
    select h.stream_id, h.viewer_id, h.reason from fleet.record_heartbeats(p_heartbeats) as h;
end
$$;

revoke all on function public.update_viewer_heartbeats(jsonb) from public, anon, authenticated, service_role;
comment on function public.update_viewer_heartbeats(jsonb) is
    'update_viewer_heartbeat for a gateway that holds many viewers: up to 1000 objects {"stream_id", "viewer_id", '
    '"is_active", "is_unmuted", "is_visible", "is_subscribed"} and, as p_tab is there, "tab". '
    'Objects rather than an array a column: they are a request''s body as it stands, one value can''t slip against '
    'another, and reading them is a twentieth of the work. '
    'A flag holds by true alone; of several entries of one tab of a viewer on a stream the last counts. Returns the '
    'entries of an unknown stream or profile, and of what is no tab''s name; all others are noted.';
