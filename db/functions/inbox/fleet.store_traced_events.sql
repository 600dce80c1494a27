-- Definer: the receiver may store events, not read or change the inbox.
create or replace function fleet.store_traced_events(
    p_providers text[],
    p_provider_event_ids text[],
    p_event_types text[],
    p_payloads bytea[],
    p_payload_sha256s bytea[],
    p_states text[],
    p_reasons text[],
    p_traceparents text[]
)
returns table (no bigint, same_body boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_seen bigint[] := '{}';
begin
    for no, same_body in
        select s.no, s.same_body
        from fleet.store_events(
            p_providers, p_provider_event_ids, p_event_types, p_payloads, p_payload_sha256s, p_states, p_reasons
        ) as s
    loop
        v_seen := v_seen || no;
        return next;
    end loop;
    -- Only rows of this transaction: one that was there before may be locked by a worker.
    update fleet.inbox_events as e
    set traceparent = t.traceparent
    from unnest(p_providers, p_provider_event_ids, p_traceparents)
        with ordinality as t (provider, provider_event_id, traceparent, no)
    where t.traceparent is not null
        and t.no <> all(v_seen)
        and e.provider = t.provider
        and e.provider_event_id = t.provider_event_id;
end
$$;

revoke all on function fleet.store_traced_events(text[], text[], text[], bytea[], bytea[], text[], text[], text[])
from public, anon, authenticated, service_role;
comment on function fleet.store_traced_events(text[], text[], text[], bytea[], bytea[], text[], text[], text[]) is
    'Stores arrivals as fleet.store_events does, each new one with the span in which it was received. It writes a row '
    'twice, so it is called only for arrivals of which one is traced.';
