-- Definer: the console has no right to the table itself.
create or replace function fleet.resume_schedule(p_job text, p_typed_by text, p_reason text)
returns text
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    perform fleet.commit_durably();
    delete from fleet.schedule_pauses as p where p.job = p_job;
    if not found then
        return 'not_paused';
    end if;
    perform fleet.record_action('schedules resume', p_typed_by, p_reason, jsonb_build_object('job', p_job));
    return 'resumed';
end
$$;

revoke all on function fleet.resume_schedule(text, text, text) from public, anon, authenticated, service_role;
comment on function fleet.resume_schedule(text, text, text) is
    'Ends the pause of a job: it runs at its next time, and does then what has come together. Notes who wanted it and '
    'why. Returns resumed, or not_paused, which changes nothing.';
