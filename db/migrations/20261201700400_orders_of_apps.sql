-- Its result has one more column.
drop function if exists fleet.known_orders(timestamptz, bigint, integer, timestamptz);
