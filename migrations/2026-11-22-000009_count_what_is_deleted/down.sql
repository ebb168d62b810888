alter table events.jobs
  drop constraint jobs_event_id_fkey,
  add constraint jobs_event_id_fkey foreign key (event_id) references events.events (id) on delete cascade;
