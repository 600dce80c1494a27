-- Definer: the console has no right to the table itself.
create or replace function fleet.pause_schedule(p_job text, p_typed_by text, p_reason text)
returns text
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    perform fleet.commit_durably();
    insert into fleet.schedule_pauses (job, paused_by, reason)
    values (p_job, p_typed_by, btrim(p_reason))
    on conflict (job) do nothing;
    if not found then
        return 'paused_already';
    end if;
    perform fleet.record_action('schedules pause', p_typed_by, p_reason, jsonb_build_object('job', p_job));
    return 'paused';
end
$$;

revoke all on function fleet.pause_schedule(text, text, text) from public, anon, authenticated, service_role;
comment on function fleet.pause_schedule(text, text, text) is
    'From now on no run of the job begins, until fleet.resume_schedule. A run that a worker has begun is finished. '
    'Notes who wanted it and why. Returns paused, or paused_already, which changes nothing.';
