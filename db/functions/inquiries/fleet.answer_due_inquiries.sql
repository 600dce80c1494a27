-- Definer: the worker may have due questions answered, not read or write the tables behind them.
create or replace function fleet.answer_due_inquiries(p_limit integer)
returns table (id bigint, event_id bigint, delivery_status text)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_answered bigint[];
begin
    v_answered := array(
        select w
        from fleet.write_answers(
            array(select o.id from fleet.open_inquiries() as o where o.answers_itself_at <= v_now limit p_limit),
            null,
            v_now
        ) as w
    );
    return query
    select i.id, i.event_id, c.request ->> 'delivery_status'
    from fleet.store_inquiries as i
    join fleet.provider_calls as c on c.key = fleet.answer_key(i.provider, i.inquiry_id)
    where i.id = any(v_answered)
    order by i.id;
end
$$;

revoke all on function fleet.answer_due_inquiries(integer) from public, anon, authenticated, service_role;
comment on function fleet.answer_due_inquiries(integer) is
    'Has up to p_limit questions of Apple answered that no person has answered in half the time; at once what was '
    'rejected and what is of the sandbox. Returns each with what Apple is told of its delivery.';
