create or replace function fleet.was_recorded_meanwhile(
    p_provider text, p_provider_event_id text, p_payment_keys text[]
)
returns boolean
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_fact fleet.fact;
begin
    if 'event:' || p_provider_event_id = any(p_payment_keys) then
        return false;
    end if;
    v_fact.kind := 'purchase';
    v_fact.provider := p_provider;
    v_fact.provider_event_id := p_provider_event_id;
    v_fact.payment_keys := p_payment_keys;
    return cardinality((fleet.add_recorded_names(array[v_fact]))[1].payment_keys) > cardinality(p_payment_keys);
end
$$;

revoke all on function fleet.was_recorded_meanwhile(text, text, text[])
from public, anon, authenticated, service_role;
comment on function fleet.was_recorded_meanwhile(text, text, text[]) is
    'Whether a direct call recorded this event under a name that could be one of this payment''s, after the names that '
    'are locked now were looked up.';
