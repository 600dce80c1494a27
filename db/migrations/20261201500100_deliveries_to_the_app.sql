-- squawk-ignore-file require-concurrent-index-creation
-- The app is told what becomes of purchases and gifts by calls of the kind app.deliver; until now there were none.
alter table fleet.settings add column app_told_since timestamptz;
comment on column fleet.settings.app_told_since is
    'Since when the app is told what becomes of purchases and gifts; null while it is told nothing. Each release '
    'writes it: set while APP_EVENTS_URL is set.';

create table fleet.call_pauses (
    kind text primary key,
    reason text not null,
    paused_at timestamptz not null default clock_timestamp()
);
revoke all on fleet.call_pauses from public, anon, authenticated, service_role;
comment on table fleet.call_pauses is
    'Kinds of calls that no worker makes until a person says so: whoever answers them wants no more of them.';

-- Only deliveries are removed when they are old, and only those that have a body can be made again.
create index provider_calls_delivered_idx on fleet.provider_calls (finished_at)
where kind = 'app.deliver' and state = 'done' and request <> '{}';
