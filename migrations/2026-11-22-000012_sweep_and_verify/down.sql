drop index identity.stores_unverified;
drop index identity.sessions_expiry;
