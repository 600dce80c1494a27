-- squawk-ignore-file ban-drop-function
-- It tells one thing more now, and a function can't change what it returns.
drop function if exists fleet.purchase_for_decision(bigint);
