-- When nobody can draw an event any more hung on a notice, which has a purpose of its own.
alter table events.events add column last_call_at timestamptz;
comment on column events.events.last_call_at is 'When the owner was told for the last time to draw: two weeks later nobody can. Null before.';
update events.events e set last_call_at = n.at
  from (select data ->> 'eventId' as event, min(created_at) as at from events.notices where kind = 'draw-last-call' group by 1) n
 where n.event = e.id::text;
