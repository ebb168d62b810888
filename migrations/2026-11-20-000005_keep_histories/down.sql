drop index events.publications_pending;
create index publications_pending on events.publications (next_at) where status in ('queued', 'publishing', 'retrying', 'awaiting-review');
drop index events.publications_dead;
alter table events.publications drop column history;
alter table events.jobs drop column history;
drop function events.with_failure(jsonb, jsonb);
