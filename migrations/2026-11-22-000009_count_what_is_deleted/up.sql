-- What a shop asked for today counts, whatever becomes of the draft it was for.
alter table events.jobs
  drop constraint jobs_event_id_fkey,
  add constraint jobs_event_id_fkey foreign key (event_id) references events.events (id) on delete set null;
