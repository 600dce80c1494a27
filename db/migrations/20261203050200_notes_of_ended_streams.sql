-- A stream that its streamer ends is noted, too.
comment on table fleet.publish_changes is
    'Streams that were published or unpublished within the last day: by a recompute, of which at most 200 are noted, '
    'or by being switched off.';
