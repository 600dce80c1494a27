create or replace function upgrade.copy_gift_types(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    insert into public.gift_types (code, name, coin_cost, streamer_share_bps, active)
    select
        s.code, s.name, s.coin_cost,
        case when s.streamer_share_bps between 0 and 10000 then s.streamer_share_bps else 7000 end,
        s.active
    from upgrade.gift_types as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move';

    insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
    select s.source_table, s.source_key, 'share_out_of_range', s.streamer_share_bps::text
    from upgrade.gift_types as s
    where s.no > p_after and s.no <= p_upto and s.fate = 'move' and s.streamer_share_bps not between 0 and 10000;
end
$$;
