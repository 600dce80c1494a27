-- For OpenTelemetry: the span in which an event was received, so that the span of its batch can name it. Null unless
-- tracing is on.
alter table fleet.inbox_events add column if not exists traceparent text;
alter table fleet.inbox_events add constraint traceparent_is_of_w3c
check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$') not valid;
comment on column fleet.inbox_events.traceparent is
    'The span in which web received it, as W3C''s Trace Context writes it; null without tracing.';
