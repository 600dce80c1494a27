create or replace function fleet.spendable_coins(p_gifts fleet.gift_decision[], p_balances bigint[])
returns bigint[]
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    -- A debt less what is frozen may be more than bigint holds.
    select array_agg(
        case
            when z.coins is null then p_balances[g.ordinality]
            else greatest(p_balances[g.ordinality] - z.coins, -9223372036854775808)::bigint
        end
        order by g.ordinality
    )
    from unnest(p_gifts) with ordinality as g
    left join fleet.frozen_coins(array(select distinct u.sender_id from unnest(p_gifts) as u)) as z
        on z.profile_id = g.sender_id
$$;

revoke all on function fleet.spendable_coins(fleet.gift_decision[], bigint[])
from public, anon, authenticated, service_role;
comment on function fleet.spendable_coins(fleet.gift_decision[], bigint[]) is
    'The balances of these gifts'' senders less what is frozen of them, in the order of the gifts. The caller holds '
    'the profiles'' locks.';
