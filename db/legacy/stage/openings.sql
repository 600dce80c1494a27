-- What each account held before the history that is booked: the trusted balance less that history.
create table upgrade.openings as
select
    row_number() over (order by t.profile_id) as no,
    null::text as source_table, t.old_id as source_key, 'move' as fate, null::text as reason,
    null::text as account, null::numeric as coins, null::jsonb as source_row,
    t.old_id,
    t.profile_id,
    t.coins as trusted_coins,
    t.earnings as trusted_earnings,
    t.coins - coalesce(sum(h.coins), 0) as opening_coins,
    -- Earnings never fall below zero; the closing entry settles the difference.
    greatest(t.earnings - coalesce(sum(h.earnings), 0), 0) as opening_earnings
from upgrade.trusted as t
left join (
    select p.profile_id, p.coins - p.coins_taken as coins, 0 as earnings
    from upgrade.purchases as p
    where p.fate = 'move'
    union all
    select g.sender_id, -g.coins, 0 from upgrade.gifts as g where g.fate = 'move'
    union all
    select g.recipient_id, 0, g.streamer_revenue from upgrade.gifts as g where g.fate = 'move'
    union all
    select
        m.profile_id,
        case m.account when 'coins' then m.amount else 0 end,
        case m.account when 'earnings' then m.amount else 0 end
    from upgrade.movements as m
    where m.fate = 'move' and m.gift_id is null and m.purchase_id is null
) as h on h.profile_id = t.profile_id
group by t.old_id, t.profile_id, t.coins, t.earnings;
