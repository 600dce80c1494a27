-- Definer: the worker may ask what is late, not read the outbox or purchases.
-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.late_confirmations(p_now timestamptz default null)
returns table (provider text, lacks text, purchases bigint, oldest_s double precision)
language sql
stable
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    with late as (
        -- Level 1: purchases of which Google was not told, from when on that was due.
        select
            o.kind, o.created_at as since, coalesce(s.is_sandbox, false) as is_sandbox,
            -- What is consumed next may have been acknowledged while it was held.
            coalesce(s.is_acknowledged, false) or (
                o.kind = 'google.consume'
                -- With a limit it is looked up by its key; without, all calls might be read into a hash.
                and coalesce((
                    select a.state = 'done'
                    from fleet.provider_calls as a
                    where a.key = replace(o.key, ':consume:', ':acknowledge:')
                    limit 1
                ), false)
            ) as is_acknowledged
        from (
            -- Level 2: calls that are open or dead, each by its partial index.
            select p.kind, p.key, p.request, p.created_at
            from fleet.provider_calls as p
            where p.state = 'pending' and p.kind in ('google.acknowledge', 'google.consume')
            union all
            select d.kind, d.key, d.request, d.created_at
            from fleet.provider_calls as d
            where d.state = 'dead' and d.kind in ('google.acknowledge', 'google.consume')
        ) as o
        left join fleet.payment_keys as k on k.provider = 'google' and k.key = o.request ->> 'token'
        left join fleet.store_payments as s on s.payment_id = k.payment_id
        union all
        -- One that has no buyer yet is not acknowledged, so that Google refunds what nobody claims.
        select null, e.received_at, s.is_sandbox, s.is_acknowledged
        from fleet.inbox_events as e
        join fleet.store_payments as s on s.payment_id = e.payment_id
        where e.state = 'held' and e.provider = 'google' and e.reason = 'unknown_buyer'
    )
    select 'google', a.lacks, count(*), extract(epoch from coalesce(p_now, clock_timestamp()) - min(l.since))::float8
    from late as l
    cross join lateral (
        values
            ('consumption', l.kind = 'google.consume', interval '10 minutes'),
            (
                'acknowledgement', not l.is_acknowledged,
                -- Google refunds after three days; a license tester's purchase after five minutes.
                case when l.is_sandbox then interval '5 minutes' else interval '1 day' end
            )
    ) as a (lacks, is_lacking, due_after)
    where a.is_lacking and l.since < coalesce(p_now, clock_timestamp()) - a.due_after
    group by a.lacks
    order by a.lacks
$$;

revoke all on function fleet.late_confirmations(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.late_confirmations(timestamptz) is
    'Purchases of which a store was not told in time: acknowledgement (a day, or five minutes for a tester), or '
    'consumption (ten minutes after they were granted). The cost grows with what is open, dead or held.';
