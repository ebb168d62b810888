-- Logins that are over are removed: housekeeping looks for them every five minutes.
create index sessions_expiry on identity.sessions (expires_at);
-- What an operator looks through: shops that the tax service did not vouch for.
create index stores_unverified on identity.stores (id) where verification <> 'VERIFIED' and deleted_at is null;
comment on column identity.stores.verification is 'VERIFIED, PENDING (the tax service is asked again by itself) or REJECTED: its result, or an operator''s from documents.';
comment on column identity.stores.verified_at is 'When the tax service or an operator confirmed.';
