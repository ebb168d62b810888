//! `participation.entries`: the one statement that stores a batch, and what reads it back.

use crate::crypto::Keyring;
use crate::error::{Result, corrupt};
use crate::sql::{sql, types as t};
use crate::store::{Conn, Store};
use diesel::QueryableByName;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel_async::RunQueryDsl;
use domain::channel::Source;
use domain::dashboard::Commit;
use domain::draw::Leaf;
use domain::entry::Verdict;
use domain::event::Gate;
use domain::ids::EventId;
use domain::time::Instant;
use uuid::Uuid;

/// Bits of `flags`.
pub mod flag {
    /// May be sent advertising.
    pub const MARKETING: i16 = 1;
    /// Also between 21:00 and 08:00.
    pub const NIGHT: i16 = 2;
    /// Entered in the shop.
    pub const VISITED: i16 = 4;
    /// Known from another event of the shop when its phone was destroyed: set and read by SQL only.
    pub const RETURNED: i16 = 8;
}

/// A row as the journal sends it, ready but for its number.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// Which event.
    pub event: EventId,
    /// Its id.
    pub id: Uuid,
    /// Blind index of the phone.
    pub phone_index: [u8; 16],
    /// SHA-256 of the receipt.
    pub receipt_hash: [u8; 32],
    /// Keyed hash of the idempotency key.
    pub request_key: Option<[u8; 16]>,
    /// Where from.
    pub source: Source,
    /// Tickets in the draw.
    pub weight: i16,
    /// See [`flag`].
    pub flags: i16,
    /// Hash of the notice shown.
    pub notice: [u8; 32],
    /// Name and phone, sealed.
    pub sealed: Vec<u8>,
}

/// A batch as columns: what `enter_batch_v1` takes. Borrowed from the rows: nothing is copied before it is encoded.
#[derive(Debug, Default)]
struct Columns<'a> {
    event: Vec<Uuid>,
    id: Vec<Uuid>,
    phone: Vec<&'a [u8]>,
    receipt: Vec<&'a [u8]>,
    request: Vec<Option<&'a [u8]>>,
    channel: Vec<i16>,
    weight: Vec<i16>,
    flags: Vec<i16>,
    notice: Vec<&'a [u8]>,
    sealed: Vec<&'a [u8]>,
    skip_locked: bool,
}

/// One cached prepared statement, autocommitted: nothing stays open between statements.
#[derive(Debug)]
struct EnterBatch<'a>(Columns<'a>);

impl QueryFragment<Pg> for EnterBatch<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let c = &self.0;
        out.push_sql(
            "select ord, verdict, entry_no, id, entered_at, version, last_no, by_channel, hour, hour_entries
               from participation.enter_batch_v1(",
        );
        out.push_bind_param::<t::Array<t::Uuid>, [Uuid]>(&c.event)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Uuid>, [Uuid]>(&c.id)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Binary>, [&[u8]]>(&c.phone)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Binary>, [&[u8]]>(&c.receipt)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Nullable<t::Binary>>, [Option<&[u8]>]>(&c.request)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::SmallInt>, [i16]>(&c.channel)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::SmallInt>, [i16]>(&c.weight)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::SmallInt>, [i16]>(&c.flags)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Binary>, [&[u8]]>(&c.notice)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Array<t::Binary>, [&[u8]]>(&c.sealed)?;
        out.push_sql(", ");
        out.push_bind_param::<t::Bool, bool>(&c.skip_locked)?;
        out.push_sql(")");
        Ok(())
    }
}

impl Query for EnterBatch<'_> {
    type SqlType = (
        t::BigInt,
        t::SmallInt,
        t::Nullable<t::BigInt>,
        t::Nullable<t::Uuid>,
        t::Nullable<t::Timestamptz>,
        t::Nullable<t::BigInt>,
        t::Nullable<t::BigInt>,
        t::Nullable<t::Array<t::BigInt>>,
        t::Nullable<t::Timestamptz>,
        t::Nullable<t::BigInt>,
    );
}

impl QueryId for EnterBatch<'_> {
    type QueryId = EnterBatch<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

type Row = (
    i64,
    i16,
    Option<i64>,
    Option<Uuid>,
    Option<Instant>,
    Option<i64>,
    Option<i64>,
    Option<Vec<i64>>,
    Option<Instant>,
    Option<i64>,
);

