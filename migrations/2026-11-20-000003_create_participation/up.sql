create schema participation;
comment on schema participation is 'Entries, their log, and draws.';

create table participation.epoch (
  one   boolean primary key default true check (one),
  epoch text    not null default replace(gen_random_uuid()::text, '-', '')
);
insert into participation.epoch default values;
comment on table  participation.epoch is 'One row: the life of this database. Positions compare within one epoch only.';
comment on column participation.epoch.one is 'Always true.';
comment on column participation.epoch.epoch is 'Random; made anew by a restore.';

create table participation.heads (
  event_id  uuid        primary key references events.events (id) on delete cascade,
  store_id  uuid        not null,
  gate      smallint    not null default 0 check (gate in (0, 1, 2)),
  opens_at  timestamptz,
  closes_at timestamptz,
  constraint heads_open_has_period check (gate <> 1 or (opens_at is not null and closes_at > opens_at))
);
create index heads_of_store on participation.heads (store_id);
comment on table  participation.heads is 'One row per event: lock and gate. Entries lock it and never update it.';
comment on column participation.heads.event_id is 'Which event.';
comment on column participation.heads.store_id is 'Of which shop: returning customers are known per shop.';
comment on column participation.heads.gate is '0 not yet or paused, 1 open within its period, 2 shut for good.';
comment on column participation.heads.opens_at is 'Judged by the database''s clock.';
comment on column participation.heads.closes_at is 'Judged by the database''s clock.';

create table participation.log (
  event_id     uuid        not null,
  version      bigint      not null check (version >= 1),
  kind         smallint    not null check (kind between 1 and 4),
  last_no      bigint      not null check (last_no >= 0),
  void         bigint      not null default 0 check (void between 0 and last_no),
  added        int         not null,
  by_channel   bigint[]    not null check (cardinality(by_channel) = 8),
  hour         timestamptz not null,
  hour_entries bigint      not null,
  at           timestamptz not null,
  tx           xid8        not null default pg_current_xact_id(),
  primary key (event_id, version)
) partition by range (event_id);
create index log_tx on participation.log (tx);
comment on table  participation.log is 'One row per event and commit that changes what its dashboard shows: counter, statistics, offset and relay in one. Append-only.';
comment on column participation.log.event_id is 'Which event.';
comment on column participation.log.version is '1, 2, 3 … in commit order: the offset of the topics event:<id> and public:<slug>.';
comment on column participation.log.kind is '1 entries, 2 shut, 3 fact, 4 erasure.';
comment on column participation.log.last_no is 'Numbers given out so far.';
comment on column participation.log.void is 'Of these, erased before the close.';
comment on column participation.log.added is 'Entries of this commit.';
comment on column participation.log.by_channel is 'Entries so far per source 0 to 7, void ones left out.';
comment on column participation.log.hour is 'The hour of this row.';
comment on column participation.log.hour_entries is 'Numbers given out so far in this hour, void ones included.';
comment on column participation.log.at is 'When, under the lock.';
comment on column participation.log.tx is 'Which transaction: for readers of all events, never an order within one.';

create table participation.entries (
  event_id    uuid        not null,
  entry_no    bigint      not null check (entry_no >= 1),
  version     bigint      not null,
  id          uuid        not null,
  phone_index bytea       not null check (octet_length(phone_index) = 16),
  receipt     bytea       not null check (octet_length(receipt) = 32),
  request_key bytea       check (octet_length(request_key) = 16),
  channel     smallint    not null check (channel between 0 and 7),
  weight      smallint    not null check (weight between 1 and 10),
  flags       smallint    not null default 0,
  notice      bytea       not null check (octet_length(notice) = 32),
  sealed      bytea       not null,
  entered_at  timestamptz not null,
  voided_at   timestamptz,
  erased_at   timestamptz,
  primary key (event_id, entry_no),
  constraint entries_one_per_phone unique (event_id, phone_index),
  constraint entries_void_is_erased check (voided_at is null or erased_at is not null),
  constraint entries_erased_is_empty check (erased_at is null or octet_length(sealed) = 0)
) partition by range (event_id);
create index entries_receipt on participation.entries (receipt);
create index entries_void on participation.entries (event_id) where voided_at is not null;
comment on table  participation.entries is 'Entries, in commit order by number.';
comment on column participation.entries.event_id is 'Which event; UUIDv7, so that ranges of it are ranges of time.';
comment on column participation.entries.entry_no is '1, 2, 3 … without holes.';
comment on column participation.entries.version is 'The log row that made it visible.';
comment on column participation.entries.id is 'Its id; the receipt is an HMAC of it.';
comment on column participation.entries.phone_index is 'Keyed HMAC of the phone, one per event; random after erasure.';
comment on column participation.entries.receipt is 'SHA-256 of the receipt.';
comment on column participation.entries.request_key is 'Keyed hash of the Idempotency-Key.';
comment on column participation.entries.channel is 'Where from, 0 to 7.';
comment on column participation.entries.weight is 'Tickets in the draw.';
comment on column participation.entries.flags is '1 marketing, 2 night, 4 visited the shop.';
comment on column participation.entries.notice is 'Hash of the notice that was shown.';
comment on column participation.entries.sealed is 'AES-256-GCM envelope of name and phone; empty after erasure.';
comment on column participation.entries.entered_at is 'When, under the lock.';
comment on column participation.entries.voided_at is 'Erased before the close: out of count and draw.';
comment on column participation.entries.erased_at is 'When name and phone were destroyed.';

