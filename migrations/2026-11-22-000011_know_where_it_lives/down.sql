alter table participation.log add column tx xid8 not null default pg_current_xact_id();
comment on column participation.log.tx is 'Which transaction: for readers of all events, never an order within one.';
create index log_tx on participation.log (tx);
alter table participation.epoch drop column origin;
