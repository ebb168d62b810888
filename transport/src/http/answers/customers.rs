//! What customers, draws and dashboards bring.

use super::{EventStatus, Mode, PassedOnWhy, Prize, Source, Weight};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Participant {
    entry_no: i64,
    masked_name: String,
    masked_phone: String,
    channel: Source,
    visited: bool,
    entered_at: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entered {
    entry_no: i64,
    /// 32 hex digits: whoever holds it may look up and erase the entry.
    receipt: String,
    entered_at: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicEvent {
    slug: String,
    title: Option<String>,
    store_name: String,
    status: EventStatus,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    prizes: Vec<Prize>,
    notice: NoticeText,
    count: i64,
    odds: Odds,
    visit_bonus: Option<Weight>,
    closed_at: Option<DateTime<Utc>>,
    draw: PublicDraw,
}

#[derive(JsonSchema)]
pub(crate) struct NoticeText {
    version: String,
    text: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Odds {
    prizes: i64,
    entries: i64,
    visit_weight: Option<u8>,
    /// Prizes ÷ entries, at most 1.
    per_entry: f64,
}

#[derive(JsonSchema)]
pub(crate) struct PublicDraw {
    /// SHA-256 of the seed, 64 hex digits.
    commitment: String,
    /// After the close, 64 hex digits.
    root: Option<String>,
    drawn: bool,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    entry_no: i64,
    entered_at: DateTime<Utc>,
    event: ReceiptEvent,
    /// After the draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    draw: Option<ReceiptDraw>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptEvent {
    slug: String,
    title: Option<String>,
    status: EventStatus,
    ends_at: Option<DateTime<Utc>>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptDraw {
    /// `won`, `alternate` or `not-won`.
    result: String,
    won: bool,
    prize: Option<String>,
    rank: Option<i32>,
    inclusion_proof: InclusionProof,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InclusionProof {
    index: u64,
    count: u64,
    weight: Option<u8>,
    receipt_hash: Option<String>,
    path: Vec<String>,
    merkle_root: String,
    root: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DrawResult")]
pub(crate) struct Draw {
    id: Uuid,
    round: i32,
    drawn_at: DateTime<Utc>,
    winners: Vec<DrawnWinner>,
    alternates: Vec<Alternate>,
    proof: Proof,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DrawnWinner {
    prize: Option<String>,
    rank: Option<i32>,
    entry_no: i64,
    /// Null once erased.
    masked_phone: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alternate {
    position: i32,
    entry_no: i64,
    masked_phone: Option<String>,
}

/// Hashes, `seed` and `external` are lowercase hex.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proof {
    algorithm: String,
    event_id: Uuid,
    round: u32,
    commitment: String,
    seed: String,
    /// Null when the owner's browser sent none.
    external: Option<String>,
    root: String,
    merkle_root: String,
    count: u64,
    rules: Rules,
    /// Weight of every entry and SHA-256 of its receipt, by number.
    leaves: Vec<(u32, String)>,
    winners: Vec<ProvedWinner>,
    alternates: Vec<u64>,
}

/// The proof, who holds the prizes now, and how that follows. It holds no phone.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublicProof {
    #[serde(flatten)]
    proof: Proof,
    /// The key the winners were picked with, hex.
    key: String,
    holders: Vec<Holder>,
    /// In order: after each the next alternate moves up.
    passed_on: Vec<PassedOn>,
    /// Binds `passedOn` to the root, hex.
    passed_on_hash: String,
    says: Says,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holder {
    prize: String,
    rank: u32,
    entry_no: u64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PassedOn {
    entry_no: u64,
    why: PassedOnWhy,
    at: DateTime<Utc>,
}

/// The present holders of the prizes, by rank.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Winners {
    drawn_at: DateTime<Utc>,
    winners: Vec<DrawnWinner>,
}

#[derive(JsonSchema)]
pub(crate) struct Says {
    ko: String,
    en: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rules {
    prizes: Vec<RulePrize>,
    visit_weight: Option<u8>,
    alternates: u32,
}

#[derive(JsonSchema)]
pub(crate) struct RulePrize {
    name: String,
    quantity: u32,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProvedWinner {
    prize: String,
    rank: u32,
    entry_no: u64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    ticket: String,
    /// Seconds.
    expires_in: u32,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Analytics {
    event_id: Uuid,
    status: EventStatus,
    /// Version of the event.
    version: i64,
    ends_at: Option<DateTime<Utc>>,
    as_of: DateTime<Utc>,
    position: Position,
    cards: Cards,
    channels: Vec<ChannelFigures>,
    /// Entries per hour, Korean time.
    hourly: Vec<Hour>,
    profile: Profile,
    roi: Roi,
}

#[derive(JsonSchema)]
pub(crate) struct Position {
    epoch: String,
    offset: i64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cards {
    participants: i64,
    impressions: Option<i64>,
    /// Entries ÷ impressions, 0 to 1; null without impressions.
    conversion_rate: Option<f64>,
    roi_percent: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelFigures {
    channel: Source,
    /// How it was connected at approval; null before, and for `QR` and `DIRECT`.
    mode: Option<Mode>,
    impressions: Option<i64>,
    clicks: Option<i64>,
    entries: i64,
    conversion_rate: Option<f64>,
    stale: bool,
    as_of: Option<DateTime<Utc>>,
}

#[derive(JsonSchema)]
pub(crate) struct Hour {
    /// Start of the hour, with the Korean offset.
    hour: String,
    entries: i64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Profile {
    /// Share of participants per source, 0 to 1.
    by_channel: BTreeMap<String, f64>,
    /// Entries per hour of the Korean day, 24 numbers.
    by_hour: Vec<i64>,
    new_vs_returning: NewVsReturning,
}

#[derive(JsonSchema)]
pub(crate) struct NewVsReturning {
    new: i64,
    returning: i64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Roi {
    prize_cost_won: i64,
    platform_cost_won: i64,
    sales_increase_won: i64,
    new_customers: i64,
    ltv_won: i64,
    /// `ESTIMATED` or `MEASURED`.
    source: String,
}
