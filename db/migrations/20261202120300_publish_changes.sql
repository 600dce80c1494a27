-- When streams were published and unpublished of late.

create table fleet.publish_changes (
    id bigint generated always as identity primary key,
    stream_id bigint not null,
    is_published boolean not null,
    changed_at timestamptz not null default clock_timestamp()
);
create index publish_changes_stream_id_idx on fleet.publish_changes (stream_id, id);
create index publish_changes_changed_at_idx on fleet.publish_changes (changed_at);
revoke all on fleet.publish_changes from public, anon, authenticated, service_role;
comment on table fleet.publish_changes is
    'Streams that a recompute published or unpublished within the last day; of one recompute at most 200.';
