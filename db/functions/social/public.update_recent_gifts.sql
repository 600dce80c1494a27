create or replace function public.update_recent_gifts()
returns trigger
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_stream_ids bigint[];
    v_coins bigint[];
begin
    select array_agg(c.stream_id), array_agg(c.coins) into v_stream_ids, v_coins
    from (
        select g.stream_id, sum(g.coin_amount)::bigint as coins
        from given as g
        where g.stream_id is not null and g.created_at > (select h.counted_from from fleet.recent_gifts_horizon as h)
        group by g.stream_id
    ) as c;
    perform fleet.change_stream_counters(v_stream_ids, p_coins => v_coins);
    return null;
end
$$;

revoke all on function public.update_recent_gifts() from public, anon, authenticated, service_role;
comment on function public.update_recent_gifts() is
    'Adds a statement''s gifts to live_streams.recent_gift_coins, each stream once; fleet.age_recent_gifts takes them '
    'out again. Runs inside the transaction that moves money, and waits for no lock.';

create or replace trigger trigger_update_recent_gifts
after insert on public.gifts
referencing new table as given
for each statement execute function public.update_recent_gifts();
