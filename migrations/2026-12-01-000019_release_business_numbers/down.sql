-- An account without its number gets an index that no number has: before, every account had one of its own.
update identity.users set business_index = sha256(business_index || uuid_send(id)) where business_released_at is not null;
drop index identity.users_of_business;
drop index identity.users_business_taken;
alter table identity.users add constraint users_business_taken unique (business_index);
comment on column identity.users.business_index is 'HMAC-SHA-256 of the business number: one account per business.';
alter table identity.users drop column business_released_at;
