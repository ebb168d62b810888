-- Versions of pictures that nothing shows any more go, and the files of rows that went, a bounded number at a time.
alter table events.images
  add column published     boolean not null default false,
  add column superseded_at timestamptz;
-- What was approved before this may be shown in any of its versions: all of them stay.
update events.images i set published = true from events.events e where e.id = i.event_id and e.distribution_id is not null;
update events.images i set superseded_at = now() where exists (select 1 from events.images n where n.id = i.id and n.version > i.version);
create index images_superseded on events.images (superseded_at) where superseded_at is not null and not published;
-- A copy of an event shows the files of its pictures, which stay while one of both does.
alter table events.images drop constraint images_name_taken;
create index images_name on events.images (name);
create index images_background on events.images (background) where background is not null;
comment on column events.images.published is 'A publication shows this version: it stays.';
comment on column events.images.superseded_at is 'When a newer version was stored; null for the newest.';

create table events.object_deletions (
  name   text        primary key,
  due_at timestamptz not null
);
create index object_deletions_due on events.object_deletions (due_at);
comment on table  events.object_deletions is 'Files to delete unless a picture uses them: of rows that went, and of files whose row was not stored yet.';
comment on column events.object_deletions.name is 'Name of the object.';
comment on column events.object_deletions.due_at is 'Not before.';

-- However a row goes, with its event too, its file and its background follow one day later. A backup takes less: each file
-- that its dump names is there when the files are packed. A copy of an event that read the row before is stored by then.
create function events.release_objects_v1() returns trigger language plpgsql as $$
begin
  insert into events.object_deletions (name, due_at)
  select o.name, clock_timestamp() + interval '1 day' from (select old.name union select old.background) o (name) where o.name is not null
  on conflict (name) do update set due_at = excluded.due_at;
  return null;
end
$$;
create trigger images_release_objects after delete on events.images
  for each row execute function events.release_objects_v1();

create table events.compositions (
  owner_id uuid not null references identity.users (id),
  budget   text not null check (budget in ('edits', 'looks')),
  day      date not null,
  spent    int  not null check (spent >= 0),
  primary key (owner_id, budget)
);
comment on table  events.compositions is 'How much of its daily budgets of compositions an account has spent.';
comment on column events.compositions.owner_id is 'Whose.';
comment on column events.compositions.budget is 'edits of pictures, or looks at pictures that are behind their plan.';
comment on column events.compositions.day is 'The Korean day that is counted.';
comment on column events.compositions.spent is 'Compositions on that day.';