/// What became of a batch.
#[derive(Debug, Default)]
pub struct StoredBatch {
    /// One per row, in order; `None`: its head was held by somebody else, nothing was stored.
    pub verdicts: Vec<Option<Verdict>>,
    /// One per event that got a row of its log.
    pub commits: Vec<(EventId, Commit)>,
    /// Entries that were there by this very request: the version of the log that has each.
    pub before: Vec<(EventId, i64)>,
}

/// Stores a batch in one commit. With `skip_locked`, rows of an event whose head is held are left for the next batch.
///
/// # Errors
/// [`StorageError::Contended`](crate::StorageError::Contended) when a head was held for 150 ms (without `skip_locked`):
/// nothing was stored. A lost connection leaves the outcome unknown; the same batch again tells the truth.
pub async fn enter_batch(c: &mut Conn, rows: &[NewEntry], skip_locked: bool) -> Result<StoredBatch> {
    let mut columns = Columns { skip_locked, ..Columns::default() };
    for r in rows {
        columns.event.push(r.event.0);
        columns.id.push(r.id);
        columns.phone.push(&r.phone_index);
        columns.receipt.push(&r.receipt_hash);
        columns.request.push(r.request_key.as_ref().map(<[u8; 16]>::as_slice));
        columns.channel.push(r.source as i16);
        columns.weight.push(r.weight);
        columns.flags.push(r.flags);
        columns.notice.push(&r.notice);
        columns.sealed.push(&r.sealed);
    }
    let answer: Vec<Row> = EnterBatch(columns).load(c).await?;
    let mut stored = StoredBatch { verdicts: vec![None; rows.len()], ..StoredBatch::default() };
    for (ord, verdict, no, id, at, version, last_no, by_channel, hour, hour_entries) in answer {
        let index = usize::try_from(ord - 1).map_err(corrupt)?;
        let row = rows.get(index).ok_or_else(|| corrupt("ord"))?;
        stored.verdicts[index] = verdict_of(verdict, no, id, at)?;
        if let (2, Some(version)) = (verdict, version) {
            stored.before.push((row.event, version));
        }
        // Totals come with an event's last row that was stored.
        let (Some(version), Some(last_no), Some(by), Some(hour), Some(hour_entries), Some(at)) =
            (version, last_no, by_channel, hour, hour_entries, at)
        else {
            continue;
        };
        let by_source: [i64; 8] = by.try_into().map_err(|_| corrupt("by_channel"))?;
        stored.commits.push((row.event, Commit { version, last_no, by_source, hour, hour_entries, at }));
    }
    Ok(stored)
}

fn verdict_of(code: i16, no: Option<i64>, id: Option<Uuid>, at: Option<Instant>) -> Result<Option<Verdict>> {
    Ok(Some(match (code, no, id, at) {
        (1 | 2, Some(entry_no), Some(id), Some(entered_at)) => {
            Verdict::Stored { entry_no, id, entered_at, fresh: code == 1 }
        }
        (3, ..) => Verdict::Duplicate,
        (4, ..) => Verdict::Ended,
        (5, ..) => Verdict::NotOpen,
        (6, ..) => Verdict::Unknown,
        (7, ..) => return Ok(None),
        _ => return Err(corrupt(format!("verdict {code}"))),
    }))
}

/// An entry as its owner lists it, sealed.
#[derive(QueryableByName, Clone, Debug)]
pub struct Participant {
    /// Its number.
    #[diesel(sql_type = t::BigInt)]
    pub entry_no: i64,
    /// Its id.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// Where from, 0 to 7.
    #[diesel(sql_type = t::SmallInt)]
    pub channel: i16,
    /// See [`flag`].
    #[diesel(sql_type = t::SmallInt)]
    pub flags: i16,
    /// Name and phone, sealed; empty after erasure.
    #[diesel(sql_type = t::Binary)]
    pub sealed: Vec<u8>,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub entered_at: Instant,
}

impl Participant {
    /// Name and phone in the clear; `None` once they are destroyed.
    ///
    /// # Errors
    /// Ciphertext that does not open.
    pub fn open(&self, keys: &Keyring) -> Result<Option<(String, String)>> {
        if self.sealed.is_empty() {
            return Ok(None);
        }
        let plain = keys.open_text("entries.sealed", self.id, &self.sealed)?;
        let (name, phone) = plain.split_once('\n').ok_or_else(|| corrupt("sealed entry"))?;
        Ok(Some((name.to_owned(), phone.to_owned())))
    }
}

