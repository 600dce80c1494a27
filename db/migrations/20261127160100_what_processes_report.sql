-- What a process has counted since it started, besides the columns that stand here already.
alter table fleet.worker_reports add column detail jsonb not null default '{}';
comment on table fleet.worker_reports is 'A sign of life of each worker process, every 2 s: what it applied since it started.';
comment on column fleet.worker_reports.events is 'Events applied; a worker of the release before counts those that it claimed.';
comment on column fleet.worker_reports.detail is 'Events by outcome, failed attempts by error, the histogram from receipt to application, and the newest trouble; see db/worker_reports.py.';

create table fleet.web_reports (
    web text primary key,
    started_at timestamptz not null,
    reported_at timestamptz not null default clock_timestamp(),
    detail jsonb not null default '{}',
    constraint web_between_1_and_300_characters check (char_length(web) between 1 and 300),
    constraint detail_is_small check (octet_length(detail::text) <= 16384)
)
with (fillfactor = 50);
comment on table fleet.web_reports is 'A sign of life of each web process, every 10 s: what it refused lately, and its newest trouble.';
comment on column fleet.web_reports.detail is 'See db/web_reports.py.';
