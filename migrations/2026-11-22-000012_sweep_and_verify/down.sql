comment on column identity.stores.verified_at is 'When the tax service confirmed.';
comment on column identity.stores.verification is 'Result of the tax service: VERIFIED, PENDING (asked again by itself), REJECTED.';
drop index identity.stores_unverified;
drop index identity.sessions_expiry;
