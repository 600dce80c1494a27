-- Definer: the worker may take its note back, not write the tables.
create or replace function fleet.forget_batch_start(p_xact_id xid8, p_event_ids bigint[])
returns void
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    delete from fleet.batch_starts where xact_id = p_xact_id;
    if not found then
        -- Another session took this worker for dead in the moment between its rollback and this call.
        update fleet.inbox_events as e
        set
            starts = e.starts - 1,
            state = 'pending',
            reason = case when e.state = 'pending' then e.reason end,
            processed_at = case when e.state = 'pending' then e.processed_at end,
            last_error = case when e.state = 'pending' then e.last_error end
        where e.id = any(p_event_ids) and e.starts > 0
            and (e.state = 'pending' or (e.state = 'dead' and e.reason = 'killed_its_worker'));
    end if;
end
$$;

revoke all on function fleet.forget_batch_start(xid8, bigint[]) from public, anon, authenticated, service_role;
comment on function fleet.forget_batch_start(xid8, bigint[]) is
    'Removes the note of a batch that ended with an error which its worker survived.';
