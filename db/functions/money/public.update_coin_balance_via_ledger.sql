-- Definer: its callers may move a balance only this way.
create or replace function public.update_coin_balance_via_ledger(
    p_profile_id uuid,
    p_amount bigint,
    p_reason text,
    p_idempotency_key text,
    p_counter_account text default 'adjustments'
)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_entry public.ledger_entries;
    v_balance bigint;
    v_most bigint;
begin
    if p_amount is null or p_amount = 0 or coalesce(p_reason, '') = '' or coalesce(p_idempotency_key, '') = '' then
        raise exception 'amount, reason and idempotency key are needed' using errcode = 'invalid_parameter_value';
    end if;
    if p_counter_account is null or p_counter_account not in ('adjustments', 'coins_issued', 'platform_revenue') then
        raise exception 'no such counter account: %', p_counter_account using errcode = 'invalid_parameter_value';
    end if;
    -- Reasons and keys of events are reserved for events: an adjustment must not look like a purchase.
    if p_reason in ('purchase', 'gift', 'refund', 'chargeback', 'reinstatement')
        or p_idempotency_key ~ '^(purchase|gift|reversal):'
    then
        raise exception 'reason or key is reserved for events' using errcode = 'invalid_parameter_value';
    end if;
    perform 1 from public.profiles as pr where pr.id = p_profile_id for no key update;
    if not found then
        perform fleet.raise_refusal('unknown_profile');
    end if;
    select e.* into v_entry from public.ledger_entries as e where e.idempotency_key = p_idempotency_key and e.leg = 0;
    if found then
        if (v_entry.profile_id, v_entry.account, v_entry.amount) is distinct from (p_profile_id, 'coins', p_amount)
            or not exists (
                select 1
                from public.ledger_entries as e
                where e.idempotency_key = p_idempotency_key and e.leg = 1 and e.account = p_counter_account
            )
        then
            perform fleet.raise_refusal('idempotency_conflict');
        end if;
        perform fleet.commit_durably();
        return v_entry.balance_after;
    end if;
    select pr.coin_balance, greatest(pr.coin_balance, pr.total_purchased) into v_balance, v_most
    from public.profiles as pr
    where pr.id = p_profile_id;
    -- In numeric, because a debt less the largest amount is more than bigint holds.
    if p_amount < 0 and v_balance + p_amount::numeric < 0 then
        perform fleet.raise_refusal('insufficient_coins');
    end if;
    if p_amount > 0 and v_most > 4611686018427387903 - p_amount
        and not fleet.has_room(p_profile_id, p_amount, false)
    then
        perform fleet.raise_refusal('account_full');
    end if;
    begin
        perform fleet.post_ledger(array[
            row(1, 0, p_profile_id, 'coins', p_amount, p_reason, p_idempotency_key, null)::fleet.posting,
            row(1, 1, null, p_counter_account, -p_amount, p_reason, p_idempotency_key, null)::fleet.posting
        ]);
    exception
        -- Calls for this profile wait for its lock above, so a key that was taken meanwhile moved another profile's
        -- coins.
        when unique_violation then
            perform fleet.raise_refusal('idempotency_conflict');
    end;
    return v_balance + p_amount;
end
$$;

revoke all on function public.update_coin_balance_via_ledger(uuid, bigint, text, text, text)
from public, anon, authenticated, service_role;
comment on function public.update_coin_balance_via_ledger(uuid, bigint, text, text, text) is
    'Moves a profile''s coins against a platform account, once per idempotency key. Returns the balance after it; a '
    'repeated call returns the balance after the first. Raises CF001, CF006, CF008, CF014.';
