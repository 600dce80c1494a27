-- What the provider made before the fleet was there may belong to another system.
alter table fleet.backfills add column begins_at timestamptz;
comment on column fleet.backfills.begins_at is
    'The first watermark: the timetable never reads what was made before.';
update fleet.backfills set begins_at = from_at where is_scheduled;
