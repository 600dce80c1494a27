-- Definer: this is the one way by which the console reads a payload.
create or replace function fleet.payload_of(p_event_id bigint, p_who text, p_reason text)
returns bytea
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_payload bytea;
begin
    select e.payload into v_payload from fleet.inbox_events as e where e.id = p_event_id;
    if v_payload is not null then
        -- Nobody sees it before that is on disk.
        perform fleet.commit_durably();
        insert into fleet.operator_actions (action, typed_by, reason, event_ids)
        values ('payload read', p_who, btrim(p_reason), array[p_event_id]);
    end if;
    return v_payload;
end
$$;

revoke all on function fleet.payload_of(bigint, text, text) from public, anon, authenticated, service_role;
comment on function fleet.payload_of(bigint, text, text) is
    'The payload of an event for a person who may read payloads, noted with who and why; null if it is not kept.';
