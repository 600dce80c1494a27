create or replace function fleet.note_inquiries(p_facts fleet.fact[])
returns void
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    insert into fleet.store_inquiries as i (
        provider, inquiry_id, event_id, payment_key, store_app, asked_at, deadline, reason, is_sandbox
    )
    select distinct on (f.provider, f.inquiry_id)
        f.provider, f.inquiry_id, f.event_id, f.payment_keys[1], f.store_app, f.asked_at, f.deadline, f.reason,
        coalesce(f.is_sandbox, false)
    from unnest(p_facts) as f
    where f.kind = 'store_inquiry'
    order by f.provider, f.inquiry_id, f.asked_at desc, f.event_id
    on conflict (provider, inquiry_id) do update
    set asked_at = excluded.asked_at, deadline = excluded.deadline, reason = excluded.reason
    where excluded.asked_at > i.asked_at;
    -- An answer that is still to be sent has as much time as the newest question gives.
    update fleet.provider_calls as c
    set request = c.request || jsonb_build_object('deadline', extract(epoch from i.deadline))
    from fleet.store_inquiries as i
    where (i.provider, i.inquiry_id) in (
            select f.provider, f.inquiry_id
            from unnest(p_facts) as f
            where f.kind = 'store_inquiry'
        )
        and c.key = fleet.answer_key(i.provider, i.inquiry_id)
        and c.state = 'pending' and c.request ? 'deadline'
$$;

revoke all on function fleet.note_inquiries(fleet.fact[]) from public, anon, authenticated, service_role;
comment on function fleet.note_inquiries(fleet.fact[]) is
    'Keeps what stores ask, each question once; of one that is repeated the newest time and reason.';
