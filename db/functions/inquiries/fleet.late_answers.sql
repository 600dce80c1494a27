-- Definer: who looks at the health may know how many answers were late, not what a provider answered.
create or replace function fleet.late_answers()
returns table (provider text, answers bigint, inquiry bigint, last_error text)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- Materialized: PostgreSQL 15 would read all rows in the order of providers, so as not to sort.
    with due as materialized (
        select i.id, i.provider, i.inquiry_id, i.payment_key, i.deadline
        from fleet.store_inquiries as i
        -- In queries of their own, because what changes while a statement runs is no bound for an index.
        where i.deadline > (select clock_timestamp() - interval '1 day')
            and i.deadline <= (select clock_timestamp())
            and not i.is_sandbox
    )
    select
        i.provider, count(*), (array_agg(i.id order by i.deadline desc))[1],
        (array_agg(c.last_error order by i.deadline desc))[1]
    from due as i
    cross join fleet.settings as g
    left join fleet.provider_calls as c on c.key = fleet.answer_key(i.provider, i.inquiry_id)
    left join fleet.payment_keys as k on k.provider = i.provider and k.key = i.payment_key
    left join fleet.store_payments as s on s.payment_id = k.payment_id
    where
        case
            when c.id is not null then c.state <> 'done' or c.result ->> 'note' = 'too_late'
            -- Apple may not be told without the customer's consent, and not of a transaction that nobody knows.
            when i.provider = 'apple' and (not g.apple_customers_consented or s.provider_payment_id is null)
                then false
            -- Of what went back whole there was nothing left to say.
            else not exists (
                select 1 from public.coin_purchases as cp
                where cp.payment_id = k.payment_id and cp.status in ('refunded', 'chargeback')
            ) and coalesce(s.reversed_milli_percent, 0) < 100000
        end
    group by i.provider
    order by i.provider
$$;

revoke all on function fleet.late_answers() from public, anon, authenticated, service_role;
comment on function fleet.late_answers() is
    'What stores asked, was due within the last day and was not answered, by provider; sandbox and what could not be '
    'answered left out. inquiry and last_error are of the newest.';
