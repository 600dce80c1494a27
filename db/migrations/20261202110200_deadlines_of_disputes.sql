-- Until when a dispute can be answered at its provider.
alter type fleet.fact add attribute due_at timestamptz;
alter table fleet.disputes add column due_at timestamptz;
comment on column fleet.disputes.due_at is
    'Until when the provider takes evidence; null if no event that was read since this column exists told it.';
-- Few are open at once: the others are closed, whatever their provider calls that.
create index disputes_open_idx on fleet.disputes (coalesce(due_at, 'infinity'), provider, dispute_id)
where coalesce(status, '') not in ('won', 'lost', 'prevented', 'warning_closed');
