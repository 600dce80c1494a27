-- squawk-ignore-file ban-drop-not-null
-- A store's list may tell something under an id of its own, which no webhook ever has.
-- Nothing but counts reads this time.
alter table fleet.found_events alter column made_at drop not null;
comment on column fleet.found_events.made_at is
    'The provider''s time of the event; null if no webhook brings it under this id, so that none is lost.';
