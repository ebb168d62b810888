drop index events.events_over;
