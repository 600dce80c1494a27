create or replace function fleet.drop_untold_holds(p_purchase_ids bigint[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_seqscan = off
as $$
begin
    if coalesce(cardinality(p_purchase_ids), 0) = 0 then
        return;
    end if;
    delete from fleet.provider_calls as c
    where c.key = any(
            array(
                select unnest(array['purchase-held-' || cp.id, 'purchase-held-payment-' || cp.payment_id])
                from public.coin_purchases as cp
                where cp.id = any(p_purchase_ids)
            )
        )
        -- No index can be used for this. A plan that was made for few rows would use the one of open calls, and read
        -- all messages that wait for an app which does not answer.
        and (c.kind, c.state) is not distinct from ('app.deliver', 'pending') and c.first_attempt_at is null;
end
$$;

revoke all on function fleet.drop_untold_holds(bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.drop_untold_holds(bigint[]) is
    'Removes messages that these purchases are held if they were not sent yet: the purchases are not held any more.';
