-- Events that still hold something personal and were drawn or cancelled: looked through every five minutes, and purged in the end.
create index events_over on events.events (id)
 where status in ('drawn', 'settled', 'cancelled') and commitment is not null;
-- Destroyed once, whoever does it.
create unique index facts_destroyed_once on events.facts (event_id) where kind = 'destroyed';
comment on column participation.entries.flags is '1 marketing, 2 night, 4 visited the shop, 8 known from another event of the shop when purged.';
comment on column participation.entries.sealed is 'AES-256-GCM envelope of name and phone; empty after erasure, and once they need not be kept.';
comment on column participation.entries.phone_index is 'Keyed HMAC of the phone, one per event; random after erasure and purge.';
comment on column participation.entries.erased_at is 'When the index was destroyed, at the latest with it name and phone: asked for by receipt, or with the event.';
