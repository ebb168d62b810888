create schema events;
comment on schema events is 'Events, their history, pictures, jobs and publishing.';

create table events.events (
  id              uuid        primary key,
  slug            text        not null constraint events_slug_taken unique check (slug ~ '^[a-z2-7]{16}$'),
  owner_id        uuid        not null references identity.users (id),
  store_id        uuid        not null references identity.stores (id),
  objective       text        not null check (objective in ('NEW_CUSTOMERS', 'REVISIT', 'SALES', 'AWARENESS')),
  title           text        check (length(title) between 1 and 60),
  title_search    text,
  status          text        not null check (status in ('draft', 'planned', 'ready', 'scheduled', 'live', 'paused',
                                                         'closed', 'drawn', 'settled', 'cancelled', 'purged')),
  revision        bigint      not null check (revision >= 1),
  starts_at       timestamptz,
  ends_at         timestamptz,
  option          jsonb,
  visit_weight    smallint    check (visit_weight between 2 and 10),
  content         jsonb       not null default '[]',
  channels        text[]      not null default '{}',
  distribution_id uuid,
  commitment      bytea       check (octet_length(commitment) = 32),
  seed_sealed     bytea,
  root            bytea       check (octet_length(root) = 32),
  root_entries    bigint      check (root_entries >= 0),
  closed_at       timestamptz,
  created_at      timestamptz not null default now(),
  constraint events_period check (ends_at > starts_at),
  constraint events_planned_is_whole check (status in ('draft', 'cancelled', 'purged')
    or (title is not null and option is not null)),
  constraint events_approved_is_whole check (status not in ('scheduled', 'live', 'paused', 'closed', 'drawn', 'settled')
    or (starts_at is not null and ends_at is not null and commitment is not null and seed_sealed is not null
        and distribution_id is not null and cardinality(channels) > 0)),
  constraint events_drawn_has_root check (status not in ('drawn', 'settled') or root is not null),
  constraint events_root_is_whole check ((root is null) = (root_entries is null)),
  constraint events_closed_has_time check (status not in ('closed', 'drawn', 'settled') or closed_at is not null)
);
create index events_of_owner on events.events (owner_id, id desc);
create index events_of_store on events.events (store_id);
create index events_due on events.events (status, starts_at, ends_at) where status in ('scheduled', 'live', 'paused', 'closed');
comment on table  events.events is 'One row per event: the fold of its facts, written with a compare-and-set on revision.';
comment on column events.events.id is 'UUIDv7.';
comment on column events.events.slug is 'Name in links: 80 random bits in base32.';
comment on column events.events.owner_id is 'Whose.';
comment on column events.events.store_id is 'For which shop.';
comment on column events.events.objective is 'What it is for.';
comment on column events.events.title is 'From the plan on.';
comment on column events.events.title_search is 'Title in NFC and lower case, for the search.';
comment on column events.events.status is 'Place in the life cycle; the table of transitions is in the crate domain.';
comment on column events.events.revision is 'Number of the newest fact: version and ETag.';
comment on column events.events.starts_at is 'When it opens.';
comment on column events.events.ends_at is 'When it closes.';
comment on column events.events.option is 'The option chosen, as it was then.';
comment on column events.events.visit_weight is 'Weight in the draw of an entry made in the shop.';
comment on column events.events.content is 'Chosen pictures: [{image, version}], version pinned by approval.';
comment on column events.events.channels is 'Chosen channels.';
comment on column events.events.distribution_id is 'The publishing started by approval.';
comment on column events.events.commitment is 'SHA-256 of the draw''s seed, public from approval.';
comment on column events.events.seed_sealed is 'AES-256-GCM envelope of the seed; revealed by the draw.';
comment on column events.events.root is 'The draw''s root, once closed.';
comment on column events.events.root_entries is 'Numbers under the root.';
comment on column events.events.closed_at is 'When the gate was shut.';
comment on column events.events.created_at is 'When it was made.';

