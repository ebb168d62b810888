drop index events.facts_destroyed_once;
drop index events.events_over;
