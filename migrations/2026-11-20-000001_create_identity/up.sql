create schema identity;
comment on schema identity is 'Accounts, shops, logins and the gateway''s own records.';

create table identity.users (
  id              uuid        primary key,
  email_index     bytea       not null constraint users_email_taken unique check (octet_length(email_index) = 32),
  email_sealed    bytea       not null,
  name_sealed     bytea       not null,
  phone_sealed    bytea       not null,
  business_index  bytea       not null constraint users_business_taken unique check (octet_length(business_index) = 32),
  business_sealed bytea       not null,
  opened_on       date        not null,
  password_hash   text        not null check (password_hash ~ '^\$2[aby]\$'),
  notice_seq      bigint      not null default 0 check (notice_seq >= 0),
  version         bigint      not null default 1 check (version >= 1),
  created_at      timestamptz not null default now()
);
comment on table  identity.users is 'Owners. Everything personal is ciphertext; equality goes through keyed indexes.';
comment on column identity.users.id is 'UUIDv7.';
comment on column identity.users.email_index is 'HMAC-SHA-256 of the normalised e-mail: unique, and how a login finds its row.';
comment on column identity.users.email_sealed is 'AES-256-GCM envelope of the e-mail.';
comment on column identity.users.name_sealed is 'AES-256-GCM envelope of the name.';
comment on column identity.users.phone_sealed is 'AES-256-GCM envelope of the phone number.';
comment on column identity.users.business_index is 'HMAC-SHA-256 of the business number: one account per business.';
comment on column identity.users.business_sealed is 'AES-256-GCM envelope of the business number.';
comment on column identity.users.opened_on is 'Opening day of the business, as registered with the tax office.';
comment on column identity.users.password_hash is 'bcrypt, never truncated.';
comment on column identity.users.notice_seq is 'Number of the newest notice: offset of the topic owner:<id>, taken under this row''s lock.';
comment on column identity.users.version is 'ETag; rises with every edit.';
comment on column identity.users.created_at is 'Signup.';

create table identity.stores (
  id           uuid        primary key,
  user_id      uuid        not null references identity.users (id),
  name         text        not null check (length(name) between 1 and 60),
  industry     text        not null,
  region       text        not null,
  address      text        check (length(address) <= 200),
  verification text        not null check (verification in ('VERIFIED', 'PENDING', 'REJECTED')),
  mode         text        not null check (mode in ('LIVE', 'SANDBOX', 'ASSISTED', 'OFF')),
  verified_at  timestamptz,
  index_kid    text        not null,
  version      bigint      not null default 1 check (version >= 1),
  created_at   timestamptz not null default now(),
  deleted_at   timestamptz,
  constraint stores_verified_has_time check (verification <> 'VERIFIED' or verified_at is not null)
);
create index stores_of_user on identity.stores (user_id, id);
comment on table  identity.stores is 'Shops of an owner.';
comment on column identity.stores.id is 'UUIDv7.';
comment on column identity.stores.user_id is 'The owner.';
comment on column identity.stores.name is 'What customers see.';
comment on column identity.stores.industry is 'Code of the industry list.';
comment on column identity.stores.region is '시도 and 시군구, official form.';
comment on column identity.stores.address is 'Public address of the shop, optional.';
comment on column identity.stores.verification is 'Result of the tax service: VERIFIED, PENDING (asked again by itself), REJECTED.';
comment on column identity.stores.mode is 'Mode of the tax service when it last answered; a SANDBOX result is never shown as a real one.';
comment on column identity.stores.verified_at is 'When the tax service confirmed.';
comment on column identity.stores.index_kid is 'The blind-index key of this shop''s entries, pinned: rotating it would break uniqueness in live events.';
comment on column identity.stores.version is 'ETag; rises with every edit.';
comment on column identity.stores.created_at is 'When it was added.';
comment on column identity.stores.deleted_at is 'When the owner removed it.';