/// Seals a name and a phone for an entry.
#[must_use]
pub fn seal(keys: &Keyring, id: Uuid, name: &str, phone: &str) -> Vec<u8> {
    keys.seal("entries.sealed", id, format!("{name}\n{phone}").as_bytes())
}

/// A page of an event's entries that are not erased, by number, after `after`.
pub async fn page(
    c: &mut Conn,
    event: EventId,
    source: Option<Source>,
    visited: Option<bool>,
    after: i64,
    limit: i64,
) -> Result<Vec<Participant>> {
    sql("select entry_no, id, channel, flags, sealed, entered_at from participation.entries
          where event_id = ? and entry_no > ? and erased_at is null
            and (?::smallint is null or channel = ?) and (?::boolean is null or ((flags & 4) <> 0) = ?)
          order by entry_no limit ?")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(after)
    .bind::<t::Nullable<t::SmallInt>, _>(source.map(|s| s as i16))
    .bind::<t::Nullable<t::SmallInt>, _>(source.map(|s| s as i16))
    .bind::<t::Nullable<t::Bool>, _>(visited)
    .bind::<t::Nullable<t::Bool>, _>(visited)
    .bind::<t::BigInt, _>(limit)
    .all(c)
    .await
}

/// One entry by number, erased or not.
pub async fn by_number(c: &mut Conn, event: EventId, numbers: Vec<i64>) -> Result<Vec<Participant>> {
    sql("select entry_no, id, channel, flags, sealed, entered_at from participation.entries where event_id = ? and entry_no = any (?) order by entry_no")
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::Array<t::BigInt>, _>(numbers)
        .all(c)
        .await
}

/// What a receipt leads to.
#[derive(QueryableByName, Clone, Debug)]
pub struct Receipted {
    /// Which event.
    #[diesel(sql_type = t::Uuid)]
    pub event_id: Uuid,
    /// Its number.
    #[diesel(sql_type = t::BigInt)]
    pub entry_no: i64,
    /// When.
    #[diesel(sql_type = t::Timestamptz)]
    pub entered_at: Instant,
}

/// The entry of a receipt that is not erased.
pub async fn by_receipt(c: &mut Conn, receipt_hash: [u8; 32]) -> Result<Option<Receipted>> {
    sql("select event_id, entry_no, entered_at from participation.entries \
          where substr(receipt, 1, 4) = ? and receipt = ? and erased_at is null")
    .bind::<t::Binary, _>(receipt_hash[..4].to_vec())
    .bind::<t::Binary, _>(receipt_hash.to_vec())
    .first(c)
    .await
}

/// An entry as its own request is answered again.
#[derive(QueryableByName, Clone, Debug)]
pub struct Repeated {
    /// Its number.
    #[diesel(sql_type = t::BigInt)]
    pub entry_no: i64,
    /// Its id.
    #[diesel(sql_type = t::Uuid)]
    pub id: Uuid,
    /// When it became durable.
    #[diesel(sql_type = t::Timestamptz)]
    pub entered_at: Instant,
}

/// The entry that this very request stored before, if it did, whatever became of the event since.
pub async fn stored_by(
    c: &mut Conn,
    event: EventId,
    phone_index: [u8; 16],
    request_key: [u8; 16],
) -> Result<Option<Repeated>> {
    sql("select entry_no, id, entered_at from participation.entries
          where event_id = ? and phone_index = ? and request_key = ? and erased_at is null")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Binary, _>(phone_index.to_vec())
    .bind::<t::Binary, _>(request_key.to_vec())
    .first(c)
    .await
}

/// The blind index of an entry's phone, unless it was erased.
pub async fn phone_index(c: &mut Conn, event: EventId, entry_no: i64) -> Result<Option<[u8; 16]>> {
    #[derive(QueryableByName)]
    struct Indexed {
        #[diesel(sql_type = t::Binary)]
        phone_index: Vec<u8>,
    }
    let found: Option<Indexed> =
        sql("select phone_index from participation.entries where event_id = ? and entry_no = ? and erased_at is null")
            .bind::<t::Uuid, _>(event.0)
            .bind::<t::BigInt, _>(entry_no)
            .first(c)
            .await?;
    found.map(|f| f.phone_index.try_into().map_err(|_| corrupt("phone_index"))).transpose()
}

/// What an erasure did.
#[derive(QueryableByName, Clone, Debug)]
pub struct Erased {
    /// Before the close: it left count and draw.
    #[diesel(sql_type = t::Bool)]
    pub void: bool,
    /// The log's version, when it left.
    #[diesel(sql_type = t::Nullable<t::BigInt>)]
    pub version: Option<i64>,
    /// Where it came from, 0 to 7.
    #[diesel(sql_type = t::SmallInt)]
    pub channel: i16,
    /// The hour it was made in.
    #[diesel(sql_type = t::Timestamptz)]
    pub hour: Instant,
}

/// Blanks name, phone and index of an entry. `None`: it was erased before.
pub async fn erase(c: &mut Conn, event: EventId, entry_no: i64) -> Result<Option<Erased>> {
    sql("select void, version, channel, hour from participation.erase_v1(?, ?, ?)")
        .bind::<t::Uuid, _>(event.0)
        .bind::<t::BigInt, _>(entry_no)
        .bind::<t::Binary, _>(crate::crypto::random16().to_vec())
        .first(c)
        .await
}

#[derive(QueryableByName)]
struct LeafRow {
    #[diesel(sql_type = t::BigInt)]
    entry_no: i64,
    #[diesel(sql_type = t::Integer)]
    weight: i32,
    #[diesel(sql_type = t::Binary)]
    receipt: Vec<u8>,
}

/// A page of an event's leaves, by number, after `after`: at most 1,000, so that nothing holds the connection long.
async fn leaves(c: &mut Conn, event: EventId, after: i64) -> Result<Vec<Leaf>> {
    let rows: Vec<LeafRow> = sql("select entry_no, case when voided_at is null then weight::int else 0 end as weight, receipt
                                    from participation.entries where event_id = ? and entry_no > ? order by entry_no limit 1000")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::BigInt, _>(after)
    .all(c)
    .await?;
    rows.into_iter()
        .map(|r| {
            Ok(Leaf {
                entry_no: u64::try_from(r.entry_no).map_err(corrupt)?,
                weight: u32::try_from(r.weight).map_err(corrupt)?,
                receipt_hash: r.receipt.try_into().map_err(|_| corrupt("receipt"))?,
            })
        })
        .collect()
}

/// All leaves of an event, by number, in pages: nothing holds a connection long.
pub async fn all_leaves(store: &Store, event: EventId) -> Result<Vec<Leaf>> {
    let mut all: Vec<Leaf> = Vec::new();
    loop {
        let after = all.last().map_or(0, |l| l.entry_no as i64);
        let page = store.run(async move |c| leaves(c, event, after).await).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The gate of an event and its period, judged by the database's clock.
#[derive(Clone, Copy, Debug)]
pub struct GateReading {
    /// Whether entries are taken.
    pub gate: Gate,
    /// The period has begun.
    pub begun: bool,
    /// The period is over.
    pub over: bool,
}

/// Re-reads the gate: an actor refuses because of state only after this.
pub async fn gate(c: &mut Conn, event: EventId) -> Result<Option<GateReading>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = t::SmallInt)]
        gate: i16,
        #[diesel(sql_type = t::Bool)]
        begun: bool,
        #[diesel(sql_type = t::Bool)]
        over: bool,
    }
    let row: Option<Row> = sql("select gate, coalesce(clock_timestamp() >= opens_at, false) as begun,
                coalesce(clock_timestamp() >= closes_at, false) as over
           from participation.heads where event_id = ?")
    .bind::<t::Uuid, _>(event.0)
    .first(c)
    .await?;
    let Some(Row { gate, begun, over }) = row else { return Ok(None) };
    let gate = Gate::parse(gate).ok_or_else(|| corrupt("gate"))?;
    Ok(Some(GateReading { gate, begun, over }))
}

/// Returns the numbers among these whose entries are erased.
pub async fn erased_of(c: &mut Conn, event: EventId, numbers: Vec<i64>) -> Result<Vec<i64>> {
    let rows: Vec<crate::sql::Number> = sql("select entry_no as n from participation.entries
                                              where event_id = ? and entry_no = any (?) and erased_at is not null order by 1")
    .bind::<t::Uuid, _>(event.0)
    .bind::<t::Array<t::BigInt>, _>(numbers)
    .all(c)
    .await?;
    Ok(rows.into_iter().map(|r| r.n).collect())
}
