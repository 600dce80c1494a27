-- Definer: the worker has no right to read the ledger.
create or replace function fleet.moved_coins()
returns table (account text, gained bigint, gainers bigint, lost bigint, losers bigint)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select
        m.account,
        coalesce(sum(m.coins) filter (where m.coins > 0), 0)::bigint,
        count(*) filter (where m.coins > 0),
        coalesce(-sum(m.coins) filter (where m.coins < 0), 0)::bigint,
        count(*) filter (where m.coins < 0)
    from (
        select l.account, l.profile_id, sum(l.amount) as coins
        from public.ledger_entries as l
        where l.xact_id = pg_current_xact_id() and l.profile_id is not null
        group by l.account, l.profile_id
    ) as m
    where m.coins <> 0
    group by m.account
    order by m.account
$$;

revoke all on function fleet.moved_coins() from public, anon, authenticated, service_role;
comment on function fleet.moved_coins() is
    'Coins that this transaction has moved, by account: to how many people, and from how many.';
