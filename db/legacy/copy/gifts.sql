create or replace function upgrade.copy_gifts(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform 1
    from public.profiles as p
    where p.id in (
        select unnest(array[s.sender_id, s.recipient_id]) from upgrade.gifts as s
        where s.no > p_after and s.no <= p_upto and s.fate = 'move'
    )
    order by p.id
    for no key update;

    insert into public.gifts (
        id, provider_event_id, sender_id, recipient_id, stream_id, gift_type, quantity, slot_index, coin_amount,
        platform_revenue, streamer_revenue, created_at
    )
    select
        s.id, t.prefix || 'gift:' || s.id, s.sender_id, s.recipient_id, s.known_stream_id, s.gift_type,
        case when s.quantity between 1 and 1000000 then s.quantity else 1 end,
        case when s.slot between 1 and 12 then s.slot end,
        s.coins, s.coins - s.streamer_revenue, s.streamer_revenue, coalesce(s.created_at, 'epoch')
    from upgrade.gifts as s
    cross join upgrade.this as t
    where s.no > p_after and s.no <= p_upto and s.fate = 'move';

    perform fleet.post_ledger(
        array(
            select row(
                g.ordinality, leg.no, case leg.no when 0 then g.sender_id when 1 then g.recipient_id end,
                case leg.no when 0 then 'coins' when 1 then 'earnings' else 'platform_revenue' end,
                case leg.no when 0 then -g.coin_amount when 1 then g.streamer_revenue else g.platform_revenue end,
                'gift', 'gift:' || g.provider_event_id, case leg.no when 1 then g.coin_amount end
            )::fleet.posting
            from (
                select g.*, row_number() over (order by s.no) as ordinality
                from upgrade.gifts as s
                join public.gifts as g on g.id = s.id
                where s.no > p_after and s.no <= p_upto and s.fate = 'move'
            ) as g
            cross join (values (0), (1), (2)) as leg (no)
            order by g.ordinality, leg.no
        )
    );

    insert into fleet.upgrade_notes (source_table, source_key, note, old_value)
    select s.source_table, s.source_key, n.note, n.old_value
    from upgrade.gifts as s
    cross join lateral (
        values
        ('slot_out_of_range', case when s.slot not between 1 and 12 then s.slot::text end),
        ('stream_unknown', case when s.known_stream_id is null then s.stream_id::text end),
        ('quantity_out_of_range', case when s.quantity not between 1 and 1000000 then s.quantity::text end),
        ('time_unknown', case when s.created_at is null then '' end)
    ) as n (note, old_value)
    where s.no > p_after and s.no <= p_upto and s.fate = 'move' and n.old_value is not null;
end
$$;
