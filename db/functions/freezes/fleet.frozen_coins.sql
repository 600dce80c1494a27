-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.frozen_coins(p_profile_ids uuid[])
returns table (profile_id uuid, coins numeric)
language sql
stable
rows 10
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    select z.profile_id, sum(granted.coins)
    from fleet.frozen_purchases as z
    -- A look-up per frozen purchase: a join that expects many reads all purchases in the order of their ids.
    cross join lateral (
        select cp.coin_amount - cp.refunded_coins as coins
        from public.coin_purchases as cp
        where cp.id = z.purchase_id and cp.granted_at is not null
        limit 1
    ) as granted
    where z.profile_id = any(p_profile_ids)
    group by z.profile_id
$$;

revoke all on function fleet.frozen_coins(uuid[]) from public, anon, authenticated, service_role;
comment on function fleet.frozen_coins(uuid[]) is
    'How many coins of these profiles are frozen: per payment with an open freeze what it granted less what was taken '
    'back, once, however many freezes it has. A profile without frozen purchases has no row.';
