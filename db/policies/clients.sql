-- What the platform's clients and its backend may call. What they may read and write stands in
-- public.<table>.sql; service_role bypasses row level security, and has what is granted there only.
grant usage on schema public to anon, authenticated, service_role;
-- An identity column needs no right to its sequence; whoever had one could set it back.
revoke all on all sequences in schema public from public, anon, authenticated, service_role;
grant execute on function public.process_gift(uuid, text, text, integer, bigint, integer) to authenticated;
grant execute on function public.process_coin_purchase(uuid, text, text, text, bigint, numeric, inet, text, text) to service_role;
grant execute on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean) to authenticated;
-- A gateway speaks for many viewers, so it holds the backend's key.
grant execute on function public.update_viewer_heartbeats(jsonb) to service_role;
