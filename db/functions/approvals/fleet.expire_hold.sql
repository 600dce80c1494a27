-- Definer: the worker has no right to decide but this one.
create or replace function fleet.expire_hold(p_now timestamptz default null)
returns table (purchase_id bigint, event_id bigint)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_days integer := (select s.hold_expires_days from fleet.settings as s);
    v_hold record;
begin
    if v_days is null then
        return;
    end if;
    select h.* into v_hold
    from fleet.hold_to_expire(coalesce(p_now, clock_timestamp()) - v_days * interval '1 day') as h;
    if not found then
        return;
    end if;
    perform fleet.commit_durably();
    -- One in a transaction: it takes the locks of one payment, and waits for nobody with those of another.
    if v_hold.purchase_id is not null then
        perform fleet.reject_purchase(v_hold.purchase_id, 'expiry', format('held for %s days', v_days), false);
    else
        perform fleet.reject_event(v_hold.event_id, 'expiry', format('held for %s days', v_days), false);
    end if;
    return query select v_hold.purchase_id, v_hold.event_id;
end
$$;

revoke all on function fleet.expire_hold(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.expire_hold(timestamptz) is
    'Rejects one purchase or event that is held for longer than the setting says, with its refund, and returns it; no '
    'row if there is none. Raises CF012 if somebody decided it meanwhile.';
