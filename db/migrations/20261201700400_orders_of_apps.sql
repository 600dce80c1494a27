-- squawk-ignore-file ban-drop-function
-- Its result has one more column, and nothing calls it yet.
drop function if exists fleet.known_orders(timestamptz, bigint, integer, timestamptz);
