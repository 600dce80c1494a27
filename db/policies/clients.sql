-- What the platform's clients and its backend may call. Row policies of the tables join here.
grant usage on schema public to anon, authenticated, service_role;
grant execute on function public.process_gift(uuid, text, text, integer, bigint, integer) to authenticated;
grant execute on function public.process_coin_purchase(uuid, text, text, text, bigint, numeric, inet, text, text) to service_role;
grant execute on function public.update_viewer_heartbeat(bigint, boolean, boolean, boolean, boolean) to authenticated;
