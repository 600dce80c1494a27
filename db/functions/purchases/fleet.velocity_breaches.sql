create or replace function fleet.velocity_breaches(p_decisions fleet.purchase_decision[])
returns bigint[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_limit integer := (select s.purchases_per_minute from fleet.settings as s);
    v_breaches bigint[] := '{}';
    v_buyer uuid;
    v_in_batch timestamptz[];
    v_others timestamptz[];
    v_candidate record;
begin
    -- Most buyers have too few purchases, old and new, to break the rule in any order: for them this is one look-up.
    for v_candidate in
        select d.purchase_id, d.payment_id, d.profile_id, d.purchased_at
        from unnest(p_decisions) with ordinality as d
        join (
            -- The buyers who have more purchases than the limit, old and new.
            select b.profile_id
            from (
                -- What each buyer purchases in this batch.
                select
                    u.profile_id, count(*) as purchases,
                    min(u.purchased_at) as first_at, max(u.purchased_at) as last_at
                from unnest(p_decisions) as u
                where u.creates
                group by u.profile_id
            ) as b
            cross join lateral (
                -- What each buyer purchased within 60 s of these.
                select count(*) as purchases
                from (
                    -- No more rows are read than the limit needs.
                    select 1
                    from public.coin_purchases as cp
                    where cp.profile_id = b.profile_id
                        and cp.purchased_at > b.first_at - interval '60 seconds'
                        and cp.purchased_at < b.last_at + interval '60 seconds'
                        and cp.decision is distinct from 'rejected'
                    limit v_limit
                ) as seen
            ) as earlier
            where b.purchases + earlier.purchases > v_limit
        ) as busy on busy.profile_id = d.profile_id
        where d.creates
        order by d.profile_id, d.ordinality
    loop
        if v_buyer is distinct from v_candidate.profile_id then
            v_buyer := v_candidate.profile_id;
            v_in_batch := '{}';
        end if;
        v_others := array(
            select cp.purchased_at
            from public.coin_purchases as cp
            where cp.profile_id = v_buyer
                and cp.purchased_at > v_candidate.purchased_at - interval '60 seconds'
                and cp.purchased_at < v_candidate.purchased_at + interval '60 seconds'
                and cp.decision is distinct from 'rejected'
                -- A purchase that is judged again is no other purchase: its payment id is its own id, negative.
                and cp.id <> -v_candidate.payment_id
        );
        if fleet.velocity_exceeded(v_others || v_in_batch, v_candidate.purchased_at, v_limit) then
            v_breaches := v_breaches || v_candidate.purchase_id;
        end if;
        -- A purchase that is judged again is among the stored ones already.
        if v_candidate.payment_id > 0 then
            v_in_batch := v_in_batch || v_candidate.purchased_at;
        end if;
    end loop;
    return v_breaches;
end
$$;

revoke all on function fleet.velocity_breaches(fleet.purchase_decision[])
from public, anon, authenticated, service_role;
comment on function fleet.velocity_breaches(fleet.purchase_decision[]) is
    'The ids of new purchases that break the velocity rule, judged in input order. The caller holds the locks of the '
    'buyers'' rows.';
