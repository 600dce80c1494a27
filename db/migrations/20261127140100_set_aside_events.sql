-- Events that fail alone for a passing cause, and notes of batches committed ahead of their claim.

create table fleet.set_aside_events (
    event_id bigint primary key references fleet.inbox_events (id) on delete cascade,
    failing_since timestamptz not null,
    setbacks integer not null default 0,
    sqlstate text
);
comment on table fleet.set_aside_events is 'Pending events that a passing failure hit alone. With setbacks they failed while others succeeded: they are claimed alone, after pauses that double.';
comment on column fleet.set_aside_events.setbacks is 'How often it failed while others succeeded; 0 while everything fails, and then it is claimed with the others.';
comment on column fleet.set_aside_events.sqlstate is 'Of its last failure; null if that came from no server.';

alter table fleet.batch_starts add column is_ahead boolean not null default false;
comment on column fleet.batch_starts.is_ahead is 'Committed before the claim, for want of a second session: xact_id is that commit''s, and tells nothing. Who works on the batch holds this row.';

revoke all on table fleet.set_aside_events from public, anon, authenticated, service_role;
