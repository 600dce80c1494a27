-- Nothing is known of the sizes of the two arrays: a hash join is right for one gift and for many.
create or replace function fleet.tell_refused_gifts(p_gifts fleet.gift_decision[], p_outcomes fleet.outcome[])
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
set enable_nestloop = off
as $$
begin
    if (select s.app_told_since from fleet.settings as s) is null then
        return;
    end if;
    -- A gift of a direct call has no event: it is refused by an error, and leaves nothing.
    perform fleet.write_deliveries(
        array_agg('gift.rejected'::text order by o.event_id),
        array_agg('gift-rejected-' || o.event_id order by o.event_id),
        array_agg(
            jsonb_build_object(
                'event_id', g.provider_event_id,
                'profile_id', g.sender_id,
                'coins', g.coin_amount,
                'coin_balance', (select pr.coin_balance from public.profiles as pr where pr.id = g.sender_id),
                'seq', null,
                'recipient_id', g.recipient_id,
                'gift_type', g.gift_type,
                'quantity', g.quantity,
                'stream_id', g.stream_id,
                'slot_index', g.slot_index,
                'reason', o.reason
            ) || jsonb_strip_nulls(jsonb_build_object('frozen_coins', z.coins))
            order by o.event_id
        )
    )
    from unnest(p_outcomes) as o
    join unnest(p_gifts) as g on g.event_id = o.event_id
    left join fleet.frozen_coins(array(select distinct u.sender_id from unnest(p_gifts) as u)) as z
        on z.profile_id = g.sender_id and o.reason = 'insufficient_coins' and z.coins > 0
    where o.state = 'rejected'
    having count(*) > 0;
end
$$;

revoke all on function fleet.tell_refused_gifts(fleet.gift_decision[], fleet.outcome[])
from public, anon, authenticated, service_role;
comment on function fleet.tell_refused_gifts(fleet.gift_decision[], fleet.outcome[]) is
    'Tells the app, while it is told at all, of the gifts that these outcomes refuse, and of frozen coins '
    'where they are the reason.';
