-- Brings accounts to a balance by an entry against 'adjustments'; writes none if the balance is right already.
create or replace function upgrade.post_differences(
    p_name text, p_profile_ids uuid[], p_old_ids text[], p_coins numeric[], p_earnings numeric[]
)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform fleet.post_ledger(
        array(
            select leg.posting
            from (
                select
                    d.profile_id, v.account, v.amount,
                    t.prefix || p_name || ':' || v.account || ':' || d.old_id as key,
                    row_number() over (order by d.ordinality, v.account) as ordinality
                from unnest(p_profile_ids, p_old_ids, p_coins, p_earnings)
                    with ordinality as d (profile_id, old_id, coins, earnings, ordinality)
                cross join lateral (values ('coins', d.coins), ('earnings', d.earnings)) as v (account, amount)
                cross join upgrade.this as t
                where v.amount <> 0
            ) as n
            cross join lateral (
                values
                (row(n.ordinality, 0, n.profile_id, n.account, n.amount, p_name, n.key, null)::fleet.posting),
                (row(n.ordinality, 1, null, 'adjustments', -n.amount, p_name, n.key, null)::fleet.posting)
            ) as leg (posting)
            order by n.ordinality
        )
    );
end
$$;

create or replace function upgrade.copy_openings(p_after bigint, p_upto bigint)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    v_batch record;
begin
    perform 1
    from public.profiles as p
    where p.id in (select s.profile_id from upgrade.openings as s where s.no > p_after and s.no <= p_upto)
    order by p.id
    for no key update;

    select
        array_agg(s.profile_id order by s.no) as profile_ids, array_agg(s.old_id order by s.no) as old_ids,
        array_agg(s.opening_coins order by s.no) as coins, array_agg(s.opening_earnings order by s.no) as earnings
    into v_batch
    from upgrade.openings as s
    where s.no > p_after and s.no <= p_upto;
    perform upgrade.post_differences(
        'opening_balance', v_batch.profile_ids, v_batch.old_ids, v_batch.coins, v_batch.earnings
    );
end
$$;
