-- Definer: the process roles have no right to the tables themselves.
create or replace function fleet.trim_history(p_now timestamptz default null)
returns bigint
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_ticks bigint;
    v_proofs bigint;
    v_reports bigint;
    v_webs bigint;
begin
    delete from fleet.ticks as t
    where t.finished_at < v_now - interval '2 days'
        and t.tick < (select max(n.tick) from fleet.ticks as n where n.job = t.job);
    get diagnostics v_ticks = row_count;
    -- A proof that found something stays as evidence; the newest of each kind is the checkpoint.
    delete from fleet.proofs as p
    where p.finished_at < v_now - interval '2 days'
        and p.kind = 'new'
        and p.violations = 0
        and p.id < (select max(n.id) from fleet.proofs as n where n.kind = 'new');
    get diagnostics v_proofs = row_count;
    delete from fleet.publish_changes as c where c.changed_at < v_now - interval '1 day';
    delete from fleet.replay_trials as t where t.asked_at < v_now - interval '1 day';
    delete from fleet.refused_sign_ins as r where r.refused_at < v_now - interval '30 days';
    delete from fleet.set_aside_events as s
    using fleet.inbox_events as e
    where e.id = s.event_id and e.state <> 'pending';
    -- A report dated more than an hour ahead comes from a clock that has been set right since: a living worker
    -- replaces its report every 2 s.
    delete from fleet.worker_reports as r
    where r.reported_at not between v_now - interval '1 hour' and v_now + interval '1 hour';
    get diagnostics v_reports = row_count;
    -- The newest web report always stays, so that status shows if no process receives webhooks any more.
    delete from fleet.web_reports as r
    where r.reported_at not between v_now - interval '1 hour' and v_now + interval '1 hour'
        and r.web <> (
            select n.web
            from fleet.web_reports as n
            order by n.reported_at > v_now + interval '1 hour', n.reported_at desc
            limit 1
        );
    get diagnostics v_webs = row_count;
    return v_ticks + v_proofs + v_reports + v_webs;
end
$$;

revoke all on function fleet.trim_history(timestamptz) from public, anon, authenticated, service_role;
comment on function fleet.trim_history(timestamptz) is
    'Removes finished ticks and clean continuous proofs after 2 days, and processes that sent no report for an hour; '
    'returns how many rows. Nothing of money is ever removed.';
