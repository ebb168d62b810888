-- Where an account logs in from: those addresses stay usable while strangers guess at it.
create table identity.known_addresses (
  user_id       uuid        not null references identity.users (id) on delete cascade,
  address_index bytea       not null check (octet_length(address_index) = 32),
  seen_at       timestamptz not null default now(),
  primary key (user_id, address_index)
);
create index known_addresses_age on identity.known_addresses (seen_at);
comment on table  identity.known_addresses is 'Addresses of good logins, kept for 30 days after the last one.';
comment on column identity.known_addresses.user_id is 'The account.';
comment on column identity.known_addresses.address_index is 'HMAC of the address (of IPv6: its /64): recognised, not readable.';
comment on column identity.known_addresses.seen_at is 'The last good login from it.';

-- Quotas are the business's, whatever its shops and accounts.
alter table events.jobs add column business_index bytea check (octet_length(business_index) = 32);
comment on column events.jobs.business_index is 'Blind index of the owner''s business number: what quotas count by. Null for the system''s jobs.';
update events.jobs j set business_index = u.business_index
  from identity.users u where u.id = j.owner_id and j.created_at > now() - interval '1 day';
create index jobs_of_business on events.jobs (business_index, kind, created_at) where business_index is not null;
drop index events.jobs_of_store;
