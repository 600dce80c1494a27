-- Definer: the worker has no right to the tables behind it.
create or replace function fleet.expire_freezes(p_limit integer, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_due record;
    v_fact fleet.fact;
    v_facts fleet.fact[] := '{}';
    v_payment_ids bigint[];
begin
    for v_due in
        select k.provider, k.key
        from (
            select f.payment_id
            from fleet.freezes as f
            where f.released_at is null and f.source = 'early_fraud_warning'
                and f.opened_at <= v_now - interval '120 days'
            order by f.opened_at
            limit p_limit
        ) as due
        cross join lateral (
            select n.provider, n.key from fleet.payment_keys as n where n.payment_id = due.payment_id limit 1
        ) as k
    loop
        v_fact.provider := v_due.provider;
        v_fact.payment_keys := array[v_due.key];
        v_facts := v_facts || v_fact;
    end loop;
    if cardinality(v_facts) = 0 then
        return 0;
    end if;
    v_facts := fleet.lock_payments(v_facts);
    perform fleet.lock_profiles(v_facts);
    v_payment_ids := array(select distinct f.payment_id from unnest(v_facts) as f);
    perform fleet.settle_freezes(v_payment_ids, v_now);
    return (
        select count(*)
        from fleet.freezes as f
        where f.payment_id = any(v_payment_ids) and f.released_at = v_now and f.released_by = 'expiry'
    );
end
$$;

revoke all on function fleet.expire_freezes(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.expire_freezes(integer, timestamptz) is
    'Releases the early fraud warnings that are 120 days old, of up to p_limit at a time; returns how many.';
