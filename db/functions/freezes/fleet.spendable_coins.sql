create or replace function fleet.spendable_coins(p_gifts fleet.gift_decision[], p_balances bigint[])
returns bigint[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_profile_ids uuid[];
    v_coins numeric[];
begin
    select array_agg(z.profile_id), array_agg(z.coins) into v_profile_ids, v_coins
    from fleet.frozen_coins(array(select distinct g.sender_id from unnest(p_gifts) as g)) as z;
    -- What others have frozen is nothing to these senders.
    if v_profile_ids is not null then
        p_balances := array(
            -- A debt less what is frozen may be more than bigint holds.
            select
                case
                    when w.coins is null then p_balances[g.ordinality]
                    else greatest(p_balances[g.ordinality] - w.coins, -9223372036854775808)::bigint
                end
            from unnest(p_gifts) with ordinality as g
            cross join lateral (select v_coins[array_position(v_profile_ids, g.sender_id)] as coins) as w
            order by g.ordinality
        );
    end if;
    return p_balances;
end
$$;

revoke all on function fleet.spendable_coins(fleet.gift_decision[], bigint[])
from public, anon, authenticated, service_role;
comment on function fleet.spendable_coins(fleet.gift_decision[], bigint[]) is
    'The balances of these gifts'' senders less what is frozen of them, in the order of the gifts. The caller holds '
    'the profiles'' locks.';
