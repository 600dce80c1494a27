create or replace function fleet.record_action(
    p_action text,
    p_typed_by text,
    p_reason text,
    p_detail jsonb,
    p_event_ids bigint[] default '{}'
)
returns bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.operator_actions (action, typed_by, reason, detail, event_ids)
    values (p_action, p_typed_by, btrim(p_reason), p_detail, p_event_ids)
    returning id
$$;

revoke all on function fleet.record_action(text, text, text, jsonb, bigint[])
from public, anon, authenticated, service_role;
comment on function fleet.record_action(text, text, text, jsonb, bigint[]) is
    'Notes what an operator does, in the transaction that does it: by which login, on which account and machine, and '
    'why. Returns the id of the note.';
