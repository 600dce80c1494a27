-- Open inquiries are looked for each minute: few rows of a table that grows.
create index disputes_open_inquiries_idx on fleet.disputes (provider, dispute_id)
where status in ('warning_needs_response', 'warning_under_review');
