-- Definer: the worker may store what a provider lists, not read the inbox.
-- A plan made while there were few rows is kept: without seqscans it is right for many, too.
create or replace function fleet.store_found_events(
    p_backfill_id bigint,
    p_attempt integer,
    p_provider_event_ids text[],
    p_event_types text[],
    p_payloads bytea[],
    p_payload_sha256s bytea[],
    p_states text[],
    p_reasons text[],
    p_made_ats timestamptz[],
    p_cursor text,
    p_reached_at timestamptz,
    p_now timestamptz default null
)
returns table (found bigint, missed bigint, seen bigint)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_provider text;
    v_seen bigint[];
    v_found bigint;
    v_missed bigint;
begin
    select b.provider into v_provider
    from fleet.backfills as b
    where b.id = p_backfill_id and b.attempts = p_attempt and b.finished_at is null
    for no key update;
    if not found then
        return;
    end if;
    select coalesce(array_agg(s.no), '{}') into v_seen
    from fleet.store_events(
        array_fill(v_provider, array[cardinality(p_provider_event_ids)]),
        p_provider_event_ids, p_event_types, p_payloads, p_payload_sha256s, p_states, p_reasons
    ) as s;
    with fresh as (
        insert into fleet.found_events as f (
            event_id, backfill_id, provider, event_type, made_at, found_at, is_missed
        )
        select
            e.id, p_backfill_id, v_provider, e.event_type, a.made_at, v_now,
            coalesce(a.made_at < v_now - interval '15 minutes', false)
        from unnest(p_provider_event_ids, p_made_ats, p_payloads, p_states)
            with ordinality as a (key, made_at, payload, state, no)
        join fleet.inbox_events as e
            on e.provider = v_provider
            -- As fleet.store_events names what can't be read.
            and e.provider_event_id = case
                when a.state = 'pending' then a.key else encode(sha256(a.payload), 'hex')
            end
        where a.no <> all(v_seen)
        returning f.is_missed
    )
    select count(*), count(*) filter (where f.is_missed) into v_found, v_missed from fresh as f;
    update fleet.backfills as b
    set
        cursor = p_cursor,
        reached_at = greatest(b.reached_at, least(p_reached_at, b.to_at)),
        begins_at = coalesce(b.begins_at, least(p_reached_at, b.to_at)),
        read_at = v_now,
        found = b.found + v_found,
        missed = b.missed + v_missed,
        seen = b.seen + cardinality(v_seen),
        failing_since = null,
        last_error = null
    where b.id = p_backfill_id;
    return query select v_found, v_missed, cardinality(v_seen)::bigint;
end
$$;

revoke all on function fleet.store_found_events(
    bigint, integer, text[], text[], bytea[], bytea[], text[], text[], timestamptz[], text, timestamptz, timestamptz
) from public, anon, authenticated, service_role;
comment on function fleet.store_found_events(
    bigint, integer, text[], text[], bytea[], bytea[], text[], text[], timestamptz[], text, timestamptz, timestamptz
) is
    'Stores a page of a provider''s history as fleet.store_events does, with where to go on and up to which time all '
    'was read. Returns how many events were new, how many of those a webhook should have brought (older than 15 '
    'minutes; an event without a time has no webhook), and how many were seen before. No row if somebody else reads '
    'this history now: then nothing is stored.';
