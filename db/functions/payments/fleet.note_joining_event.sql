create or replace function fleet.note_joining_event(p_provider text, p_key text, p_event_id text)
returns boolean
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_payment_id bigint;
begin
    select k.payment_id into v_payment_id from fleet.payment_keys as k where k.provider = p_provider and k.key = p_key;
    update fleet.joined_purchases
    set joined_by = coalesce(p_event_id, '')
    where payment_id = v_payment_id and joined_by is null;
    if not found then
        return false;
    end if;
    return (
        select count(*) > 1
        from fleet.joined_purchases as j
        join public.coin_purchases as cp on cp.id = j.purchase_id
        where j.payment_id = v_payment_id and cp.granted_at is not null
    );
end
$$;

revoke all on function fleet.note_joining_event(text, text, text) from public, anon, authenticated, service_role;
comment on function fleet.note_joining_event(text, text, text) is
    'Records which event joined purchases just now under the payment that the key names; returns whether more than one '
    'of them is granted.';
