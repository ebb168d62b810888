-- Words of a picture that the owner wrote stay; the others follow the plan. Of older edits nobody knows which they were.
alter table events.images
  add column own_headline boolean not null default false,
  add column own_body     boolean not null default false;
update events.images set own_headline = true, own_body = true where version > 1;
comment on column events.images.own_headline is 'The owner wrote the headline; otherwise it is the title of the event.';
comment on column events.images.own_body is 'The owner wrote the small text; otherwise it says shop, first prize and end.';
