-- What is judged again is read again: an event whose payload is gone (90 days, an erased person) stays what it became.
update fleet.inbox_events
set state = 'dead', reason = 'failed', processed_at = clock_timestamp()
where payload is null and state in ('pending', 'waiting', 'held');

alter table fleet.inbox_events
    add constraint open_events_have_a_payload
    check (payload is not null or state not in ('pending', 'waiting', 'held')) not valid;
