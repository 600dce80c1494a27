-- Definer: a viewer may spend coins only this way, and only their own.
-- Planned once per session: for one gift, planning again for each set of values takes longer than the gift. Without
-- sequential scans the plan that was made for few rows is right for many, too.
create or replace function public.process_gift(
    p_recipient_id uuid,
    p_gift_type text,
    p_idempotency_key text,
    p_quantity integer default 1,
    p_stream_id bigint default null,
    p_slot_index integer default null
)
returns table (gift_id bigint, coin_balance bigint, replayed boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set plan_cache_mode = 'force_generic_plan'
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_sender_id uuid := (select auth.uid());
    v_fact fleet.fact;
    v_gift fleet.gift_decision;
    v_frozen numeric;
begin
    if v_sender_id is null then
        raise exception 'a gift needs a signed-in sender' using errcode = 'insufficient_privilege';
    end if;
    if p_recipient_id is null or p_gift_type is null or coalesce(p_quantity, 0) not between 1 and 1000000
        or char_length(coalesce(p_idempotency_key, '')) not between 1 and 200 or p_slot_index not between 1 and 12
    then
        raise exception '%',
            'a gift needs a recipient, a type, a quantity of 1 to 1000000, a key of 1 to 200 characters, '
            'a slot of 1 to 12 or none'
            using errcode = 'invalid_parameter_value';
    end if;
    v_fact.kind := 'gift';
    -- A key is the sender's own: nobody else can use it up or read it.
    v_fact.provider_event_id := 'client:' || v_sender_id || ':' || p_idempotency_key;
    v_fact.sender_id := v_sender_id;
    v_fact.recipient_id := p_recipient_id;
    v_fact.gift_type := p_gift_type;
    v_fact.quantity := p_quantity;
    v_fact.stream_id := p_stream_id;
    v_fact.slot_index := p_slot_index;

    -- As fleet.lock_profiles does, which looks for the buyers of payments, too.
    perform 1
    from public.profiles as pr
    where pr.id in (v_sender_id, p_recipient_id)
    order by pr.id
    for no key update;
    v_gift := (fleet.decide_gifts(array[v_fact]))[1];
    if v_gift.refusal = 'insufficient_coins' then
        v_frozen := (select z.coins from fleet.frozen_coins(array[v_sender_id]) as z);
        if v_frozen > 0 then
            raise exception 'insufficient_coins' using
                errcode = 'CF001',
                hint = format('%s coins of this profile are frozen while a payment is looked into', v_frozen);
        end if;
    end if;
    if v_gift.refusal is not null then
        perform fleet.raise_refusal(v_gift.refusal);
    end if;
    if v_gift.replayed and not exists (
        select 1
        from public.gifts as g
        where g.id = v_gift.gift_id and g.recipient_id = p_recipient_id
            and g.gift_type = p_gift_type and g.quantity = p_quantity
            and (g.stream_id, g.slot_index::integer) is not distinct from (p_stream_id, p_slot_index)
    ) then
        perform fleet.raise_refusal('idempotency_conflict');
    end if;
    -- Where coins move, the ledger sees to it.
    if v_gift.replayed then
        perform fleet.commit_durably();
    else
        perform fleet.write_gifts(array[v_gift], clock_timestamp());
    end if;
    gift_id := v_gift.gift_id;
    replayed := v_gift.replayed;
    select pr.coin_balance into coin_balance from public.profiles as pr where pr.id = v_sender_id;
    return next;
end
$$;

revoke all on function public.process_gift(uuid, text, text, integer, bigint, integer)
from public, anon, authenticated, service_role;
comment on function public.process_gift(uuid, text, text, integer, bigint, integer) is
    'Sends a gift from the signed-in profile, once per idempotency key of that profile; returns the sender''s balance. '
    'Coins of payments that are frozen can''t be given; then CF001 has a hint. '
    'Raises CF001, CF004, CF005, CF006, CF007, CF008, CF014.';