create table events.facts (
  event_id uuid        not null references events.events (id) on delete cascade,
  revision bigint      not null check (revision >= 1),
  kind     text        not null,
  data     jsonb       not null,
  who      text        not null,
  at       timestamptz not null default clock_timestamp(),
  primary key (event_id, revision)
);
comment on table  events.facts is 'The history of each event; append-only.';
comment on column events.facts.event_id is 'Which event.';
comment on column events.facts.revision is '1, 2, 3 … without holes.';
comment on column events.facts.kind is 'What happened.';
comment on column events.facts.data is 'Its details.';
comment on column events.facts.who is 'owner:<id> or system.';
comment on column events.facts.at is 'When it became durable.';

create table events.prizes (
  event_id       uuid     not null references events.events (id) on delete cascade,
  rank           smallint not null check (rank between 1 and 20),
  name           text     not null check (length(name) between 1 and 60),
  quantity       int      not null check (quantity between 1 and 1000),
  unit_value_won bigint   not null check (unit_value_won between 0 and 100000000),
  primary key (event_id, rank)
);
comment on table  events.prizes is 'What can be won, best first.';
comment on column events.prizes.event_id is 'Which event.';
comment on column events.prizes.rank is '1 is the best.';
comment on column events.prizes.name is 'What it is.';
comment on column events.prizes.quantity is 'How many.';
comment on column events.prizes.unit_value_won is 'What one costs, in won.';

create table events.offers (
  id             uuid        primary key,
  event_id       uuid        references events.events (id) on delete cascade,
  key            text        not null,
  prompt_version text        not null,
  source         text        not null check (source in ('model', 'last-good', 'template')),
  proposal       jsonb       not null,
  as_of          timestamptz not null,
  created_at     timestamptz not null default now()
);
create index offers_of_event on events.offers (event_id, created_at desc) where event_id is not null;
create index offers_last_good on events.offers (key, created_at desc) where source = 'model';
comment on table  events.offers is 'Recommendations: three options and the trends behind them.';
comment on column events.offers.id is 'UUIDv7.';
comment on column events.offers.event_id is 'For which event, if for one.';
comment on column events.offers.key is 'industry:region:objective:season:prompt version.';
comment on column events.offers.prompt_version is 'Version of the prompt.';
comment on column events.offers.source is 'The model, its last good answer for this key, or a built-in template.';
comment on column events.offers.proposal is '{options, trends}.';
comment on column events.offers.as_of is 'When the model said so.';
comment on column events.offers.created_at is 'When it was stored.';

create table events.images (
  id          uuid        not null,
  version     int         not null check (version >= 1),
  event_id    uuid        not null references events.events (id) on delete cascade,
  style       text        not null check (style in ('SIMPLE', 'VIVID', 'TRENDY')),
  platform    text        not null check (platform in ('INSTAGRAM', 'NAVER', 'KAKAO')),
  name        text        not null constraint images_name_taken unique,
  width       int         not null check (width between 16 and 4096),
  height      int         not null check (height between 16 and 4096),
  headline    text        not null,
  body        text        not null,
  palette     text        not null,
  alt_text    text        not null,
  background  text,
  created_at  timestamptz not null default now(),
  primary key (id, version)
);
create index images_of_event on events.images (event_id, id, version desc);
comment on table  events.images is 'Composed pictures; an edit adds a version.';
comment on column events.images.id is 'UUIDv7, the same for all versions.';
comment on column events.images.version is '1, 2, 3 …';
comment on column events.images.event_id is 'For which event.';
comment on column events.images.style is 'Style.';
comment on column events.images.platform is 'Format.';
comment on column events.images.name is 'Unguessable name of the object and of its public URL, with extension.';
comment on column events.images.width is 'In pixels.';
comment on column events.images.height is 'In pixels.';
comment on column events.images.headline is 'Big text.';
comment on column events.images.body is 'Small text.';
comment on column events.images.palette is 'Palette of the composer.';
comment on column events.images.alt_text is 'For those who do not see it.';
comment on column events.images.background is 'Name of the background object; null for the built-in one.';
comment on column events.images.created_at is 'When it was composed.';

