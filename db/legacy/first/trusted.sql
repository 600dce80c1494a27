-- What is trusted of the first generation: coins.balance, and what gifts earned. It stored no earnings; they are
-- computed from each gift received, also from a sender without a match.
create view upgrade.trusted as
select
    u.old_id,
    u.profile_id,
    coalesce(c.coins, 0) as coins,
    coalesce(e.earnings, 0) as earnings
from fleet.upgraded_users as u
left join (
    select k.user_id::text as old_id, sum(k.balance::numeric) as coins
    from legacy_first.coins as k
    where abs(k.balance::numeric) <= upgrade.most()
    group by 1
) as c on c.old_id = u.old_id
left join (
    select g.recipient_id, sum(g.streamer_revenue) as earnings
    from upgrade.gifts as g
    where g.earns
    group by 1
) as e on e.recipient_id = u.profile_id;

-- Rows to be set aside that belong to no other step.
create view upgrade.raw_leftovers as
select
    'user_profiles' as source_table,
    p.ctid::text as source_key,
    'quarantine' as fate,
    case
        when p.profile_id is not null then 'duplicate_profile'
        when p.is_user then 'user_quarantined'
        else 'no_user'
    end as reason,
    null::text as account,
    null::numeric as coins,
    p.source_row
from (
    select
        p.ctid,
        to_jsonb(p) as source_row,
        m.profile_id,
        exists (select from legacy_first.users as u where u.id = p.user_id) as is_user,
        row_number() over (partition by p.user_id order by p.ctid) as copy
    from legacy_first.user_profiles as p
    left join fleet.upgraded_users as m on m.old_id = p.user_id::text
) as p
where p.profile_id is null or p.copy > 1
union all
select
    'coins',
    k.ctid::text,
    'quarantine',
    case
        when m.profile_id is not null then 'beyond_limits'
        when exists (select from legacy_first.users as u where u.id = k.user_id) then 'user_quarantined'
        else 'no_user'
    end,
    'coins',
    coalesce(k.balance, 0)::numeric,
    to_jsonb(k)
from legacy_first.coins as k
left join fleet.upgraded_users as m on m.old_id = k.user_id::text
where m.profile_id is null or abs(k.balance::numeric) > upgrade.most()
union all
select
    'earnings',
    coalesce(g.old_recipient_id, ''),
    'quarantine',
    case when g.recipient_id is null then 'unknown_recipient' else 'self_gifts' end,
    'earnings',
    sum(g.streamer_revenue),
    jsonb_build_object('user_id', g.old_recipient_id, 'gifts', count(*), 'coins', sum(g.streamer_revenue))
from upgrade.gifts as g
where g.streamer_revenue is not null and not g.earns
group by g.old_recipient_id, g.recipient_id;
