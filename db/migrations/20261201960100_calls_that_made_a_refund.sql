-- squawk-ignore-file require-concurrent-index-creation, ban-drop-function
-- A refund that we made is found by the provider's id of it, before the provider tells of it.
create index provider_calls_refund_idx on fleet.provider_calls ((result ->> 'refund_id'))
where result ->> 'refund_id' is not null;

-- It tells one thing more now, and a function can't change what it returns.
drop function if exists fleet.purchase_for_decision(bigint);