create table events.jobs (
  id         uuid        primary key,
  kind       text        not null check (kind in ('recommendation', 'images', 'distribution', 'recall', 'verification', 'statistics')),
  key        text        not null,
  status     text        not null check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'dead')),
  priority   smallint    not null,
  owner_id   uuid        references identity.users (id),
  event_id   uuid        references events.events (id) on delete cascade,
  input      jsonb       not null,
  progress   smallint    not null default 0 check (progress between 0 and 100),
  stage      text        not null default 'queued',
  result     jsonb,
  error      jsonb,
  fallback   jsonb,
  attempts   int         not null default 0 check (attempts >= 0),
  max_attempts int       not null check (max_attempts >= 1),
  run_at     timestamptz not null default now(),
  lease_until timestamptz,
  epoch      bigint      not null default 0,
  version    bigint      not null default 1 check (version >= 1),
  created_at timestamptz not null default now(),
  ended_at   timestamptz,
  constraint jobs_running_has_lease check ((status = 'running') = (lease_until is not null)),
  constraint jobs_over_has_time check ((status in ('succeeded', 'failed', 'cancelled', 'dead')) = (ended_at is not null)),
  constraint jobs_succeeded_has_result check (status <> 'succeeded' or result is not null)
);
create unique index jobs_one_active_per_key on events.jobs (key) where status in ('queued', 'running');
create index jobs_due on events.jobs (priority, run_at) where status in ('queued', 'running');
create index jobs_dead on events.jobs (ended_at desc) where status = 'dead';
create index jobs_of_event on events.jobs (event_id) where event_id is not null;
comment on table  events.jobs is 'Background work: rows are the truth, casts only wake.';
comment on column events.jobs.id is 'UUIDv7.';
comment on column events.jobs.kind is 'What it does.';
comment on column events.jobs.key is 'At most one active job per key: the same request gets the same job.';
comment on column events.jobs.status is 'Where it is.';
comment on column events.jobs.priority is 'Lower runs first.';
comment on column events.jobs.owner_id is 'Who waits for it; null for the system.';
comment on column events.jobs.event_id is 'For which event, if for one.';
comment on column events.jobs.input is 'What it was asked.';
comment on column events.jobs.progress is 'Per cent.';
comment on column events.jobs.stage is 'What it is doing.';
comment on column events.jobs.result is 'What came of it.';
comment on column events.jobs.error is 'Why it did not: {code, messageKo, messageEn}.';
comment on column events.jobs.fallback is 'What stood in: {reason, asOf}.';
comment on column events.jobs.attempts is 'Runs begun.';
comment on column events.jobs.max_attempts is 'Runs before it is dead.';
comment on column events.jobs.run_at is 'Not before.';
comment on column events.jobs.lease_until is 'Held by a runner until then, by the database''s clock.';
comment on column events.jobs.epoch is 'Fence: rises with every claim; a stale runner''s writes match no row.';
comment on column events.jobs.version is 'Offset of the topic job:<id> and ETag.';
comment on column events.jobs.created_at is 'When it was asked for.';
comment on column events.jobs.ended_at is 'When it was over.';

create table events.distributions (
  id         uuid        primary key,
  event_id   uuid        not null constraint distributions_one_per_event unique references events.events (id) on delete cascade,
  owner_id   uuid        not null references identity.users (id),
  recalling  boolean     not null default false,
  version    bigint      not null default 1 check (version >= 1),
  created_at timestamptz not null default now(),
  ended_at   timestamptz
);
alter table events.events add constraint events_distribution foreign key (distribution_id)
  references events.distributions (id) deferrable initially deferred;
comment on table  events.distributions is 'The publishing of an event; started by approval, never twice.';
comment on column events.distributions.id is 'UUIDv7.';
comment on column events.distributions.event_id is 'Which event.';
comment on column events.distributions.owner_id is 'Whose.';
comment on column events.distributions.recalling is 'The event was called off: what was published is taken back.';
comment on column events.distributions.version is 'Offset of the topic distribution:<id> and ETag.';
comment on column events.distributions.created_at is 'When it began.';
comment on column events.distributions.ended_at is 'When no channel was being worked on any more.';

