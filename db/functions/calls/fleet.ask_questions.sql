create or replace function fleet.ask_questions(p_facts fleet.fact[], p_now timestamptz)
returns setof fleet.outcome
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
begin
    if not exists (select from unnest(p_facts) as f where f.kind = 'question') then
        return;
    end if;
    insert into fleet.provider_calls as c (kind, key, request, event_id, next_attempt_at, dated_at)
    select
        f.call ->> 'kind', f.call ->> 'key', f.call -> 'request', f.event_id,
        p_now + make_interval(secs => coalesce((f.call ->> 'again_after_s')::integer, 0)), p_now
    from unnest(p_facts) as f
    where f.kind = 'question'
        -- A call that only reads: no event, however it was interpreted, has money moved at a provider.
        and starts_with(f.call ->> 'kind', f.provider || '.fetch_')
    order by f.call ->> 'key'
    on conflict (key) do update
    set
        state = 'pending', request = excluded.request, next_attempt_at = excluded.next_attempt_at,
        dated_at = p_now,
        -- As a call that was never made: what came before says nothing of an outage now.
        result = null, finished_at = null, first_attempt_at = null, failures = 0
    where c.state = 'done'
        -- The answer is there no more, since it went with the payload, or with a person; or it decides nothing yet.
        and (c.result is null or excluded.next_attempt_at > p_now);
    return query
    select
        f.event_id, 'waiting',
        -- It stays so until a person has the call made again, or the event processed again.
        case when c.state = 'dead' then 'dead_call' else coalesce(f.reason, 'no_answer_yet') end,
        null::bigint, null::bigint, null::bigint, false,
        -- Sooner, when the call is done.
        p_now + interval '1 hour' + make_interval(secs => coalesce((f.call ->> 'again_after_s')::integer, 0)),
        null::text
    from unnest(p_facts) as f
    left join fleet.provider_calls as c on c.key = f.call ->> 'key'
    where f.kind = 'question';
end
$$;

revoke all on function fleet.ask_questions(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.ask_questions(fleet.fact[], timestamptz) is
    'Writes a call for each event that means nothing without an answer of its provider, once; the events wait for it. '
    'An answer that decides nothing yet is asked for again, after a pause. One whose call is dead says so: dead_call.';
