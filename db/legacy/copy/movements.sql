create or replace function upgrade.copy_movements(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform 1
    from public.profiles as p
    where p.id in (
        select s.profile_id from upgrade.movements as s where s.no > p_after and s.no <= p_upto and s.fate = 'move'
    )
    order by p.id
    for no key update;

    perform fleet.post_ledger(
        array(
            select leg.posting
            from (
                select
                    s.*,
                    row_number() over (order by s.no) as ordinality,
                    t.prefix || 'ledger:' || s.id as key,
                    -- A reason that events use stays reserved for them.
                    case
                        when s.kind in ('purchase', 'gift') or coalesce(s.kind, '') = ''
                            then 'old_' || coalesce(s.kind, '')
                        else s.kind
                    end as booked_as
                from upgrade.movements as s
                cross join upgrade.this as t
                left join public.gifts as g on g.id = s.gift_id
                left join public.coin_purchases as p on p.id = s.purchase_id
                where s.no > p_after and s.no <= p_upto and s.fate = 'move' and g.id is null and p.id is null
            ) as m
            cross join lateral (
                values
                (row(m.ordinality, 0, m.profile_id, m.account, m.amount, m.booked_as, m.key, null)::fleet.posting),
                (row(m.ordinality, 1, null, 'adjustments', -m.amount, m.booked_as, m.key, null)::fleet.posting)
            ) as leg (posting)
            order by m.ordinality
        )
    );
end
$$;
