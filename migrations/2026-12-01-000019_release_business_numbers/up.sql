-- An account that is rejected must not keep the number's true owner out: it gives the number way, and keeps its row.
alter table identity.users add column business_released_at timestamptz;
comment on column identity.users.business_released_at is 'When another account took the business number over; null while this account holds it.';
alter table identity.users drop constraint users_business_taken;
create unique index users_business_taken on identity.users (business_index) where business_released_at is null;
create index users_of_business on identity.users (business_index);
comment on column identity.users.business_index is 'HMAC-SHA-256 of the business number: one account holds it at a time.';
