//! Bodies that requests bring. Unknown fields are refused.

mod reading;
mod texts;

use super::answers as a;
use super::content::MAX_COLOURS;
use chrono::{DateTime, NaiveDate, Utc};
use domain::channel::{Channel, Platform, Style};
use domain::draw::proof::MAX_ALTERNATES;
use domain::entry::Consents;
use domain::event::command::{MAX_IMAGES, MAX_VISIT_WEIGHT, MIN_VISIT_WEIGHT};
use domain::offer::{MAX_PRIZE_KINDS, MAX_PRIZE_QUANTITY, MAX_PRIZE_WON, Prize};
pub(crate) use reading::LIST_TOO_LONG;
use reading::{maybe_object, maybe_objects, object, present, present_object, short_list};
use schemars::JsonSchema;
use serde::Deserialize;
use texts as t;
pub(crate) use texts::BLANK_LINE;
use uuid::Uuid;

/// Channels in one list, repetitions included: several times as many as there are.
const MAX_CHANNELS_LISTED: usize = 32;
/// Pictures in one list: several times as many as an event takes, which its own rule says better.
const MAX_PICTURES_LISTED: usize = 100;

/// A field that may be left out or null.
pub(crate) type Maybe<T> = Option<T>;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Signup {
    #[schemars(with = "t::Email")]
    pub(crate) email: String,
    #[schemars(with = "t::Password")]
    pub(crate) password: String,
    /// The owner's name, as registered with the tax office.
    #[schemars(with = "t::PersonName")]
    pub(crate) name: String,
    #[schemars(with = "t::Phone")]
    pub(crate) phone: String,
    #[schemars(with = "t::BusinessNumber")]
    pub(crate) business_number: String,
    /// From 1900 to today.
    pub(crate) opened_on: NaiveDate,
    #[serde(deserialize_with = "object")]
    pub(crate) store: NewStore,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewStore {
    #[schemars(with = "t::ShopName")]
    pub(crate) name: String,
    #[schemars(with = "t::Industry")]
    pub(crate) industry: String,
    #[schemars(with = "t::Region")]
    pub(crate) region: String,
    #[serde(default)]
    #[schemars(with = "Option<t::Address>")]
    pub(crate) address: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditStore {
    #[serde(default)]
    #[schemars(with = "Option<t::ShopName>")]
    pub(crate) name: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::Industry>")]
    pub(crate) industry: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::Region>")]
    pub(crate) region: Maybe<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<t::Address>")]
    pub(crate) address: Option<Option<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Login {
    #[schemars(with = "t::LoginEmail")]
    pub(crate) email: String,
    #[schemars(with = "t::LoginPassword")]
    pub(crate) password: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refresh {
    #[schemars(with = "t::RefreshToken")]
    pub(crate) refresh_token: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditMe {
    #[serde(default)]
    #[schemars(with = "Option<t::PersonName>")]
    pub(crate) name: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::Phone>")]
    pub(crate) phone: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewEvent {
    #[schemars(with = "a::Objective")]
    pub(crate) objective: String,
    /// The shop; the oldest one when left out.
    #[serde(default)]
    pub(crate) store_id: Maybe<Uuid>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditEvent {
    #[serde(default)]
    #[schemars(with = "Option<t::Title>")]
    pub(crate) title: Maybe<String>,
    /// Later than the present end, and within 366 days of the start.
    #[serde(default)]
    pub(crate) ends_at: Maybe<DateTime<Utc>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VisitBonus {
    /// Tickets in the draw of an entry made in the shop.
    #[schemars(range(min = MIN_VISIT_WEIGHT, max = MAX_VISIT_WEIGHT))]
    pub(crate) weight: u8,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    #[schemars(with = "t::OptionId")]
    pub(crate) option_id: String,
    #[serde(default)]
    pub(crate) job_id: Maybe<Uuid>,
    #[serde(default)]
    #[schemars(with = "Option<t::Title>")]
    pub(crate) title: Maybe<String>,
    /// Within 366 days from now.
    #[serde(default)]
    pub(crate) starts_at: Maybe<DateTime<Utc>>,
    /// After the start and now, and within 366 days of the start.
    #[serde(default)]
    pub(crate) ends_at: Maybe<DateTime<Utc>>,
    #[serde(default, deserialize_with = "maybe_objects")]
    #[schemars(with = "Option<Vec<PrizeBody>>", length(min = 1, max = MAX_PRIZE_KINDS))]
    pub(crate) prizes: Maybe<Vec<Prize>>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present_object")]
    pub(crate) visit_bonus: Option<Option<VisitBonus>>,
}

/// A prize, for the document only.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PlannedPrize")]
#[allow(dead_code, reason = "its shape is the document's")]
struct PrizeBody {
    #[schemars(with = "t::PrizeName")]
    name: String,
    #[schemars(range(min = 1, max = MAX_PRIZE_QUANTITY))]
    quantity: u32,
    #[schemars(range(min = 0, max = MAX_PRIZE_WON))]
    unit_value_won: i64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Content {
    /// Pictures of the event; one that is named again counts once.
    #[serde(deserialize_with = "short_list::<MAX_PICTURES_LISTED, _, _>")]
    #[schemars(length(min = 1, max = MAX_IMAGES))]
    pub(crate) image_ids: Vec<Uuid>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Channels {
    /// One that is named again counts once.
    #[serde(deserialize_with = "short_list::<MAX_CHANNELS_LISTED, _, _>")]
    #[schemars(with = "Vec<a::Channel>", length(min = 1, max = MAX_CHANNELS_LISTED))]
    pub(crate) channels: Vec<Channel>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    {"required": ["eventId"], "properties": {"eventId": {"type": "string"}}},
    {
        "required": ["industry", "region", "objective"],
        "properties": {"industry": {"type": "string"}, "region": {"type": "string"}, "objective": {"type": "string"}},
    },
]))]
pub(crate) struct Recommend {
    /// With it, industry, region and objective are the event's.
    #[serde(default)]
    pub(crate) event_id: Maybe<Uuid>,
    #[serde(default)]
    #[schemars(with = "Option<t::Industry>")]
    pub(crate) industry: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::Region>")]
    pub(crate) region: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<a::Objective>")]
    pub(crate) objective: Maybe<String>,
    /// The present one when left out.
    #[serde(default)]
    #[schemars(with = "Option<a::Season>")]
    pub(crate) season: Maybe<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MakeImages {
    pub(crate) event_id: Uuid,
    /// All where none is named.
    #[serde(default)]
    #[schemars(with = "Option<Vec<a::Style>>", length(max = MAX_IMAGES))]
    pub(crate) styles: Maybe<Vec<Style>>,
    /// All where none is named.
    #[serde(default)]
    #[schemars(with = "Option<Vec<a::Platform>>", length(max = MAX_IMAGES))]
    pub(crate) platforms: Maybe<Vec<Platform>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EditImage {
    #[serde(default)]
    #[schemars(with = "Option<t::Title>")]
    pub(crate) headline: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::PictureText>")]
    pub(crate) body: Maybe<String>,
    /// The name of a palette, a colour `#rrggbb`, or up to five of them.
    #[serde(default)]
    pub(crate) palette: Maybe<PaletteBody>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PaletteBody {
    One(#[schemars(with = "t::PaletteName")] String),
    Several(#[schemars(with = "Vec<t::Colour>", length(min = 1, max = MAX_COLOURS))] Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Confirm {
    #[schemars(with = "a::Channel")]
    pub(crate) channel: Channel,
    pub(crate) posted: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// The rule says itself that consents are missing, in its own words.
#[schemars(extend("required" = ["name", "phone", "consents"]))]
pub(crate) struct Enter {
    #[schemars(with = "t::PersonName")]
    pub(crate) name: String,
    #[schemars(with = "t::Phone")]
    pub(crate) phone: String,
    #[serde(default, deserialize_with = "maybe_object")]
    #[schemars(with = "ConsentsBody")]
    pub(crate) consents: Maybe<ConsentsBody>,
    /// `DIRECT` when left out.
    #[serde(default)]
    #[schemars(with = "Option<a::Source>")]
    pub(crate) channel: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::VisitClaim>")]
    pub(crate) visit_code: Maybe<String>,
    #[serde(default)]
    #[schemars(with = "Option<t::NoticeVersion>")]
    pub(crate) notice_version: Maybe<String>,
}

/// `privacy` must be true; what is left out of the others, or null, is not agreed to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Consents")]
pub(crate) struct ConsentsBody {
    #[schemars(with = "bool", extend("const" = true))]
    privacy: Maybe<bool>,
    marketing: Maybe<bool>,
    night: Maybe<bool>,
}

impl From<ConsentsBody> for Consents {
    fn from(given: ConsentsBody) -> Self {
        let yes = |answer: Maybe<bool>| answer.unwrap_or(false);
        Self { privacy: yes(given.privacy), marketing: yes(given.marketing), night: yes(given.night) }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Draw {
    #[serde(default)]
    #[schemars(range(min = 0, max = MAX_ALTERNATES))]
    pub(crate) alternates: Maybe<u32>,
    /// 32 random bytes from the owner's browser, in hex.
    #[serde(default)]
    #[schemars(with = "Option<t::Digest>")]
    pub(crate) external: Maybe<String>,
}
