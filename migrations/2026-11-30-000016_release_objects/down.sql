drop table events.compositions;
drop trigger images_release_objects on events.images;
drop function events.release_objects_v1();
drop table events.object_deletions;
drop index events.images_background;
drop index events.images_superseded;
alter table events.images drop column superseded_at, drop column published;