-- Months of partitions, made standalone and attached (attaching locks the parent less than creating inside it).
create function participation.ensure_partitions_v1(p_from date, p_months int) returns int language plpgsql as $$
declare v_month date; v_lo text; v_hi text; v_made int := 0; v_name text; v_table text;
begin
  for i in 0..p_months - 1 loop
    v_month := (date_trunc('month', p_from) + make_interval(months => i))::date;
    v_lo := participation.month_bound_v1(v_month);
    v_hi := participation.month_bound_v1((v_month + interval '1 month')::date);
    foreach v_table in array array['entries', 'log'] loop
      v_name := format('%s_%s', v_table, to_char(v_month, 'YYYY_MM'));
      if to_regclass('participation.' || v_name) is null then
        execute format('create table participation.%I (like participation.%I including defaults including constraints)', v_name, v_table);
        execute format('alter table participation.%I attach partition participation.%I for values from (%L) to (%L)', v_table, v_name, v_lo, v_hi);
        execute format('comment on table participation.%I is %L', v_name, 'Partition of one month.');
        v_made := v_made + 1;
      end if;
    end loop;
  end loop;
  return v_made;
end $$;
create function participation.month_bound_v1(p_month date) returns text language sql immutable as $$
  select substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-0000-0000-000000000000'
    from (select lpad(to_hex((extract(epoch from p_month::timestamp) * 1000)::bigint), 12, '0') as h) x
$$;

-- Verdicts: 1 stored now, 2 stored before by this very request (answer the first receipt), 3 duplicate,
--           4 shut or ended, 5 not yet open or paused, 6 no such event, 7 busy (nothing stored; goes into the next batch).
create function participation.enter_batch_v1(
  p_event uuid[], p_id uuid[], p_phone bytea[], p_receipt bytea[], p_request bytea[], p_channel smallint[],
  p_weight smallint[], p_flags smallint[], p_notice bytea[], p_sealed bytea[], p_skip_locked boolean)
returns table (ord bigint, verdict smallint, entry_no bigint, id uuid, entered_at timestamptz, version bigint,
               last_no bigint, by_channel bigint[], hour timestamptz, hour_entries bigint)
