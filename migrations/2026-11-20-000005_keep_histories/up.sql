-- What went wrong with a job or a publication, attempt by attempt: a parked one shows its cause and history.
alter table events.jobs add column history jsonb not null default '[]' check (jsonb_typeof(history) = 'array');
comment on column events.jobs.history is 'The last twenty failures, oldest first: {at, attempt, error}.';

alter table events.publications add column history jsonb not null default '[]' check (jsonb_typeof(history) = 'array');
comment on column events.publications.history is 'The last twenty failures, oldest first: {at, attempt, status, error}.';
create index publications_dead on events.publications (updated_at desc) where status = 'failed';
drop index events.publications_pending;
create index publications_pending on events.publications (next_at)
  where status in ('queued', 'publishing', 'retrying', 'awaiting-review', 'unknown');

-- A history that grew by one failure, cut to the last twenty.
create function events.with_failure(p_history jsonb, p_failure jsonb) returns jsonb
language sql immutable as $$
  select jsonb_path_query_array(p_history || jsonb_build_array(p_failure), '$[last-19 to last]')
$$;
