-- What the platform's clients and its backend may call. What they may read and write is listed in public.<table>.sql;
-- service_role bypasses row level security, but has only the rights that are granted there.
grant usage on schema public to anon, authenticated, service_role;
grant execute on function public.process_gift(uuid, text, text, integer, bigint, integer) to authenticated;
grant execute on function public.process_coin_purchase(uuid, text, text, text, bigint, numeric, inet, text, text) to service_role;
grant execute on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean, text) to authenticated;
-- A gateway sends heartbeats for many viewers, so it has the backend's key.
grant execute on function public.update_viewer_heartbeats(jsonb) to service_role;

-- An identity column needs no right to its sequence, and a role that had one could set it back. Only sequences of our
-- own tables: the schema public holds other people's too.
do $$
declare
    v_table text;
begin
    foreach v_table in array array['chat_messages', 'coin_purchases', 'gifts', 'ledger_entries', 'live_streams'] loop
        execute format(
            'revoke all on sequence %s from public, anon, authenticated, service_role',
            pg_get_serial_sequence('public.' || v_table, 'id')
        );
    end loop;
end
$$;
