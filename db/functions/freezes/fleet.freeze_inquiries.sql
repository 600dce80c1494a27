-- A plan that was made for few rows is kept; without sequential scans it is right for many rows too.
create or replace function fleet.freeze_inquiries(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
    -- Most disputes were never an inquiry: they get no row.
    insert into fleet.freezes as z (provider, source, source_id, payment_id, opened_at, told_at, is_open)
    select d.provider, 'inquiry', d.dispute_id, d.payment_id, f.opened_at, coalesce(d.told_at, f.told_at), w.is_open
    from (
        select u.provider, u.dispute_id, min(coalesce(u.opened_at, u.told_at)) as opened_at, max(u.told_at) as told_at
        from unnest(p_facts) as u
        where u.kind = 'dispute' and u.told_at is not null
        group by u.provider, u.dispute_id
    ) as f
    join fleet.disputes as d on d.provider = f.provider and d.dispute_id = f.dispute_id
    cross join lateral (
        select coalesce(d.status in ('warning_needs_response', 'warning_under_review'), false) as is_open
    ) as w
    where w.is_open
        or exists (
            select 1
            from fleet.freezes as k
            where k.provider = d.provider and k.source = 'inquiry' and k.source_id = d.dispute_id
        )
    on conflict (provider, source, source_id) do update
    set opened_at = least(z.opened_at, excluded.opened_at), told_at = excluded.told_at, is_open = excluded.is_open
$$;

revoke all on function fleet.freeze_inquiries(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.freeze_inquiries(fleet.fact[]) is
    'Keeps a freeze for each of these disputes that is an open inquiry, and ends it once the newest event says '
    'otherwise. The caller has stored the disputes.';
