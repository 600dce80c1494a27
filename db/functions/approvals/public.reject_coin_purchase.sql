-- Definer: operators may decide, not write tables of money.
create or replace function public.reject_coin_purchase(
    p_purchase_id bigint,
    p_who text,
    p_reason text,
    p_without_refund boolean default false
)
returns table (purchase_id bigint, status text, decision text, waits_for text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_who text := fleet.deciding_person(p_who);
    v_waits_for text;
begin
    if coalesce(btrim(p_reason), '') = '' or p_without_refund is null then
        raise exception 'a rejection needs a reason' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_waits_for := fleet.reject_purchase(p_purchase_id, v_who, p_reason, p_without_refund);
    return query
    select cp.id, cp.status, cp.decision, v_waits_for
    from public.coin_purchases as cp
    where cp.id = p_purchase_id;
end
$$;

revoke all on function public.reject_coin_purchase(bigint, text, text, boolean)
from public, anon, authenticated, service_role;
comment on function public.reject_coin_purchase(bigint, text, text, boolean) is
    'A person rejects a held purchase. Its payment is refunded at the provider, unless it cost nothing or '
    'p_without_refund is true; it waits for the refund then. Raises CF011 if this person has decided it before, CF012 '
    'if it was decided otherwise meanwhile, 22023 if we can''t have it refunded.';
