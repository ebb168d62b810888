alter table participation.epoch add column canary bytea;
comment on column participation.epoch.canary is 'AES-256-GCM envelope of a keyed hash of a fixed text: other keys do not open it, and the server refuses them; null until keys are first seen.';
