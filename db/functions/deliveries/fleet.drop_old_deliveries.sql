-- Definer: the process roles have no right to the outbox itself.
create or replace function fleet.drop_old_deliveries(p_limit integer, p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
declare
    -- A variable, because what changes while a statement runs is no bound for an index.
    v_before timestamptz := coalesce(p_now, clock_timestamp()) - interval '7 days';
    v_ids bigint[];
begin
    v_ids := array(
        select c.id
        from fleet.provider_calls as c
        where c.kind = 'app.deliver' and c.state = 'done' and c.request <> '{}'
            and c.finished_at < v_before
        order by c.finished_at
        limit p_limit
        for no key update skip locked
    );
    -- The key of a payment that is held without a purchase stays: it may be held again and again, and is told once.
    update fleet.provider_calls as c
    set request = '{}', result = null
    where c.id = any(v_ids) and starts_with(c.key, 'purchase-held-payment-');
    delete from fleet.provider_calls as c
    where c.id = any(v_ids) and not starts_with(c.key, 'purchase-held-payment-');
    return cardinality(v_ids);
end
$$;

revoke all on function fleet.drop_old_deliveries(integer, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.drop_old_deliveries(integer, timestamptz) is
    'Removes up to p_limit messages that the app took more than 7 days ago; returns how many. What it has not taken '
    'stays.';
