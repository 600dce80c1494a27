create or replace function fleet.limit_sandbox_grants(
    p_decisions fleet.purchase_decision[], p_facts fleet.fact[], p_now timestamptz
)
returns fleet.purchase_decision[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_limit bigint;
    v_sandbox bigint[];
    v_buyer uuid;
    v_coins numeric;
    v_refused bigint[] := '{}';
    v_one record;
begin
    v_sandbox := array(select f.payment_id from unnest(p_facts) as f where f.kind = 'store_purchase' and f.is_sandbox);
    select s.sandbox_coins_per_day into v_limit from fleet.settings as s where s.store_sandbox = 'ignore';
    if cardinality(v_sandbox) = 0 or v_limit is null then
        return p_decisions;
    end if;
    for v_one in
        select d.payment_id, d.profile_id, d.coin_amount
        from unnest(p_decisions) with ordinality as d
        where d.granted and d.payment_id = any(v_sandbox)
        order by d.profile_id, d.ordinality
    loop
        if v_buyer is distinct from v_one.profile_id then
            v_buyer := v_one.profile_id;
            v_coins := (
                select coalesce(sum(g.coins), 0)
                from fleet.sandbox_grants as g
                where g.profile_id = v_buyer
                    and g.granted_at >= date_trunc('day', p_now, 'UTC')
                    -- A later day is that of a clock that was ahead.
                    and g.granted_at < date_trunc('day', p_now, 'UTC') + interval '1 day'
            );
        end if;
        if v_coins + v_one.coin_amount > v_limit then
            v_refused := v_refused || v_one.payment_id;
        else
            v_coins := v_coins + v_one.coin_amount;
        end if;
    end loop;
    if cardinality(v_refused) = 0 then
        return p_decisions;
    end if;
    for v_i in 1 .. cardinality(p_decisions) loop
        if p_decisions[v_i].payment_id = any(v_refused) and p_decisions[v_i].state = 'applied' then
            p_decisions[v_i].creates := false;
            p_decisions[v_i].granted := false;
            p_decisions[v_i].purchase_id := null;
            p_decisions[v_i].state := 'ignored';
            p_decisions[v_i].reason := 'sandbox_limit';
        end if;
    end loop;
    return p_decisions;
end
$$;

revoke all on function fleet.limit_sandbox_grants(fleet.purchase_decision[], fleet.fact[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.limit_sandbox_grants(fleet.purchase_decision[], fleet.fact[], timestamptz) is
    'Ignores purchases that cost nothing beyond what their buyer may be granted on a day (UTC). The caller holds the '
    'locks of the buyers'' rows.';
