-- Definer: the worker may note a start, not write the table.
create or replace function fleet.note_batch_start(p_xact_id xid8, p_event_ids bigint[], p_worker text)
returns void
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    -- The note has to survive the worker, not the database, so the commit does not wait for the disk.
    set local synchronous_commit = off;
    insert into fleet.batch_starts (xact_id, event_ids, worker)
    select p_xact_id, p_event_ids, p_worker
    -- A worker that stopped waiting for this note has rolled back, and is alive.
    where pg_xact_status(p_xact_id) = 'in progress';
end
$$;

revoke all on function fleet.note_batch_start(xid8, bigint[], text) from public, anon, authenticated, service_role;
comment on function fleet.note_batch_start(xid8, bigint[], text) is
    'Notes, in a transaction of its own, that a worker begins the batch that its other transaction claimed. Applying '
    'the batch deletes the note.';