create table events.publications (
  distribution_id uuid        not null references events.distributions (id) on delete cascade,
  channel         text        not null check (channel in ('WOORI_TV', 'RINGO_BIZ', 'GENIE_TV', 'INSTAGRAM', 'NAVER', 'KAKAO')),
  mode            text        not null check (mode in ('LIVE', 'SANDBOX', 'ASSISTED', 'OFF')),
  status          text        not null check (status in ('queued', 'publishing', 'retrying', 'awaiting-review', 'published',
                                                         'assisted', 'skipped', 'unknown', 'failed', 'recalled')),
  request_key     uuid        not null,
  calls           int         not null default 0 check (calls >= 0),
  attempts        int         not null default 0 check (attempts >= 0),
  external_id     text,
  url             text,
  error           jsonb,
  remote          jsonb       not null default '{}',
  next_at         timestamptz,
  updated_at      timestamptz not null default now(),
  primary key (distribution_id, channel),
  constraint publications_published_is_known check (status <> 'published' or external_id is not null)
);
create index publications_pending on events.publications (next_at) where status in ('queued', 'publishing', 'retrying', 'awaiting-review');
comment on table  events.publications is 'One channel of a distribution. The intent is recorded before the call.';
comment on column events.publications.distribution_id is 'Of which distribution.';
comment on column events.publications.channel is 'Which channel.';
comment on column events.publications.mode is 'Mode of the channel when it was published: a simulated success is never shown as a real one.';
comment on column events.publications.status is 'Where it is.';
comment on column events.publications.request_key is 'Idempotency key sent to the channel, the same for every attempt.';
comment on column events.publications.calls is 'Calls since the owner last asked for it.';
comment on column events.publications.attempts is 'Calls in all.';
comment on column events.publications.external_id is 'What the channel calls it.';
comment on column events.publications.url is 'Where it can be seen, or the prepared link.';
comment on column events.publications.error is 'The last failure: {class, messageKo, messageEn}.';
comment on column events.publications.remote is 'What the client must remember between calls: container, previous tone, prepared text.';
comment on column events.publications.next_at is 'When it is looked at again.';
comment on column events.publications.updated_at is 'The last change.';

create table events.notices (
  id         uuid        primary key,
  owner_id   uuid        not null references identity.users (id),
  seq        bigint      not null check (seq >= 1),
  kind       text        not null,
  level      text        not null check (level in ('info', 'warning', 'critical')),
  message_ko text        not null,
  message_en text        not null,
  data       jsonb       not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  read_at    timestamptz,
  constraint notices_in_order unique (owner_id, seq)
);
comment on table  events.notices is 'What an owner should know, kept until read.';
comment on column events.notices.id is 'UUIDv7.';
comment on column events.notices.owner_id is 'For whom.';
comment on column events.notices.seq is 'Offset of the topic owner:<id>.';
comment on column events.notices.kind is 'Stable code.';
comment on column events.notices.level is 'How much it matters.';
comment on column events.notices.message_ko is 'In Korean.';
comment on column events.notices.message_en is 'In English.';
comment on column events.notices.data is 'Ids it is about.';
comment on column events.notices.created_at is 'When.';
comment on column events.notices.read_at is 'When the owner read it.';

create table events.upstream_calls (
  id             bigint      generated always as identity primary key,
  at             timestamptz not null default now(),
  store_id       uuid        references identity.stores (id),
  upstream       text        not null,
  purpose        text        not null,
  prompt_version text,
  tokens_in      bigint      not null default 0 check (tokens_in >= 0),
  tokens_out     bigint      not null default 0 check (tokens_out >= 0),
  cost_won       numeric(12, 2) not null default 0 check (cost_won >= 0),
  succeeded      boolean     not null
);
create index upstream_calls_quota on events.upstream_calls (store_id, at);
comment on table  events.upstream_calls is 'Paid calls: tokens and won of each.';
comment on column events.upstream_calls.id is 'Order of writing.';
comment on column events.upstream_calls.at is 'When.';
comment on column events.upstream_calls.store_id is 'For which shop, if for one.';
comment on column events.upstream_calls.upstream is 'Which upstream.';
comment on column events.upstream_calls.purpose is 'recommendation or images.';
comment on column events.upstream_calls.prompt_version is 'Version of the prompt.';
comment on column events.upstream_calls.tokens_in is 'Tokens sent.';
comment on column events.upstream_calls.tokens_out is 'Tokens received.';
comment on column events.upstream_calls.cost_won is 'What it cost, in won, at the prices of the crate clients.';
comment on column events.upstream_calls.succeeded is 'Whether its answer was usable.';
