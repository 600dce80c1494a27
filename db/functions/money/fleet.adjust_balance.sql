-- Definer: the console may correct a balance in the name of a person, not write the ledger.
create or replace function fleet.adjust_balance(
    p_profile_id uuid,
    p_amount bigint,
    p_who text,
    p_reason text,
    p_key text
)
returns table (balance bigint, replayed boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_replayed boolean;
    v_balance bigint;
begin
    if coalesce(btrim(p_who), '') = '' or coalesce(btrim(p_reason), '') = '' then
        raise exception 'a correction needs who made it and why' using errcode = 'invalid_parameter_value';
    end if;
    perform fleet.commit_durably();
    v_replayed := exists (
        select 1 from public.ledger_entries as e where e.idempotency_key = p_key and e.leg = 0
    );
    v_balance := public.update_coin_balance_via_ledger(p_profile_id, p_amount, 'adjustment', p_key);
    if not v_replayed then
        -- Whoever made the same correction at the same moment has kept it.
        insert into fleet.adjustments (idempotency_key, profile_id, amount, who, reason)
        values (p_key, p_profile_id, p_amount, btrim(p_who), btrim(p_reason))
        on conflict do nothing;
        v_replayed := not found;
    end if;
    return query select v_balance, v_replayed;
end
$$;

revoke all on function fleet.adjust_balance(uuid, bigint, text, text, text)
from public, anon, authenticated, service_role;
comment on function fleet.adjust_balance(uuid, bigint, text, text, text) is
    'For the owner and the console: corrects a balance through the ledger, once per key, and keeps who did it, why and '
    'from where. Returns the balance after it, on a replay the one of then. Raises CF001, CF006, CF008, CF014.';
