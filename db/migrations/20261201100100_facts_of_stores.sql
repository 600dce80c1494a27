-- What Apple and Google tell of their purchases.
alter type fleet.fact
add attribute store_app text,
add attribute line_items jsonb,
add attribute reversed_milli_percent integer,
add attribute submitted_by uuid,
add attribute is_sandbox boolean,
add attribute is_acknowledged boolean,
add attribute is_consumed boolean,
add attribute voided_quantity integer,
add attribute inquiry_id text,
add attribute asked_at timestamptz,
add attribute deadline timestamptz,
add attribute told jsonb;
comment on type fleet.fact is
    'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute, charge_failed, '
    'store_purchase, store_snapshot, store_void, store_inquiry, names, question or verdict; event_id is null in a '
    'direct call. hold_reason and told_whole are set by fleet.combine_halves; call is the kind, key and request of a '
    'question''s call. db/facts.py says what each kind tells.';
