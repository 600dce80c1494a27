-- People pause a schedule, and have one run now.

create table fleet.schedule_pauses (
    job text primary key,
    paused_at timestamptz not null default clock_timestamp(),
    paused_by text not null,
    reason text not null,
    constraint job_of_bounded_length check (char_length(job) between 1 and 100),
    constraint paused_by_somebody check (btrim(paused_by) <> ''),
    constraint reason_given check (btrim(reason) <> '')
);
revoke all on fleet.schedule_pauses from public, anon, authenticated, service_role;
comment on table fleet.schedule_pauses is
    'Jobs that nobody begins until a person says so. Who paused or resumed one is kept in fleet.operator_actions.';

alter table fleet.schedules add column paused_tick bigint;
comment on column fleet.schedules.paused_tick is
    'The last tick that was not opened because the job was paused: no tick up to it counts as missed.';

alter table fleet.ticks add column asked_at timestamptz;
comment on column fleet.ticks.asked_at is
    'When a person asked for this run; it is then done also while the job is paused.';
alter table fleet.ticks add column done_before timestamptz;
comment on column fleet.ticks.done_before is 'When this tick was done, before a person had it run again.';

comment on column fleet.operator_actions.action is
    'The command: replay, replay calls, replay deliveries, rates set, rates import, purchases answer, purchases '
    'release, payload read, schedules pause, schedules resume, schedules run.';
