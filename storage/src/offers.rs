//! `events.offers` and `events.upstream_calls`: recommendations, and what the calls for them cost.

use crate::error::{Result, corrupt};
use crate::sql::{sql, types as t};
use crate::store::Conn;
use diesel::QueryableByName;
use domain::ids::{EventId, StoreId};
use domain::offer::{EventOption, Proposal};
use domain::time::Instant;
use serde_json::Value;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = t::Jsonb)]
    proposal: Value,
    #[diesel(sql_type = t::Timestamptz)]
    as_of: Instant,
}

/// Where a recommendation came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferSource {
    /// The model.
    Model,
    /// Its last good answer for this key.
    LastGood,
    /// A built-in template.
    Template,
}

impl OfferSource {
    fn code(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::LastGood => "last-good",
            Self::Template => "template",
        }
    }
}

/// Stores a recommendation, for an event or in general.
pub async fn insert(
    c: &mut Conn,
    event: Option<EventId>,
    key: &str,
    prompt: &str,
    source: OfferSource,
    proposal: &Proposal,
    as_of: Instant,
) -> Result<()> {
    sql("insert into events.offers (id, event_id, key, prompt_version, source, proposal, as_of) values (?, ?, ?, ?, ?, ?, ?)")
        .bind::<t::Uuid, _>(Uuid::now_v7())
        .bind::<t::Nullable<t::Uuid>, _>(event.map(|e| e.0))
        .bind::<t::Text, _>(key.to_owned())
        .bind::<t::Text, _>(prompt.to_owned())
        .bind::<t::Text, _>(source.code())
        .bind::<t::Jsonb, _>(serde_json::to_value(proposal).map_err(corrupt)?)
        .bind::<t::Timestamptz, _>(as_of)
        .run(c)
        .await?;
    Ok(())
}

/// The model's last good answer for a key, and when it said so.
pub async fn last_good(c: &mut Conn, key: &str) -> Result<Option<(Proposal, Instant)>> {
    let row: Option<Row> = sql(
        "select proposal, as_of from events.offers where key = ? and source = 'model' order by created_at desc limit 1",
    )
    .bind::<t::Text, _>(key.to_owned())
    .first(c)
    .await?;
    row.map(|r| Ok((serde_json::from_value(r.proposal).map_err(corrupt)?, r.as_of))).transpose()
}

/// An option that was offered for an event, newest offer first.
pub async fn option_of_event(c: &mut Conn, event: EventId, option: &str) -> Result<Option<EventOption>> {
    let rows: Vec<Row> =
        sql("select proposal, as_of from events.offers where event_id = ? order by created_at desc limit 20")
            .bind::<t::Uuid, _>(event.0)
            .all(c)
            .await?;
    for row in rows {
        let proposal: Proposal = serde_json::from_value(row.proposal).map_err(corrupt)?;
        if let Some(found) = proposal.options.into_iter().find(|o| o.id == option) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A paid call.
pub struct PaidCall {
    /// For which shop.
    pub store: Option<StoreId>,
    /// Which upstream.
    pub upstream: &'static str,
    /// `recommendation` or `images`.
    pub purpose: &'static str,
    /// Version of the prompt.
    pub prompt: Option<String>,
    /// Tokens sent and received.
    pub tokens: (i64, i64),
    /// In hundredths of a won.
    pub cost_centiwon: i64,
    /// Whether its answer was usable.
    pub succeeded: bool,
}

/// Records a paid call.
pub async fn record_call(c: &mut Conn, call: PaidCall) -> Result<()> {
    sql("insert into events.upstream_calls (store_id, upstream, purpose, prompt_version, tokens_in, tokens_out, cost_won, succeeded)
         values (?, ?, ?, ?, ?, ?, ?::numeric / 100, ?)")
    .bind::<t::Nullable<t::Uuid>, _>(call.store.map(|s| s.0))
    .bind::<t::Text, _>(call.upstream)
    .bind::<t::Text, _>(call.purpose)
    .bind::<t::Nullable<t::Text>, _>(call.prompt)
    .bind::<t::BigInt, _>(call.tokens.0)
    .bind::<t::BigInt, _>(call.tokens.1)
    .bind::<t::BigInt, _>(call.cost_centiwon)
    .bind::<t::Bool, _>(call.succeeded)
    .run(c)
    .await?;
    Ok(())
}
