create or replace function fleet.add_times(p_facts fleet.fact[])
returns fleet.fact[]
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_told record;
begin
    -- Workers of the last release leave out an event's time and what goes with it. Beside the events of newer workers
    -- theirs would count as the oldest of all, so what they leave out is read from the event itself.
    for v_told in
        select
            f.ordinality as no, f.kind, t.told_at, m.made_at, d.status, lower(e.object ->> 'currency') as currency,
            case when d.amount ~ '^\d{1,15}$' then d.amount::bigint end as amount,
            case when d.captured ~ '^\d{1,15}$' then d.captured::bigint end as captured,
            w.transactions
        from unnest(p_facts) with ordinality as f
        join fleet.inbox_events as i on i.id = f.event_id
        cross join lateral (select fleet.event_object(i.payload) as payload) as p
        cross join lateral (select p.payload #> '{data,object}' as object, p.payload ->> 'created' as created) as e
        cross join lateral (
            select case when e.created ~ '^\d{1,10}$' then to_timestamp(e.created::bigint) end as told_at
        ) as t
        cross join lateral (
            select
                e.object ->> 'status' as status, e.object ->> 'amount' as amount,
                e.object ->> 'amount_captured' as captured, e.object ->> 'created' as created
        ) as d
        cross join lateral (
            select case when d.created ~ '^\d{1,10}$' then to_timestamp(d.created::bigint) else t.told_at end as made_at
        ) as m
        cross join lateral (
            select jsonb_agg(
                x.moved || jsonb_build_object('currency', lower(own.moved ->> 'currency')) order by x.ordinality
            ) as transactions
            from jsonb_array_elements(f.transactions) with ordinality as x (moved, ordinality)
            left join lateral (
                select o.moved
                from jsonb_path_query(e.object, 'lax $.balance_transactions[*]') as o (moved)
                where o.moved ->> 'id' = x.moved ->> 'id'
                limit 1
            ) as own on true
        ) as w
        where f.provider = 'stripe' and f.told_at is null and f.kind in ('refund', 'refund_total', 'dispute')
            and t.told_at is not null
    loop
        p_facts[v_told.no].told_at := v_told.told_at;
        case v_told.kind
            when 'refund' then
                p_facts[v_told.no].refund_created_at := v_told.made_at;
            when 'refund_total' then
                p_facts[v_told.no].uncaptured_minor := greatest(v_told.amount - v_told.captured, 0);
                p_facts[v_told.no].amount_minor := coalesce(v_told.captured, v_told.amount);
                p_facts[v_told.no].currency := v_told.currency;
            else
                p_facts[v_told.no].status := coalesce(v_told.status, 'unknown');
                p_facts[v_told.no].currency := v_told.currency;
                p_facts[v_told.no].transactions := coalesce(v_told.transactions, '[]');
        end case;
    end loop;
    return p_facts;
end
$$;

revoke all on function fleet.add_times(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.add_times(fleet.fact[]) is
    'Adds to reversals what a worker of the last release leaves out, above all the event''s time. To be dropped in the '
    'next release, when no such worker runs beside ours any more.';
