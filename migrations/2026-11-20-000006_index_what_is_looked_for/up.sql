-- Look-ups that went through a whole table, found by transport/tests/api/scans.rs and EXPLAIN.
-- Was a dead job followed by a later one of its key? And the jobs of a key at all.
create index jobs_of_key on events.jobs (key, created_at desc);
-- What a shop asked for today: its quota.
create index jobs_of_store on events.jobs (kind, (input ->> 'store'), created_at);
-- Cancelled events whose posts nobody began to take back: looked for once a second.
create index events_cancelled on events.events (id) where status = 'cancelled';
create index distributions_standing on events.distributions (event_id) where not recalling;