language plpgsql volatile
set lock_timeout = '150ms' set enable_seqscan = off set jit = off
as $$
#variable_conflict use_column
declare v_locked uuid[]; v_now timestamptz; v_hour timestamptz;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'enter_batch_v1 needs READ COMMITTED: statement 2 must see what earlier holders of the lock committed';
  end if;
  -- Statement 1: lock the heads, in id order. A statement of its own, because the snapshot of statement 2
  -- must be taken after the locks are held: only then does it see what the previous holders committed.
  if p_skip_locked then
    v_locked := array(select h.event_id from participation.heads h where h.event_id = any (p_event)
                      order by h.event_id for no key update skip locked);
  else
    v_locked := array(select h.event_id from participation.heads h where h.event_id = any (p_event)
                      order by h.event_id for no key update);
  end if;
  v_now := clock_timestamp();                                 -- after the lock: time and number rise together
  v_hour := date_trunc('hour', v_now, 'UTC');
  -- Statement 2: judge, number, store, count, log.
  return query
  with last as (
    select u.event_id, x.version, x.last_no, x.void, x.by_channel, x.hour, x.hour_entries
      from unnest(v_locked) u(event_id)
      left join lateral (select l.version, l.last_no, l.void, l.by_channel, l.hour, l.hour_entries from participation.log l
                          where l.event_id = u.event_id order by l.version desc limit 1) x on true
  ), judged as (
    select t.ord, t.event_id, t.id, t.phone_index, t.receipt, t.request_key, t.channel, t.weight, t.flags, t.notice, t.sealed,
           coalesce(l.version, 0) as head_version, coalesce(l.last_no, 0) as last_no, coalesce(l.void, 0) as void,
           coalesce(l.by_channel, array[0,0,0,0,0,0,0,0]::bigint[]) as by_channel,
           case when l.hour = v_hour then l.hour_entries else 0 end as hour_entries,
           e.entry_no as old_no, e.id as old_id, e.entered_at as old_at, e.version as old_version,
           (case when e.entry_no is not null then
                      case when e.id = t.id or e.request_key = t.request_key then 2 else 3 end
                 when h.event_id is null         then 6
                 when l.event_id is null         then 7
                 when h.gate = 0                 then 5
                 when h.gate = 2                 then 4
                 when v_now <  h.opens_at        then 5
                 when v_now >= h.closes_at       then 4
                 when row_number() over same > 1 then
                      case when t.request_key = first_value(t.request_key) over same then 2 else 3 end
                 else 1 end)::smallint as verdict
      from unnest(p_event, p_id, p_phone, p_receipt, p_request, p_channel, p_weight, p_flags, p_notice, p_sealed)
           with ordinality as t(event_id, id, phone_index, receipt, request_key, channel, weight, flags, notice, sealed, ord)
      left join participation.heads h on h.event_id = t.event_id
      left join last l on l.event_id = t.event_id
      left join lateral (select x.entry_no, x.id, x.request_key, x.entered_at, x.version              -- LATERAL … LIMIT 1:
                           from participation.entries x                                            -- always the unique index,
                          where x.event_id = t.event_id and x.phone_index = t.phone_index limit 1  -- never a hash join over the table
                        ) e on true
    window same as (partition by t.event_id, t.phone_index order by t.ord)
  ), numbered as (
    select j.*, case when j.verdict = 1 then j.last_no
                + count(*) filter (where j.verdict = 1) over (partition by j.event_id order by j.ord) end as no
      from judged j
  ), stored as (
    insert into participation.entries (event_id, entry_no, version, id, phone_index, receipt, request_key, channel, weight,
                                       flags, notice, sealed, entered_at)
    select n.event_id, n.no, n.head_version + 1, n.id, n.phone_index, n.receipt, n.request_key, n.channel, n.weight,
           n.flags, n.notice, n.sealed, v_now
      from numbered n where n.verdict = 1
  ), logged as (
    insert into participation.log as g (event_id, version, kind, last_no, void, added, by_channel, hour, hour_entries, at)
    select n.event_id, n.head_version + 1, 1, max(n.no), n.void, count(*)::int,
           array[n.by_channel[1] + count(*) filter (where n.channel = 0), n.by_channel[2] + count(*) filter (where n.channel = 1),
                 n.by_channel[3] + count(*) filter (where n.channel = 2), n.by_channel[4] + count(*) filter (where n.channel = 3),
                 n.by_channel[5] + count(*) filter (where n.channel = 4), n.by_channel[6] + count(*) filter (where n.channel = 5),
                 n.by_channel[7] + count(*) filter (where n.channel = 6), n.by_channel[8] + count(*) filter (where n.channel = 7)],
           v_hour, n.hour_entries + count(*), v_now
      from numbered n where n.verdict = 1
     group by n.event_id, n.head_version, n.void, n.by_channel, n.hour_entries
    returning g.event_id, g.version, g.last_no, g.by_channel, g.hour, g.hour_entries
  )
  select n.ord, n.verdict,
         coalesce(n.old_no, first_value(n.no) over same), coalesce(n.old_id, first_value(n.id) over same),
         coalesce(n.old_at, v_now), coalesce(n.old_version, n.head_version + 1),
         g.last_no, g.by_channel, g.hour, g.hour_entries
    from numbered n left join logged g on g.event_id = n.event_id and n.verdict = 1
   window same as (partition by n.event_id, n.phone_index order by n.ord);
end $$;

-- A row of the log that repeats the totals: a fact, a shut gate, an erasure. Holds the head's lock to the end.
create function participation.log_fact_v1(p_event uuid, p_kind smallint) returns bigint
language plpgsql volatile set enable_seqscan = off as $$
declare v_version bigint;
begin
  perform 1 from participation.heads h where h.event_id = p_event for no key update;
  if not found then return null; end if;
  insert into participation.log as l (event_id, version, kind, last_no, void, added, by_channel, hour, hour_entries, at)
  select p_event, coalesce(x.version, 0) + 1, p_kind, coalesce(x.last_no, 0), coalesce(x.void, 0), 0,
         coalesce(x.by_channel, array[0,0,0,0,0,0,0,0]::bigint[]),
         coalesce(x.hour, date_trunc('hour', clock_timestamp(), 'UTC')), coalesce(x.hour_entries, 0), clock_timestamp()
    from (select 1) one
    left join lateral (select y.* from participation.log y where y.event_id = p_event order by y.version desc limit 1) x on true
  returning l.version into v_version;
  return v_version;
end $$;

