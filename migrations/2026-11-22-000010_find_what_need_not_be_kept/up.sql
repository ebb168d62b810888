-- Ended events that still hold something personal: looked through every five minutes, and purged in the end.
create index events_over on events.events (id)
 where status in ('closed', 'drawn', 'settled', 'cancelled') and commitment is not null;
comment on column participation.entries.sealed is 'AES-256-GCM envelope of name and phone; empty after erasure, and once they need not be kept.';
comment on column participation.entries.phone_index is 'Keyed HMAC of the phone, one per event; random after erasure and purge.';
