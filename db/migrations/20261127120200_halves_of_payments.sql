-- What each event of a payment told of it, while nothing was granted: the halves meet here, across batches.
create table fleet.payment_halves (
    provider text not null,
    provider_event_id text not null,
    payment_id bigint not null,
    profile_id uuid,
    buyer_unreadable boolean not null default false,
    by_reference boolean not null default false,
    sku text,
    quantity integer,
    quantity_unreadable boolean not null default false,
    currency text,
    deductions_minor bigint[] not null default '{}',
    told_by text,
    primary key (provider, provider_event_id),
    constraint told_by_known check (told_by in ('intent', 'session')),
    constraint quantity_positive check (quantity > 0)
);
create index payment_halves_payment_id_idx on fleet.payment_halves (payment_id);
revoke all on fleet.payment_halves from public, anon, authenticated, service_role;
comment on table fleet.payment_halves is
    'What each event told of a payment of which nothing was granted then: its buyer, product and quantity may stand in different events. One row an event, so that no order and no repetition changes what they say together.';
comment on column fleet.payment_halves.profile_id is
    'The buyer that the event named; no foreign key, since a buyer may be nobody or sign up later.';
comment on column fleet.payment_halves.by_reference is
    'Named by client_reference_id, which gives way to a profile_id of another half.';
comment on column fleet.payment_halves.deductions_minor is
    'What may be taken off the total before it is compared with the price: shipping, shipping and tax.';
comment on column fleet.payment_halves.told_by is 'Which of the provider''s objects told it; a price that does not match waits for the session.';

alter type fleet.fact
    add attribute by_reference boolean,
    add attribute quantity_unreadable boolean,
    add attribute deductions_minor bigint[],
    add attribute told_by text,
    add attribute half jsonb,
    add attribute hold_reason text,
    add attribute told_whole boolean;
comment on type fleet.fact is
    'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute, names or verdict; event_id is null in a direct call. hold_reason and told_whole are set by fleet.combine_halves.';