create table identity.sessions (
  id         uuid        primary key,
  user_id    uuid        not null references identity.users (id),
  generation int         not null default 1 check (generation >= 1),
  rotated_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  reason     text        check (reason in ('logout', 'reuse', 'password')),
  created_at timestamptz not null default now(),
  constraint sessions_revoked_has_reason check ((revoked_at is null) = (reason is null))
);
create index sessions_of_user on identity.sessions (user_id);
create index sessions_revoked on identity.sessions (revoked_at) where revoked_at is not null;
comment on table  identity.sessions is 'Logins. A refresh token is an HMAC over id and generation: nothing here forges one.';
comment on column identity.sessions.id is 'UUIDv7; the access token''s sid.';
comment on column identity.sessions.user_id is 'Whose.';
comment on column identity.sessions.generation is 'Which refresh token is the good one; raised by compare-and-set.';
comment on column identity.sessions.rotated_at is 'When it was last raised: for 30 s the one before gets the same answer.';
comment on column identity.sessions.expires_at is 'When a new login is needed.';
comment on column identity.sessions.revoked_at is 'When it ended early.';
comment on column identity.sessions.reason is 'Why it ended early.';
comment on column identity.sessions.created_at is 'The login.';

create table identity.tickets (
  hash       bytea       primary key check (octet_length(hash) = 32),
  user_id    uuid        not null references identity.users (id),
  session_id uuid        not null references identity.sessions (id),
  expires_at timestamptz not null
);
create index tickets_expiry on identity.tickets (expires_at);
comment on table  identity.tickets is 'Tickets for a socket: 30 s, used by deleting the row.';
comment on column identity.tickets.hash is 'SHA-256 of the ticket.';
comment on column identity.tickets.user_id is 'Whose.';
comment on column identity.tickets.session_id is 'The login whose life the socket shares.';
comment on column identity.tickets.expires_at is 'After this it opens nothing.';

create table identity.idempotency_keys (
  scope       bytea       primary key check (octet_length(scope) = 32),
  fingerprint bytea       not null check (octet_length(fingerprint) = 32),
  status      smallint    check (status between 200 and 499),
  sealed      bytea,
  claimed_at  timestamptz not null default now(),
  expires_at  timestamptz not null,
  constraint idempotency_answer_is_whole check ((status is null) = (sealed is null))
);
create index idempotency_expiry on identity.idempotency_keys (expires_at);
comment on table  identity.idempotency_keys is 'Answers kept for 24 h for requests that are repeated.';
comment on column identity.idempotency_keys.scope is 'HMAC of user, route and key.';
comment on column identity.idempotency_keys.fingerprint is 'HMAC of the body: another body under the same key is refused.';
comment on column identity.idempotency_keys.status is 'HTTP status of the answer; null while the first request runs.';
comment on column identity.idempotency_keys.sealed is 'AES-256-GCM envelope of headers and body.';
comment on column identity.idempotency_keys.claimed_at is 'When the first request began; a claim older than a minute is void.';
comment on column identity.idempotency_keys.expires_at is 'When it is forgotten.';

create table identity.audit (
  id     bigint      generated always as identity primary key,
  at     timestamptz not null default clock_timestamp(),
  who    text        not null,
  origin text        not null,
  action text        not null,
  object text        not null,
  detail jsonb       not null default '{}'
);
create index audit_at on identity.audit (at);
comment on table  identity.audit is 'Who did or saw what, when, from where and why. Append-only.';
comment on column identity.audit.id is 'Order of writing.';
comment on column identity.audit.at is 'When.';
comment on column identity.audit.who is 'owner:<id>, admin, or anonymous.';
comment on column identity.audit.origin is 'Address of the peer.';
comment on column identity.audit.action is 'login, login-failed, event-created, winners-drawn, participants-read, …';
comment on column identity.audit.object is 'What it was done to, as kind:id.';
comment on column identity.audit.detail is 'More, never personal data.';
create function identity.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only';
end $$;
create trigger audit_is_append_only before update or delete or truncate on identity.audit
  for each statement execute function identity.refuse_change();