-- Shutting the gate: the same lock. What it returns is final, for every later batch sees the shut gate.
create function participation.shut_gate_v1(p_event uuid) returns table (entries bigint, version bigint)
language plpgsql volatile set enable_seqscan = off as $$
#variable_conflict use_column
declare v_version bigint;
begin
  update participation.heads h set gate = 2 where h.event_id = p_event and h.gate <> 2;   -- waits for the batch in flight
  if not found then return; end if;
  v_version := participation.log_fact_v1(p_event, 2::smallint);                           -- new statement, new snapshot
  return query select l.last_no, l.version from participation.log l where l.event_id = p_event and l.version = v_version;
end $$;

-- Erasure: name, phone and index are blanked; before the close the entry leaves count and draw.
create function participation.erase_v1(p_event uuid, p_no bigint, p_random bytea) returns table (void boolean, version bigint, channel smallint, hour timestamptz)
language plpgsql volatile set enable_seqscan = off as $$
#variable_conflict use_column
declare v_gate smallint; v_version bigint; v_channel smallint; v_hour timestamptz;
begin
  select h.gate into v_gate from participation.heads h where h.event_id = p_event for no key update;
  update participation.entries e
     set sealed = ''::bytea, phone_index = p_random, request_key = null, erased_at = clock_timestamp(),
         voided_at = case when v_gate <> 2 then clock_timestamp() end
   where e.event_id = p_event and e.entry_no = p_no and e.erased_at is null
  returning e.channel, date_trunc('hour', e.entered_at, 'UTC') into v_channel, v_hour;
  if not found then return; end if;
  if v_gate = 2 then return query select false, null::bigint, v_channel, v_hour; return; end if;
  v_version := participation.log_fact_v1(p_event, 4::smallint);
  update participation.log l
     set void = l.void + 1, by_channel[v_channel + 1] = l.by_channel[v_channel + 1] - 1
   where l.event_id = p_event and l.version = v_version;
  return query select true, v_version, v_channel, v_hour;
end $$;

create table participation.draws (
  id          uuid        primary key,
  event_id    uuid        not null references events.events (id),
  round       int         not null check (round >= 1),
  alternates  int         not null check (alternates between 0 and 100),
  external    bytea       check (octet_length(external) = 32),
  seed        bytea       not null check (octet_length(seed) = 32),
  root        bytea       not null check (octet_length(root) = 32),
  merkle_root bytea       not null check (octet_length(merkle_root) = 32),
  entries     bigint      not null check (entries >= 0),
  visit_weight smallint   check (visit_weight between 2 and 10),
  who         text        not null,
  at          timestamptz not null default clock_timestamp(),
  constraint draws_once unique (event_id, round)
);
comment on table  participation.draws is 'Draws: one per event and round, ever.';
comment on column participation.draws.id is 'UUIDv7.';
comment on column participation.draws.event_id is 'Of which event.';
comment on column participation.draws.round is '1 for the first.';
comment on column participation.draws.alternates is 'How many were asked for.';
comment on column participation.draws.external is 'From the owner''s browser; null when none was sent.';
comment on column participation.draws.seed is 'Revealed by the draw.';
comment on column participation.draws.root is 'What the close committed to.';
comment on column participation.draws.merkle_root is 'The tree''s own root.';
comment on column participation.draws.entries is 'Numbers under the root.';
comment on column participation.draws.visit_weight is 'The bonus that was in the rules.';
comment on column participation.draws.who is 'Who asked for it.';
comment on column participation.draws.at is 'When.';

create table participation.winners (
  draw_id      uuid        not null references participation.draws (id),
  position     int         not null check (position >= 1),
  entry_no     bigint      not null check (entry_no >= 1),
  drawn_rank   int         check (drawn_rank >= 1),
  rank         int         check (rank >= 1),
  prize        text,
  forfeited_at timestamptz,
  primary key (draw_id, position),
  constraint winners_one_prize_each unique (draw_id, entry_no),
  constraint winners_one_per_rank unique (draw_id, rank),
  constraint winners_rank_has_prize check ((rank is null) = (prize is null)),
  constraint winners_forfeited_has_none check (forfeited_at is null or rank is null)
);
comment on table  participation.winners is 'Everyone drawn, in order: winners, then alternates.';
comment on column participation.winners.draw_id is 'By which draw.';
comment on column participation.winners.position is 'Place in the stream, from 1.';
comment on column participation.winners.entry_no is 'Which entry.';
comment on column participation.winners.drawn_rank is 'Rank when drawn; null for an alternate.';
comment on column participation.winners.rank is 'Rank held now; null for an alternate or one who forfeited.';
comment on column participation.winners.prize is 'Prize held now.';
comment on column participation.winners.forfeited_at is 'When it was given up.';
