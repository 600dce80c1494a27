-- squawk-ignore-file require-concurrent-index-deletion
-- provider_calls_refund_id_idx is the same index.
drop index if exists fleet.provider_calls_refund_idx;
