-- Definer: the receiver may store events, not read the inbox.
create or replace function fleet.store_events(
    p_providers text[],
    p_provider_event_ids text[],
    p_event_types text[],
    p_payloads bytea[],
    p_payload_sha256s bytea[],
    p_states text[],
    p_reasons text[]
)
returns table (no bigint, same_body boolean)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_new_ids bigint[];
begin
    -- The receiver's password must not be enough to store an event as done, or under a key that a real event may
    -- still come with. The key of a body that can't be read is therefore its hash, computed here. Computing the hash
    -- of each event would take 13 us on a server that is built without OpenSSL, and a wrong hash only harms the
    -- comparison with its own event.
    if exists (
        select 1
        from unnest(p_states, p_reasons) as s (state, reason)
        where (s.state, s.reason) is distinct from ('pending', null)
            and (s.state, s.reason) is distinct from ('rejected', 'malformed')
    ) then
        raise exception 'an arrival is pending, or rejected as malformed' using errcode = 'insufficient_privilege';
    end if;
    -- Nor to store what no receiver accepts: an unknown provider, which would be one more label in metrics, or a body
    -- of which a worker could not hold five hundred.
    if not p_providers <@ '{stripe,apple,google,app}'
        or exists (select 1 from unnest(p_event_types) as t (type) where char_length(t.type) > 255)
        or exists (select 1 from unnest(p_payloads) as b (body) where coalesce(octet_length(b.body), 262145) > 262144)
    then
        raise exception 'an arrival is of stripe, apple, google or app, with a body of at most 256 KiB'
            using errcode = 'insufficient_privilege';
    end if;
    if 'rejected' = any(p_states) then
        select array_agg(k.key order by k.no), array_agg(k.payload_sha256 order by k.no)
        into p_provider_event_ids, p_payload_sha256s
        from (
            select
                g.no,
                case when g.state = 'pending' then g.key else encode(sha256(g.payload), 'hex') end as key,
                case when g.state = 'pending' then g.payload_sha256 else sha256(g.payload) end as payload_sha256
            from unnest(p_provider_event_ids, p_payloads, p_payload_sha256s, p_states)
                with ordinality as g (key, payload, payload_sha256, state, no)
        ) as k;
    end if;
    perform fleet.commit_durably();
    -- Numbered in the order of arrival, inserted in the order of keys: two receivers with overlapping batches wait
    -- for each other instead of deadlocking.
    with fresh as (
        insert into fleet.inbox_events as e (
            id, provider, provider_event_id, event_type, payload, payload_sha256, state, reason, processed_at
        )
        overriding system value
        select
            a.id, a.provider, a.provider_event_id, a.event_type, a.payload, a.payload_sha256, a.state, a.reason,
            case when a.state <> 'pending' then clock_timestamp() end
        from (
            select nextval('fleet.inbox_events_id_seq') as id, u.*
            from unnest(
                p_providers, p_provider_event_ids, p_event_types, p_payloads, p_payload_sha256s, p_states, p_reasons
            )
                with ordinality as u (
                    provider, provider_event_id, event_type, payload, payload_sha256, state, reason, no
                )
            order by u.no
        ) as a
        order by a.provider, a.provider_event_id, a.id
        on conflict (provider, provider_event_id) do nothing
        returning e.id
    )
    select coalesce(array_agg(f.id), '{}') into v_new_ids from fresh as f;
    if cardinality(v_new_ids) = cardinality(p_providers) then
        return;
    end if;
    return query
    select seen.no, seen.same_body
    from (
        select
            a.no,
            e.payload_sha256 = a.payload_sha256 as same_body,
            e.id = any(v_new_ids) as is_new,
            row_number() over (partition by a.provider, a.provider_event_id order by a.no) as nth
        from unnest(p_providers, p_provider_event_ids, p_payload_sha256s)
            with ordinality as a (provider, provider_event_id, payload_sha256, no)
        join fleet.inbox_events as e on e.provider = a.provider and e.provider_event_id = a.provider_event_id
    ) as seen
    where not seen.is_new or seen.nth > 1
    order by seen.no;
end
$$;

revoke all on function fleet.store_events(text[], text[], text[], bytea[], bytea[], text[], text[])
from public, anon, authenticated, service_role;
comment on function fleet.store_events(text[], text[], text[], bytea[], bytea[], text[], text[]) is
    'Stores arrivals, one per key: pending, or rejected as malformed with the SHA-256 of the payload as its key. '
    'Returns the numbers (from 1) of those seen before, and whether their body is the stored one.';
