create or replace function fleet.store_disputes(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.disputes as d (
        provider, dispute_id, payment_id, amount_minor, told_at, status, currency, due_at
    )
    select distinct on (f.provider, f.dispute_id)
        f.provider, f.dispute_id, min(f.payment_id) over (partition by f.provider, f.dispute_id),
        f.amount_minor, f.told_at, f.status, f.currency, f.due_at
    from unnest(p_facts) as f
    where f.kind = 'dispute'
    order by
        f.provider, f.dispute_id,
        f.told_at desc nulls last, fleet.dispute_rank(f.status) desc, f.amount_minor desc,
        coalesce(f.status, '') desc, coalesce(f.currency, '') desc, f.due_at desc nulls last
    on conflict (provider, dispute_id) do update
    set
        amount_minor = excluded.amount_minor,
        told_at = excluded.told_at,
        status = excluded.status,
        currency = excluded.currency,
        due_at = excluded.due_at,
        payment_rate = case when excluded.currency = d.currency then d.payment_rate end
    where (
            coalesce(excluded.told_at, '-infinity'), fleet.dispute_rank(excluded.status), excluded.amount_minor,
            coalesce(excluded.status, ''), coalesce(excluded.currency, ''), coalesce(excluded.due_at, '-infinity')
        ) > (
            coalesce(d.told_at, '-infinity'), fleet.dispute_rank(d.status), d.amount_minor,
            coalesce(d.status, ''), coalesce(d.currency, ''), coalesce(d.due_at, '-infinity')
        );

    insert into fleet.dispute_transactions as m (provider, dispute_id, transaction_id, amount, currency)
    select distinct on (f.provider, f.dispute_id, t.id) f.provider, f.dispute_id, t.id, t.amount, t.currency
    from unnest(p_facts) with ordinality as f
    cross join lateral jsonb_to_recordset(f.transactions) as t (id text, amount bigint, currency text)
    where f.kind = 'dispute'
    order by f.provider, f.dispute_id, t.id, f.ordinality
    on conflict (provider, dispute_id, transaction_id) do update
    set currency = excluded.currency
    where m.currency is null and excluded.currency is not null;
$$;

revoke all on function fleet.store_disputes(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.store_disputes(fleet.fact[]) is
    'Stores what dispute facts tell: the newest event of each dispute, and every transaction. The caller holds the '
    'locks of their payments.';
