-- Disputes that were told of before their deadline was kept: it stands in the payloads that are still kept. Few are
-- open at once, and their events are found by their payment. A payload that can't be read leaves its dispute as it is.
do $$
declare
    v_one record;
    v_told json;
    v_dispute json;
begin
    for v_one in
        select d.provider, d.dispute_id, d.told_at, e.payload
        from fleet.disputes as d
        cross join lateral (
            select i.payload
            from fleet.inbox_events as i
            where i.payment_id = d.payment_id
                and i.provider = d.provider
                and i.event_type like 'charge.dispute.%'
                and i.payload is not null
            order by i.id desc
            limit 20
        ) as e
        where d.provider = 'stripe'
            and d.due_at is null
            and coalesce(d.status, '') not in ('won', 'lost', 'prevented', 'warning_closed')
    loop
        begin
            v_told := convert_from(v_one.payload, 'UTF8')::json;
            v_dispute := v_told -> 'data' -> 'object';
            -- The newest event counts, and its time is that of the dispute.
            update fleet.disputes as d
            set due_at = to_timestamp((v_dispute -> 'evidence_details' ->> 'due_by')::float8)
            where d.provider = v_one.provider
                and d.dispute_id = v_one.dispute_id
                and d.due_at is null
                and v_dispute ->> 'id' = v_one.dispute_id
                and json_typeof(v_dispute -> 'evidence_details' -> 'due_by') = 'number'
                and (v_one.told_at is null or to_timestamp((v_told ->> 'created')::float8) = v_one.told_at);
        exception
            when data_exception or program_limit_exceeded then null;
        end;
    end loop;
end
$$;
