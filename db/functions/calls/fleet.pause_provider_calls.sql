-- Definer: the worker may pause calls, not write the outbox.
create or replace function fleet.pause_provider_calls(
    p_id bigint, p_attempt integer, p_error text, p_now timestamptz default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_kind text;
begin
    update fleet.provider_calls as c
    set
        next_attempt_at = v_now,
        dated_at = v_now,
        lease_until = null,
        last_error = p_error
    where c.id = p_id and c.attempts = p_attempt and c.state = 'pending'
    returning c.kind into v_kind;
    if not found then
        return false;
    end if;
    insert into fleet.call_pauses (kind, reason, paused_at)
    values (v_kind, p_error, v_now)
    on conflict (kind) do nothing;
    return found;
end
$$;

revoke all on function fleet.pause_provider_calls(bigint, integer, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.pause_provider_calls(bigint, integer, text, timestamptz) is
    'Pauses all calls of this one''s kind until a person lifts the pause, and puts this one back. '
    'True if it is this call that paused them.';
