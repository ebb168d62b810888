drop table events.compositions;
drop trigger images_release_objects on events.images;
drop function events.release_objects_v1();
drop table events.object_deletions;
drop index events.images_background;
-- A picture of a copy gets a name of its own; its file is missing then, as after a restore without pictures.
update events.images i set name = replace(gen_random_uuid()::text, '-', '') || substring(i.name from '\.[a-z]+$')
 where exists (select 1 from events.images o where o.name = i.name and (o.id, o.version) < (i.id, i.version));
drop index events.images_name;
alter table events.images add constraint images_name_taken unique (name);
drop index events.images_superseded;
alter table events.images drop column superseded_at, drop column published;
