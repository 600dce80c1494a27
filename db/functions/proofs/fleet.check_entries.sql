create or replace function fleet.check_entries(p_from xid8, p_upto xid8)
returns table (entries_checked bigint, violations bigint, detail jsonb)
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    with unbalanced as (
        select jsonb_build_object('transaction_id', e.transaction_id, 'sum', sum(e.amount)) as found
        from public.ledger_entries as e
        where e.xact_id >= p_from and e.xact_id < p_upto
        group by e.transaction_id
        having sum(e.amount) <> 0
    ),
    broken as (
        select jsonb_build_object('entry_id', e.id, 'profile_id', e.profile_id, 'account', e.account, 'seq', e.seq)
            as found
        from public.ledger_entries as e
        left join public.ledger_entries as b
            on b.profile_id = e.profile_id and b.account = e.account and b.seq = e.seq - 1 and b.profile_id is not null
        where e.xact_id >= p_from and e.xact_id < p_upto and e.profile_id is not null
            and e.balance_after is distinct from e.amount + case when e.seq = 1 then 0 else b.balance_after end
    ),
    drifted as (
        select jsonb_build_object(
            'profile_id', a.profile_id, 'account', a.account, 'balance', c.balance, 'in_ledger', l.balance_after
        ) as found
        from (
            select distinct e.profile_id, e.account
            from public.ledger_entries as e
            where e.xact_id >= p_from and e.xact_id < p_upto and e.profile_id is not null
        ) as a
        cross join lateral (
            select n.balance_after, n.seq
            from public.ledger_entries as n
            where n.profile_id = a.profile_id and n.account = a.account and n.profile_id is not null
            order by n.seq desc
            limit 1
        ) as l
        join public.profiles as p on p.id = a.profile_id
        cross join lateral (
            select
                case a.account when 'coins' then p.coin_balance else p.earnings_balance end,
                case a.account when 'coins' then p.coin_seq else p.earnings_seq end
        ) as c (balance, seq)
        where (c.balance, c.seq) is distinct from (l.balance_after, l.seq)
    ),
    found as (
        select 'unbalanced_transaction' as kind, u.found from unbalanced as u
        union all
        select 'broken_sequence', b.found from broken as b
        union all
        select 'drifted_balance', d.found from drifted as d
    ),
    -- The first few of each kind show an operator where to look.
    numbered as (
        select f.kind, f.found, row_number() over (partition by f.kind) as no from found as f
    )
    select
        (select count(*) from public.ledger_entries as e where e.xact_id >= p_from and e.xact_id < p_upto),
        (select count(*) from numbered),
        coalesce((
            select jsonb_object_agg(k.kind, k.first_found)
            from (
                select n.kind, jsonb_agg(n.found order by n.no) as first_found
                from numbered as n
                where n.no <= 5
                group by n.kind
            ) as k
        ), '{}')
$$;

revoke all on function fleet.check_entries(xid8, xid8) from public, anon, authenticated, service_role;
comment on function fleet.check_entries(xid8, xid8) is
    'Checks the entries of a range of transactions: each ledger transaction sums to zero, each entry follows from the '
    'one before it on its account, each account''s last entry is the cached balance. Reads nothing else of the ledger.';
