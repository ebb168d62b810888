-- Four bytes of a receipt find its entry, all of it is compared: the index is two fifths as large (26 and 69 MB of 800,000),
-- and of 18 us that a row takes to insert 3 are saved.
create index entries_receipt_start on participation.entries (substr(receipt, 1, 4));
drop index participation.entries_receipt;

-- The totals of an event (last_no and what follows) come with its last row that was stored, and with no other.
-- Verdicts: 1 stored now, 2 stored before by this very request (answer the first receipt), 3 duplicate,
--           4 shut or ended, 5 not yet open or paused, 6 no such event, 7 busy (nothing stored; goes into the next batch).
create or replace function participation.enter_batch_v1(
  p_event uuid[], p_id uuid[], p_phone bytea[], p_receipt bytea[], p_request bytea[], p_channel smallint[],
  p_weight smallint[], p_flags smallint[], p_notice bytea[], p_sealed bytea[], p_skip_locked boolean)
returns table (ord bigint, verdict smallint, entry_no bigint, id uuid, entered_at timestamptz, version bigint,
               last_no bigint, by_channel bigint[], hour timestamptz, hour_entries bigint)
language plpgsql volatile
set lock_timeout = '150ms' set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
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
    from numbered n left join logged g on g.event_id = n.event_id and g.last_no = n.no and n.verdict = 1
   window same as (partition by n.event_id, n.phone_index order by n.ord);
end $$;
