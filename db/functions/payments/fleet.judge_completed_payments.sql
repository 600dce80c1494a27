create or replace function fleet.judge_completed_payments(
    p_facts fleet.fact[], p_decisions fleet.purchase_decision[], p_now timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_unsettled_ids bigint[];
begin
    -- A payment of which nothing was granted may need another half, whatever it waits or is held for.
    v_unsettled_ids := array(
        select d.event_id
        from unnest(p_decisions) as d
        where not d.granted and d.event_id is not null
            -- A subquery per decision: the plan of a join that was made for few purchases would read all of them at
            -- each batch.
            and (select cp.granted_at from public.coin_purchases as cp where cp.payment_id = d.payment_id limit 1)
                is null
    );
    if cardinality(v_unsettled_ids) = 0 then
        return;
    end if;
    perform fleet.store_halves(
        array(select f from unnest(p_facts) as f where f.kind = 'purchase' and f.event_id = any(v_unsettled_ids))
    );
    perform fleet.amend_purchases(
        array(
            select d.payment_id from unnest(p_decisions) as d where d.event_id = any(v_unsettled_ids) and not d.creates
        ),
        p_now
    );
    -- The session that an intent waits for has come and granted nothing: now it is known why the amount differs.
    update fleet.inbox_events as e
    set state = 'pending', attempts = 0, next_attempt_at = p_now
    from unnest(p_facts) as f
    where f.told_by = 'session' and f.event_id = any(v_unsettled_ids)
        and e.payment_id = f.payment_id and e.state = 'waiting' and e.reason = 'no_session_yet'
        and not exists (select 1 from public.coin_purchases as cp where cp.payment_id = f.payment_id);
end
$$;

revoke all on function fleet.judge_completed_payments(fleet.fact[], fleet.purchase_decision[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.judge_completed_payments(fleet.fact[], fleet.purchase_decision[], timestamptz) is
    'Stores what events told of payments of which nothing was granted, and has judged again what each of them may '
    'complete: purchases that are held, and intents that wait for their session.';
