alter table events.events drop column last_call_at;
