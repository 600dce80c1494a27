-- Volatile, so that it sees what others committed while the caller waited for its locks.
create or replace function fleet.undecided_purchase(p_purchase_id bigint, p_who text)
returns public.coin_purchases
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_purchase public.coin_purchases;
begin
    if exists (
        select 1 from fleet.decisions as d where d.purchase_id = p_purchase_id and lower(d.who) = lower(p_who)
    ) then
        perform fleet.raise_refusal('decided_before');
    end if;
    select cp.* into v_purchase from public.coin_purchases as cp where cp.id = p_purchase_id;
    if v_purchase.granted_at is not null or v_purchase.decision is not null or v_purchase.status <> 'pending' then
        perform fleet.raise_refusal('decided_meanwhile');
    end if;
    return v_purchase;
end
$$;

revoke all on function fleet.undecided_purchase(bigint, text) from public, anon, authenticated, service_role;
comment on function fleet.undecided_purchase(bigint, text) is
    'A held purchase that this person may still decide. Raises CF011 if this person has decided it before, CF012 if '
    'it was granted, rejected or refunded meanwhile. The caller has locked it.';
