-- restore.sh says so of an older dump before it gets here.
alter table participation.epoch add column if not exists origin text;
comment on column participation.epoch.origin is 'For which database of which server the epoch was made, as system identifier and oid; null until it is first served. Elsewhere it is a copy.';
-- Nobody read it, a restored copy of it meant nothing, and every batch of entries kept its index.
drop index participation.log_tx;
alter table participation.log drop column tx;
