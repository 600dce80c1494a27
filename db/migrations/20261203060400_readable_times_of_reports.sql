-- A process says how long it has been running, and its password suffices to say anything: a time that no reader can
-- show (a year before Christ) is no report. What stands there already goes: a process reports anew within seconds.
delete from fleet.web_reports as r
where r.started_at not between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00';

delete from fleet.worker_reports as r
where
    r.started_at not between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00'
    or r.last_doorbell_at not between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00';

alter table fleet.web_reports
add constraint web_started_at_is_readable check (
    started_at between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00'
) not valid;

alter table fleet.worker_reports
add constraint started_at_is_readable check (
    started_at between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00'
) not valid,
add constraint last_doorbell_at_is_readable check (
    last_doorbell_at between timestamptz '2000-01-01 00:00:00+00' and timestamptz '9999-01-01 00:00:00+00'
) not valid;
