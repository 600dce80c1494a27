create or replace function fleet.event_object(p_payload bytea)
returns jsonb
language plpgsql
immutable
security invoker
set search_path = '', pg_temp
as $$
begin
    return convert_from(p_payload, 'UTF8')::jsonb;
exception
    -- Not UTF-8, not JSON, or a character that jsonb does not have.
    when data_exception or program_limit_exceeded then
        return null;
end
$$;

revoke all on function fleet.event_object(bytea) from public, anon, authenticated, service_role;
comment on function fleet.event_object(bytea) is
    'A payload as an object, or null if it can''t be read. For a few events at a time: each takes a subtransaction.';
