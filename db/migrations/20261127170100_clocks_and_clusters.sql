-- What is kept so that a clock that was ahead, and the transaction ids of another cluster, are recognised.

alter table fleet.recent_gifts_horizon
    add column recounts smallint not null default 0,
    add column ahead_from timestamptz,
    add column ahead_upto_id bigint;
comment on column fleet.recent_gifts_horizon.recounts is 'How many times more the counters are compared with the gifts: a gift that was being written when the horizon went back is found so.';
comment on column fleet.recent_gifts_horizon.ahead_from is 'Gifts created after this, up to gift ahead_upto_id, were dated by a clock that was ahead: they are not recent when that time comes.';

alter table fleet.leaderboard_horizon
    add column cluster_id bigint,
    add column counted_on date,
    add column foreign_from_xid xid8,
    add column foreign_upto_entry_id bigint,
    add column complete_until timestamptz,
    add column mark_xid xid8,
    add column mark_at timestamptz;
comment on column fleet.leaderboard_horizon.cluster_id is 'The system identifier of the cluster that upto_xid is of; in another one all gifts are counted anew.';
comment on column fleet.leaderboard_horizon.counted_on is 'The day of the last refresh. An earlier one now means that the clock was ahead, and that sums of periods still running were removed: all gifts are counted anew.';
comment on column fleet.leaderboard_horizon.foreign_from_xid is 'Entries up to foreign_upto_entry_id with this transaction id or a later one are of another cluster. They were counted when this cluster had not reached their ids, and are not counted again when it does.';
comment on column fleet.leaderboard_horizon.complete_until is 'Each gift created before this is counted. Moved to mark_at once every transaction below mark_xid has ended and is counted.';

create table fleet.proof_horizon (
    only_row boolean primary key default true,
    cluster_id bigint,
    constraint one_row check (only_row)
);
insert into fleet.proof_horizon default values;
comment on table fleet.proof_horizon is 'Which cluster the newest upto_xid of fleet.proofs is of, by its system identifier: after a restore into another one everything is proved anew.';
