-- Definer: operators may look at what was decided, not at every table.
create or replace function fleet.purchase_decisions(p_purchase_id bigint)
returns table (
    verb text,
    outcome text,
    who text,
    reason text,
    hold_reason text,
    coins bigint,
    decided_at timestamptz
)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select d.verb, d.outcome, d.who, d.reason, d.hold_reason, d.coins, d.decided_at
    from fleet.decisions as d
    where d.purchase_id = p_purchase_id
    order by d.id
$$;

revoke all on function fleet.purchase_decisions(bigint) from public, anon, authenticated, service_role;
comment on function fleet.purchase_decisions(bigint) is 'What people decided about a purchase, in order.';
