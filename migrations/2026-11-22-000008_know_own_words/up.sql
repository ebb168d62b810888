-- Words of a picture that the owner wrote stay; the others follow the plan. Of older edits, and of pictures copied from
-- another event, nobody knows which they were: they stay.
alter table events.images
  add column own_headline boolean not null default false,
  add column own_body     boolean not null default false;
update events.images i set own_headline = true, own_body = true
 where i.version > 1 or exists (select 1 from events.facts f where f.event_id = i.event_id and f.kind = 'duplicated');
comment on column events.images.own_headline is 'The owner wrote the headline; otherwise it is the title of the event.';
comment on column events.images.own_body is 'The owner wrote the small text; otherwise it says shop, first prize and end.';
