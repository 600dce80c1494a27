-- Definer: the worker has no right to the table itself.
create or replace function fleet.begin_backfill(
    p_provider text,
    p_worker text,
    p_overlap interval,
    p_keeps interval,
    p_since timestamptz default null,
    p_now timestamptz default null
)
returns table (id bigint, attempt integer, from_at timestamptz, to_at timestamptz, cursor text, lost_from timestamptz)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_found fleet.backfills;
    v_reached_at timestamptz;
    v_begins_at timestamptz;
begin
    select b.* into v_found
    from fleet.backfills as b
    where b.provider = p_provider
        and case
            when p_since is null then b.is_scheduled
            else not b.is_scheduled and b.from_at = p_since and b.finished_at is null
        end
    for no key update;
    if not found then
        -- The first pass of the timetable sets the watermark: what was before the fleet may belong to another system.
        -- No row if another worker is quicker.
        return query
        insert into fleet.backfills as b (provider, is_scheduled, from_at, to_at, worker, started_at)
        values (p_provider, p_since is null, coalesce(p_since, v_now), v_now, p_worker, v_now)
        on conflict do nothing
        returning b.id, b.attempts, b.from_at, b.to_at, b.cursor, null::timestamptz;
        return;
    end if;
    -- Of a pass that begins anew nothing is kept, so it reads until now.
    if v_found.finished_at is null and (not v_found.is_scheduled or v_found.cursor is not null) then
        return query
        update fleet.backfills as b
        set attempts = b.attempts + 1, worker = p_worker
        where b.id = v_found.id
        returning b.id, b.attempts, b.from_at, b.to_at, b.cursor, null::timestamptz;
        return;
    end if;
    -- What is younger than 15 minutes is left to its webhook: found now, it would hide that webhooks are lost.
    -- A clock that was set back is behind the watermark, and then counts; the watermark itself stays.
    v_begins_at := coalesce(v_found.begins_at, v_found.from_at);
    v_reached_at := least(coalesce(v_found.reached_at, v_found.from_at), v_now);
    return query
    update fleet.backfills as b
    set
        attempts = b.attempts + 1,
        worker = p_worker,
        from_at = greatest(v_reached_at - p_overlap, v_now - p_keeps, v_begins_at),
        to_at = greatest(
            v_reached_at - p_overlap, v_now - p_keeps, v_begins_at, v_now - interval '15 minutes'
        ),
        cursor = null,
        started_at = v_now,
        finished_at = null
    where b.id = v_found.id
    returning
        b.id, b.attempts, b.from_at, b.to_at, b.cursor,
        case when v_reached_at < v_now - p_keeps then v_reached_at end;
end
$$;

revoke all on function fleet.begin_backfill(text, text, interval, interval, timestamptz, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.begin_backfill(text, text, interval, interval, timestamptz, timestamptz) is
    'Begins to read a provider''s history, or goes on where the last reading was cut: the timetable''s from the '
    'watermark less p_overlap until 15 minutes ago, or one that was asked for from p_since until now. '
    'Whoever read it before stops. lost_from: what was made from then to from_at is no longer listed. No row if '
    'another worker begins it at this moment.';
