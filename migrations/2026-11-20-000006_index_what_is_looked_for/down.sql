drop index events.distributions_standing;
drop index events.events_cancelled;
drop index events.jobs_of_store;
drop index events.jobs_of_key;
