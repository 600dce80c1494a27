-- When the call's next attempt was set: a clock that was ahead set it, if that is later than now, and the pause is
-- what lies between. Calls from before have none, and keep the bounds of fleet.claim_provider_calls.
alter table fleet.provider_calls add column dated_at timestamptz;

alter table fleet.provider_calls alter column dated_at set default clock_timestamp();
