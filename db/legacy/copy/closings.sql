-- The difference that history left: each account ends at its trusted balance.
create or replace function upgrade.copy_closings(p_after bigint, p_upto bigint)
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
    where p.id in (select s.profile_id from upgrade.closings as s where s.no > p_after and s.no <= p_upto)
    order by p.id
    for no key update;

    select
        array_agg(s.profile_id order by s.no) as profile_ids, array_agg(s.old_id order by s.no) as old_ids,
        array_agg(s.trusted_coins - p.coin_balance order by s.no) as coins,
        array_agg(s.trusted_earnings - p.earnings_balance order by s.no) as earnings
    into v_batch
    from upgrade.closings as s
    join public.profiles as p on p.id = s.profile_id
    where s.no > p_after and s.no <= p_upto;
    perform upgrade.post_differences(
        'closing_difference', v_batch.profile_ids, v_batch.old_ids, v_batch.coins, v_batch.earnings
    );
end
$$;
