create schema analytics;
comment on schema analytics is 'What channels report.';

create table analytics.channel_stats (
  event_id    uuid        not null references events.events (id) on delete cascade,
  channel     text        not null,
  impressions bigint      check (impressions >= 0),
  clicks      bigint      check (clicks >= 0),
  stale       boolean     not null default false,
  as_of       timestamptz,
  tried_at    timestamptz not null default now(),
  primary key (event_id, channel)
);
comment on table  analytics.channel_stats is 'The newest figures of each channel of an event.';
comment on column analytics.channel_stats.event_id is 'Of which event.';
comment on column analytics.channel_stats.channel is 'Which channel.';
comment on column analytics.channel_stats.impressions is 'Exposures or views so far; null where not measured.';
comment on column analytics.channel_stats.clicks is 'Clicks so far; null where not measured.';
comment on column analytics.channel_stats.stale is 'The last attempt failed: these are older figures.';
comment on column analytics.channel_stats.as_of is 'When the channel answered.';
comment on column analytics.channel_stats.tried_at is 'When it was last asked.';

create table analytics.link_hits (
  event_id uuid   not null references events.events (id) on delete cascade,
  source   text   not null,
  hits     bigint not null default 0 check (hits >= 0),
  primary key (event_id, source)
);
comment on table  analytics.link_hits is 'Visits of our own link, per source.';
comment on column analytics.link_hits.event_id is 'Of which event.';
comment on column analytics.link_hits.source is 'The c of the link.';
comment on column analytics.link_hits.hits is 'Visits so far.';
