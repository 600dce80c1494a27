-- What a replay would do is tried by a worker, for whoever may neither read payloads nor move coins: the console.

create table fleet.replay_trials (
    id bigint generated always as identity primary key,
    event_ids bigint[] not null,
    states text[] not null,
    asked_by text not null,
    asked_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    lease_until timestamptz,
    finished_at timestamptz,
    outcome jsonb,
    last_error text,
    constraint states_of_all_events check (cardinality(event_ids) = cardinality(states)),
    constraint of_bounded_size check (cardinality(event_ids) between 1 and 10000),
    constraint asked_by_somebody check (btrim(asked_by) <> ''),
    constraint finished_with_an_outcome check (
        (finished_at is null) = (outcome is null and last_error is null)
    )
);
create index replay_trials_open_idx on fleet.replay_trials (id) where finished_at is null;
create index replay_trials_asked_at_idx on fleet.replay_trials (asked_at);
revoke all on fleet.replay_trials from public, anon, authenticated, service_role;
comment on table fleet.replay_trials is
    'Replays that a person wants tried: a worker applies the events in transactions that it rolls back, and writes '
    'what would have come of it. Kept for a day.';
comment on column fleet.replay_trials.states is 'The state in which each event was seen.';
comment on column fleet.replay_trials.lease_until is 'Until then the trial is in the hands of a worker.';
comment on column fleet.replay_trials.outcome is
    'Counts by state and reason before and after, why others would be left, and coins by account: no id of a person.';
