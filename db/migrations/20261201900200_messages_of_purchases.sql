-- squawk-ignore-file require-concurrent-index-creation
-- What the app was told of one purchase is found by the beginning of its keys: the end is a transaction's number.
-- Messages about credits and gifts, which are nearly all, are not in this index.
create index provider_calls_holds_told_idx on fleet.provider_calls (key text_pattern_ops)
where starts_with(key, 'purchase-held-') or starts_with(key, 'purchase-rejected-');
