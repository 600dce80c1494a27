create or replace function fleet.apply_or_bisect(p_facts fleet.fact[], p_batch_ids bigint[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_outcomes fleet.outcome[];
    v_half integer := cardinality(p_facts) / 2;
begin
    begin
        v_outcomes := array(select o from fleet.apply_facts(p_facts, p_batch_ids, p_now) as o);
    exception
        -- Transient (FATES in db/errors/fates.py): the caller tries the batch again as it is. A code that ends in 000
        -- stands for its whole class.
        when sqlstate '08000' or sqlstate '25006' or sqlstate '25P03' or sqlstate '25P04' or sqlstate '26000'
            or sqlstate '40000' or sqlstate '42P05' or sqlstate '53000' or sqlstate '55006' or sqlstate '55P03'
            or sqlstate '57000' or sqlstate '58000' or sqlstate '72000'
        then
            raise;
        when others then
            if sqlstate = 'XX000' and sqlerrm ~ '\(E[A-Z_]+\)' then
                raise;
            end if;
            if cardinality(p_facts) = 1 then
                return next row(
                    p_facts[1].event_id, 'failed', null, p_facts[1].payment_id, null, null, false, null,
                    sqlstate || ': ' || sqlerrm
                )::fleet.outcome;
                return;
            end if;
    end;
    if v_outcomes is not null then
        return query select * from unnest(v_outcomes);
    else
        v_outcomes := array(select o from fleet.apply_or_bisect(p_facts[:v_half], p_batch_ids, p_now) as o);
        -- A failed event stays open, so a gift that came after it may still wait for it.
        p_batch_ids := array(
            select unnest(p_batch_ids) except select o.event_id from unnest(v_outcomes) as o where o.state = 'failed'
        );
        v_outcomes := v_outcomes
            || array(select o from fleet.apply_or_bisect(p_facts[v_half + 1:], p_batch_ids, p_now) as o);
        -- An event of one half that found no purchase may find it in the other half; nothing is recorded before the
        -- end.
        return query
        select
            o.event_id,
            case when cp.id is null and own.id is null then o.state else 'applied' end,
            case when own.id is not null then null when cp.id is null then o.reason else 'duplicate_payment' end,
            o.payment_id,
            coalesce(o.purchase_id, cp.id),
            o.gift_id,
            o.replayed,
            case when cp.id is null then o.retry_at end,
            o.error
        from unnest(v_outcomes) as o
        left join public.coin_purchases as cp
            on cp.payment_id = o.payment_id and o.purchase_id is null and o.state in ('waiting', 'held')
        -- A purchase that the other half of the batch completed is not held either.
        left join public.coin_purchases as own
            on own.id = o.purchase_id and o.state = 'held' and own.granted_at is not null;
    end if;
end
$$;

revoke all on function fleet.apply_or_bisect(fleet.fact[], bigint[], timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.apply_or_bisect(fleet.fact[], bigint[], timestamptz) is
    'Applies facts. After an unexpected error it tries each half of the batch by itself, inside the transaction, until '
    'only the event that causes the error fails; the claim is kept. That event''s outcome has the state failed. '
    'p_batch_ids: the events that will not be pending after this batch.';
