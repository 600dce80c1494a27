-- A hold that was refunded whole returns to the queue if its refund fails, also when its payload is gone by then.
-- squawk-ignore ban-drop-constraint
alter table fleet.inbox_events drop constraint open_events_have_a_payload;
