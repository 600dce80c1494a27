-- Definer: the worker has no right to the tables behind it. A plan that was made for few rows is kept; without
-- sequential scans it is right for many rows too.
create or replace function fleet.mend_freezes(p_limit integer, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
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
            select s.payment_id from fleet.stray_freezes() as s order by s.payment_id limit p_limit
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
    insert into fleet.freezes as z (provider, source, source_id, payment_id, opened_at, told_at, is_open)
    select d.provider, 'inquiry', d.dispute_id, d.payment_id, d.told_at, d.told_at, w.is_open
    from fleet.disputes as d
    left join fleet.freezes as k
        on k.provider = d.provider and k.source = 'inquiry' and k.source_id = d.dispute_id
    cross join lateral (
        select coalesce(d.status in ('warning_needs_response', 'warning_under_review'), false) as is_open
    ) as w
    where d.payment_id = any(v_payment_ids) and d.told_at is not null and (w.is_open or k.source_id is not null)
    on conflict (provider, source, source_id) do update
    set
        payment_id = excluded.payment_id,
        told_at = greatest(z.told_at, excluded.told_at),
        is_open = excluded.is_open;
    perform fleet.settle_freezes(v_payment_ids, v_now);
    return cardinality(v_payment_ids);
end
$$;

revoke all on function fleet.mend_freezes(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.mend_freezes(integer, timestamptz) is
    'Makes the freezes of up to p_limit payments what their inquiries and purchases say; returns of how many. It finds '
    'something only after a release that brought the freezes while workers of the one before were at work.';
