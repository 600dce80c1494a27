-- Definer: the worker may note a start, not write the table.
create or replace function fleet.note_batch_ahead(p_limit integer, p_worker text, p_now timestamptz default null)
returns table (xact_id xid8, event_ids bigint[])
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
#variable_conflict use_column
declare
    v_event_ids bigint[];
begin
    select array_agg(c.id) into v_event_ids from fleet.claim_events(p_limit, p_now) as c;
    if v_event_ids is not null then
        -- The note has to survive the worker, not the database, so the commit does not wait for the disk.
        set local synchronous_commit = off;
        return query
        insert into fleet.batch_starts as b (xact_id, event_ids, worker, noted_at, is_ahead)
        values (pg_current_xact_id(), v_event_ids, p_worker, coalesce(p_now, clock_timestamp()), true)
        returning b.xact_id, b.event_ids;
    end if;
end
$$;

revoke all on function fleet.note_batch_ahead(integer, text, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.note_batch_ahead(integer, text, timestamptz) is
    'For a worker that has only one session: notes the batch that it is about to claim, in a transaction of its own. '
    'fleet.claim_noted_events must follow within 10 s. Returns no row if nothing is due.';
