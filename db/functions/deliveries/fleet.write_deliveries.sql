create or replace function fleet.write_deliveries(p_types text[], p_keys text[], p_data jsonb[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.provider_calls (kind, key, request)
    select
        'app.deliver',
        m.key,
        jsonb_build_object(
            'type', m.type,
            'timestamp', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'data', m.data
        )
    from unnest(p_types, p_keys, p_data) as m (type, key, data)
    on conflict (key) do nothing
$$;

revoke all on function fleet.write_deliveries(text[], text[], jsonb[]) from public, anon, authenticated, service_role;
comment on function fleet.write_deliveries(text[], text[], jsonb[]) is
    'Writes messages to the app into the outbox, in the transaction that decides. A key is the webhook-id: what was '
    'written before under the same key is not written again. The caller has seen that the app is told.';
