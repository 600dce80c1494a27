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
    insert into fleet.provider_calls as c (kind, key, request, event_id, next_attempt_at)
    select f.call ->> 'kind', f.call ->> 'key', f.call -> 'request', f.event_id, p_now
    from unnest(p_facts) as f
    where f.kind = 'question'
        -- A call that only reads: no event, however it was interpreted, has money moved at a provider.
        and starts_with(f.call ->> 'kind', f.provider || '.fetch_')
    order by f.call ->> 'key'
    -- The answer is there no more: it went with the payload, or with a person. It is asked for anew.
    on conflict (key) do update
    set
        state = 'pending', request = excluded.request, next_attempt_at = p_now, finished_at = null
    where c.state = 'done' and c.result is null;
    return query
    select
        f.event_id, 'waiting',
        -- It stays so until a person has the call made again, or the event processed again.
        case when c.state = 'dead' then 'dead_call' else 'no_answer_yet' end,
        null::bigint, null::bigint, null::bigint, false,
        -- Sooner, when the call is done.
        p_now + interval '1 hour',
        null::text
    from unnest(p_facts) as f
    left join fleet.provider_calls as c on c.key = f.call ->> 'key'
    where f.kind = 'question';
end
$$;

revoke all on function fleet.ask_questions(fleet.fact[], timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.ask_questions(fleet.fact[], timestamptz) is
    'Writes a call for each event that means nothing without an answer of its provider, once; the events wait for it. '
    'One whose call is dead says so: dead_call.';
