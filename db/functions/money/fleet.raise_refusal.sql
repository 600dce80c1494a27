create or replace function fleet.raise_refusal(p_reason text)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    -- A reason that is missing here is a bug, and raises an error as one.
    v_sqlstate text not null := case p_reason
        when 'insufficient_coins' then 'CF001'
        when 'purchase_over_limit' then 'CF002'
        when 'purchase_velocity' then 'CF003'
        when 'unknown_gift_type' then 'CF004'
        when 'self_gift' then 'CF005'
        when 'unknown_buyer' then 'CF006'
        when 'unknown_sender' then 'CF006'
        when 'unknown_recipient' then 'CF006'
        when 'unknown_profile' then 'CF006'
        when 'unknown_stream' then 'CF007'
        when 'idempotency_conflict' then 'CF008'
        when 'decided_before' then 'CF011'
        when 'decided_meanwhile' then 'CF012'
        when 'no_price' then 'CF013'
        when 'account_full' then 'CF014'
    end;
begin
    raise exception '%', p_reason using errcode = v_sqlstate;
end
$$;

revoke all on function fleet.raise_refusal(text) from public, anon, authenticated, service_role;
comment on function fleet.raise_refusal(text) is
    'Raises a business refusal with its own SQLSTATE; README has the table.';
