//! What responses bring, for the document only: the bodies themselves are written in `actors::view` and in the handlers.
//! The API's tests check every answer they get against these, so neither can change alone.

#![allow(dead_code, reason = "their shapes are the document's")]

mod customers;

use chrono::{DateTime, NaiveDate, Utc};
pub(crate) use customers::*;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;
use uuid::Uuid;

/// Wire names of the domain's enums.
macro_rules! codes {
    ($($name:ident = $of:path),* $(,)?) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let all: Vec<&str> = <$of>::ALL.iter().map(|v| v.code()).collect();
                json_schema!({"type": "string", "enum": all})
            }
        }
    )*};
}

codes! {
    EventStatus = domain::event::Status, Objective = domain::catalog::Objective, Channel = domain::channel::Channel,
    Source = domain::channel::Source, Mode = domain::channel::Mode, Style = domain::channel::Style,
    Platform = domain::channel::Platform, Tier = domain::offer::Tier, JobKind = domain::job::JobKind,
    JobStatus = domain::job::JobStatus, DistributionStatus = domain::distribution::DistributionStatus,
    PublicationStatus = domain::distribution::PublicationStatus, ErrorClass = domain::distribution::ErrorClass,
    PassedOnWhy = domain::draw::PassedOnWhy, Season = domain::time::Season,
}

/// A page of a list.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    items: Vec<T>,
    /// Null on the last page.
    next_cursor: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    access_token: String,
    refresh_token: String,
    /// Seconds.
    expires_in: u32,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignedUp {
    access_token: String,
    refresh_token: String,
    /// Seconds.
    expires_in: u32,
    user: User,
    store: Store,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    id: Uuid,
    email: String,
    name: String,
    /// `010-****-1234`.
    phone: String,
    /// `123-**-*****`.
    business_number: String,
    opened_on: NaiveDate,
    role: String,
    version: i64,
    created_at: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Store {
    id: Uuid,
    name: String,
    industry: String,
    region: String,
    address: Option<String>,
    /// `VERIFIED`, `PENDING` or `REJECTED`.
    verification: String,
    /// How the tax service was connected when it answered.
    verification_mode: Option<Mode>,
    version: i64,
    created_at: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Industry {
    code: String,
    name_ko: String,
    name_en: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prize {
    name: String,
    quantity: u32,
    /// What one costs the shop.
    unit_value_won: i64,
}

#[derive(JsonSchema)]
pub(crate) struct Weight {
    /// 2 to 10.
    weight: u8,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    id: Uuid,
    /// Unguessable; part of the customer page's address.
    slug: String,
    store_id: Uuid,
    objective: Objective,
    title: Option<String>,
    status: EventStatus,
    version: i64,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    prizes: Vec<Prize>,
    visit_bonus: Option<Weight>,
    content: Option<Content>,
    channels: Vec<Channel>,
    distribution_id: Option<Uuid>,
    option_id: Option<String>,
    /// SHA-256 of the draw's seed, 64 hex digits, from approval on.
    commitment: Option<String>,
    closed_at: Option<DateTime<Utc>>,
    /// Were its winners drawn?
    drawn: bool,
    created_at: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EventContent")]
pub(crate) struct Content {
    image_ids: Vec<Uuid>,
    images: Vec<ChosenImage>,
}

#[derive(JsonSchema)]
pub(crate) struct ChosenImage {
    id: Uuid,
    /// Null until approval fixes it.
    version: Option<i32>,
}

#[derive(JsonSchema)]
pub(crate) struct Range {
    low: i64,
    high: i64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expected {
    participants: Range,
    cost_won: i64,
    revenue_won: Range,
    roi_percent: Range,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Option")]
pub(crate) struct EventOption {
    id: String,
    tier: Tier,
    title: String,
    summary: String,
    mechanics: String,
    prizes: Vec<Prize>,
    duration_days: u32,
    channels: Vec<Channel>,
    expected: Expected,
    rationale: Vec<String>,
}

#[derive(JsonSchema)]
pub(crate) struct Trends {
    industry: Vec<String>,
    region: Vec<String>,
    season: Vec<String>,
}

#[derive(JsonSchema)]
pub(crate) struct Recommendation {
    /// Three, one of each tier.
    options: Vec<EventOption>,
    trends: Trends,
    /// How the model was connected; null where something stood in for it.
    mode: Option<Mode>,
    cached: bool,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobAccepted {
    job_id: Uuid,
}

#[derive(JsonSchema)]
pub(crate) struct Images {
    images: Vec<Image>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    id: Uuid,
    version: i32,
    event_id: Uuid,
    style: Style,
    platform: Platform,
    /// Public, unguessable, immutable.
    url: String,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    headline: String,
    body: String,
    palette: String,
    alt_text: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Preflight {
    ready: bool,
    channels: Vec<ChannelPreflight>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelPreflight {
    channel: Channel,
    mode: Mode,
    ok: bool,
    missing: Vec<Missing>,
    /// What one event on it is planned to cost, in won.
    cost_won: i64,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Missing {
    code: String,
    message_ko: String,
    message_en: String,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approval {
    event: Event,
    distribution_id: Uuid,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VisitCode {
    /// Six digits to type.
    code: String,
    /// For the QR code in the shop: 128 bits, as `v` in the query of the customer page.
    token: String,
    valid_until: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VisitPaper {
    token: String,
    valid_until: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[schemars(rename = "Fact")]
pub(crate) struct Fact {
    revision: i64,
    what: String,
    kind: String,
    data: Value,
    /// `owner:<id>` or `system`.
    who: String,
    at: DateTime<Utc>,
    when: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fallback {
    reason: String,
    as_of: DateTime<Utc>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    id: Uuid,
    kind: JobKind,
    status: JobStatus,
    /// Percent.
    progress: i16,
    stage: Option<String>,
    attempts: i32,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    /// The value of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Missing>,
    /// A stand-in was used: why, and from when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<Fallback>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Notice {
    id: Uuid,
    /// Offset of `owner:<userId>`.
    seq: i64,
    kind: String,
    /// `info`, `warning` or `critical`.
    level: String,
    message_ko: String,
    message_en: String,
    /// Ids it is about.
    data: Value,
    created_at: DateTime<Utc>,
    read_at: Option<DateTime<Utc>>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Distribution {
    id: Uuid,
    event_id: Uuid,
    status: DistributionStatus,
    version: i64,
    ended_at: Option<DateTime<Utc>>,
    channels: Vec<Publication>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Publication {
    channel: Channel,
    mode: Mode,
    status: PublicationStatus,
    attempts: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ChannelError>,
    /// Text prepared for the owner to post.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The picture that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChannelError {
    class: ErrorClass,
    message_ko: String,
    message_en: String,
}
