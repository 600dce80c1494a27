-- Definer: the worker may apply events, not write tables.
-- Plans of what it calls that were made for few rows are kept; without sequential scans they are right for many, too.
create or replace function fleet.apply_claimed_events(p_facts jsonb, p_now timestamptz default null)
returns table (event_id bigint, state text, reason text, waited_s double precision)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
set plan_cache_mode = auto
as $$
#variable_conflict use_column
declare
    v_facts fleet.fact[];
    v_batch_ids bigint[];
    v_payment_ids bigint[];
    v_joining_ids bigint[];
    v_joined bigint[] := '{}';
    v_open_ids bigint[] := '{}';
    v_outcomes fleet.outcome[];
    v_now timestamptz;
begin
    -- For few events, to plan takes longer than to run: they keep their plans. Many are planned for their number. The
    -- setting above has this one end with the call.
    if jsonb_array_length(p_facts) <= 10 then
        perform set_config('plan_cache_mode', 'force_generic_plan', true);
    end if;
    v_facts := array(
        select f
        from jsonb_populate_recordset(null::fleet.fact, p_facts) as f
        order by array_position(array['verdict', 'purchase', 'store_purchase', 'gift'], f.kind), f.event_id
    );
    v_facts := fleet.lock_payments(fleet.add_recorded_names(v_facts));
    -- A statement of its own, so that its snapshot sees what others committed while this transaction waited for the
    -- locks.
    v_facts := fleet.recognize_own_payments(v_facts);
    select
        coalesce(array_agg(f.event_id) filter (where f.state is distinct from 'failed'), '{}'),
        coalesce(array_agg(distinct f.payment_id) filter (where f.payment_id is not null), '{}'),
        coalesce(array_agg(f.event_id) filter (where f.joins_grants), '{}')
    into v_batch_ids, v_payment_ids, v_joining_ids
    from unnest(v_facts) as f;
    if cardinality(v_payment_ids) > 0 then
        v_joined := array(select fleet.join_misspelled_purchases(v_facts));
    end if;
    perform fleet.lock_profiles(v_facts);
    v_now := coalesce(p_now, clock_timestamp());
    if cardinality(v_payment_ids) > 0 then
        perform fleet.hold_shared_payments(v_payment_ids);
        -- An event that is open now and is not open at the end was settled beside the batch, such as a refund by its
        -- purchase.
        v_open_ids := array(select o from fleet.open_events_of_payments(v_joined || v_payment_ids) as o);
    end if;
    -- A refund may have waited for these purchases.
    if cardinality(v_joined) > 0 then
        perform fleet.settle_purchased_payments(v_joined, v_now);
    end if;
    v_outcomes := array(select o from fleet.apply_or_bisect(v_facts, v_batch_ids, v_now) as o);
    v_outcomes := fleet.close_refunded_outcomes(v_outcomes);
    -- An event that showed two grants to be one payment is recorded as granted_twice, whatever else it tells.
    if cardinality(v_joining_ids) > 0 then
        for v_i in 1 .. cardinality(v_outcomes) loop
            if v_outcomes[v_i].state in ('applied', 'ignored') and v_outcomes[v_i].event_id = any(v_joining_ids) then
                v_outcomes[v_i].state := 'applied';
                v_outcomes[v_i].reason := 'granted_twice';
            end if;
        end loop;
    end if;
    return query
    select r.event_id, r.state, r.reason, null::double precision
    from fleet.record_outcomes(v_outcomes, v_now) as r;
    if cardinality(v_open_ids) > 0 then
        return query
        select e.id, e.state, e.reason, extract(epoch from v_now - e.received_at)::double precision
        from fleet.inbox_events as e
        where e.id = any(v_open_ids) and e.state in ('applied', 'ignored', 'rejected');
    end if;
    -- Whatever their outcome is, these events no longer fail for a passing cause.
    if exists (select from fleet.set_aside_events) then
        delete from fleet.set_aside_events as s using unnest(v_facts) as f where s.event_id = f.event_id;
    end if;
    delete from fleet.batch_starts where xact_id = pg_current_xact_id();
end
$$;

revoke all on function fleet.apply_claimed_events(jsonb, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.apply_claimed_events(jsonb, timestamptz) is
    'Applies a claimed batch, a JSON array of fleet.fact, and records one outcome per event, in the caller''s '
    'transaction. Returns the outcomes, and with waited_s (seconds since its receipt) each event of another batch that '
    'waited or was held and is settled now. Locks: payment keys, profiles by id, purchases by id.';
