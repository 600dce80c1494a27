create or replace function fleet.write_answers(p_ids bigint[], p_choice text, p_now timestamptz)
returns setof bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    with written as (
        insert into fleet.provider_calls as c (kind, key, request, next_attempt_at, dated_at)
        select
            case o.provider when 'apple' then 'apple.answer_consumption' else 'google.review_refund' end,
            fleet.answer_key(o.provider, o.inquiry_id),
            case o.provider
                when 'apple' then jsonb_build_object(
                    'transaction_id', o.inquiry_id,
                    'bundle_id', o.store_app,
                    'environment', case when o.is_sandbox then 'Sandbox' else 'Production' end,
                    'delivery_status', case when o.is_delivered then 'DELIVERED' else 'UNDELIVERED_OTHER' end,
                    'consumption_percentage', o.consumed_milli_percent,
                    'refund_preference', case
                        when p_choice <> 'NO_PREFERENCE' then p_choice
                        -- Nobody should pay for what was not delivered.
                        when p_choice is null and not o.is_delivered then 'GRANT_FULL'
                    end,
                    'deadline', extract(epoch from o.deadline)
                )
                else jsonb_build_object(
                    'package', o.store_app,
                    'order_id', o.order_id,
                    'pending_refund_token', o.inquiry_id,
                    'choice', p_choice
                )
            end,
            p_now,
            p_now
        from fleet.open_inquiries() as o
        where o.id = any(p_ids) and o.blocked_by is null
        order by 2
        on conflict (key) do update
        set
            state = 'pending', request = excluded.request, next_attempt_at = p_now, dated_at = p_now,
            finished_at = null,            result = null, failures = 0, lease_until = null, last_error = null
        where c.state = 'dead' or c.result ->> 'note' = 'too_late'
        returning c.key
    )
    select i.id
    from written as w
    join fleet.store_inquiries as i on fleet.answer_key(i.provider, i.inquiry_id) = w.key
    where i.id = any(p_ids)
$$;

revoke all on function fleet.write_answers(bigint[], text, timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.write_answers(bigint[], text, timestamptz) is
    'Has open questions of stores answered, each once: rows of the outbox. p_choice is a person''s; null: Apple is '
    'told without a preference what was delivered, and that what was not delivered should be refunded. Returns the '
    'questions that are answered by this.';
