create or replace function fleet.tell_rejected_payment(p_event_id bigint, p_payment_id bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    if (select s.app_told_since from fleet.settings as s) is null then
        return;
    end if;
    perform fleet.write_deliveries(
        array['purchase.rejected'],
        array['purchase-rejected-payment-' || p_payment_id],
        array[fleet.unbought_data(e.provider, e.provider_event_id, p_payment_id, 'by_decision')]
    )
    from fleet.inbox_events as e
    where e.id = p_event_id;
end
$$;

revoke all on function fleet.tell_rejected_payment(bigint, bigint) from public, anon, authenticated, service_role;
comment on function fleet.tell_rejected_payment(bigint, bigint) is
    'Tells the app, while it is told at all, that a person rejected a payment that has no purchase.';
