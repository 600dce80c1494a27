-- Definer: the console may know of a refund that failed, and not read what a provider answered.
create or replace function fleet.failed_refunds(p_limit integer)
returns table (call_id bigint, refund_id text, status text)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select c.id, r.refund_id, r.status
    from fleet.refunds as r
    join fleet.provider_calls as c on c.result ->> 'refund_id' = r.refund_id and c.provider = r.provider
    where r.status in ('failed', 'canceled') and c.state = 'done'
    order by c.id
    limit p_limit
$$;

revoke all on function fleet.failed_refunds(integer) from public, anon, authenticated, service_role;
comment on function fleet.failed_refunds(integer) is
    'Refunds that a provider accepted from us, that failed or were canceled later, and that were not made again.';
